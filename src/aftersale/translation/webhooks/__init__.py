"""How does each provider say it? One file a provider; none knows another."""
