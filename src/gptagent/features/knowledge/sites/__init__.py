"""Pages of the web as a source: one address, or a whole site that is read again from time to time."""
