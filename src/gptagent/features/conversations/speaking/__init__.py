"""Which agent speaks in which conversation."""
