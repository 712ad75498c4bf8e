"""Conversations and their messages as we store them, and who holds the chat: the agent or a person."""
