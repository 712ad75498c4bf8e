"""Passages by their meaning: vectors of an embedding model, used where they measurably help."""
