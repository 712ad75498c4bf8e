"""Runs that copy a CRM's account into the mirror."""
