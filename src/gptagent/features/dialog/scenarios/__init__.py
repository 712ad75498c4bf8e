"""Saved scenarios, runs of them, what publishing waits for, and real conversations answered anew."""
