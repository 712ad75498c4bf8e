"""How an account is connected: integrations, consent, tokens and their renewal, broken connections."""
