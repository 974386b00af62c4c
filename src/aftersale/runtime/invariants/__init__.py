"""Which sentences must hold in every store at all times? One a file."""
