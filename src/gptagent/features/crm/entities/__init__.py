"""Contacts and deals in the mirror: what a run stores, what is shown, and how a person is forgotten."""
