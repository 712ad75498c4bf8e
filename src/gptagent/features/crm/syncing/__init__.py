"""The mirror of a CRM's account: what is copied, by which run, and what others read of it."""
