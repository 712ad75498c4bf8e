"""The tree in which articles are kept."""
