"""A mail server that keeps what it is sent, and refuses or breaks off when told to."""
