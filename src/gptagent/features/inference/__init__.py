"""Ports to models and the record of what they used."""
