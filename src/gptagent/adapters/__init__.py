"""Each implements a port that a feature declares."""
