"""One gate a file; none knows another."""
