"""Vectors of texts by an OpenAI-compatible endpoint, through the guarded egress."""
