"""Replies that a person looks at before they are sent."""
