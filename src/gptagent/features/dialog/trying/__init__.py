"""Trying an agent out: test chats, and turns played again."""
