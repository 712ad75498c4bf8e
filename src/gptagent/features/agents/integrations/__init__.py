"""The accounts of CRMs as one agent sees them: a tab of its editor."""
