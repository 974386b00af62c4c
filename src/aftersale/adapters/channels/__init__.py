"""How are customers reached? One channel a file; none knows another."""
