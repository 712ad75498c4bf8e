"""A person's own account. It is here and not in identity: its pages are inside a workspace's frame."""
