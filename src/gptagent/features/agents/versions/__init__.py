"""Versions of an agent: what was published, what is still a draft, and what differs between two of them."""
