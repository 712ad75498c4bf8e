"""The port to an SMTP server."""
