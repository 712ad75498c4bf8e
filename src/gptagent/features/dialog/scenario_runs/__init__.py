"""Runs: many answers, one after the other, in the background, within a budget."""
