"""Handlers of the control interface; `control.py` next door documents and lists them."""
