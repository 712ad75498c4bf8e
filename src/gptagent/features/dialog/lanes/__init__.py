"""The lane of a conversation: one at a time answers there, and nothing stale leaves."""
