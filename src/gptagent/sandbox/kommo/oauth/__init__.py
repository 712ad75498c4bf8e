"""OAuth: integrations, the consent page, the token endpoint, the disconnect hook."""
