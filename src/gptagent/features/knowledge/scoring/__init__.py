"""Which passages hold most of a question's words."""
