"""People of the installation: passwords, sessions, access tokens, the first account."""
