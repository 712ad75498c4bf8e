"""Whose call to the CRM leaves next, over all processes."""
