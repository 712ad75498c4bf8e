"""Workspaces: who belongs to them and what their roles may do."""
