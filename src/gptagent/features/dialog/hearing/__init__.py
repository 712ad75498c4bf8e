"""What customers say: how long to listen, and what is on the files they send."""
