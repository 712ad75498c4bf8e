"""Contradictions and stale facts of a base: what its sentences say in numbers, held against each other."""
