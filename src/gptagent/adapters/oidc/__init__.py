"""The port to OpenID Connect providers."""
