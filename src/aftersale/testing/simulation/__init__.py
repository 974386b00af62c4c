"""What holds when everything breaks that can: a shop in virtual time, faults at every border."""
