"""Passages in the order of a reranking model, where that was measured to be better."""
