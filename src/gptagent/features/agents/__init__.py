"""Agents: who they are, what they are told, when they speak."""
