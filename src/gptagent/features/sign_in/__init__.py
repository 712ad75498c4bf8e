"""Signing in through OpenID Connect providers: the installation's one, and those of workspaces."""
