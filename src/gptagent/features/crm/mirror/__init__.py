"""The copy of a CRM's account: what a run stores of it, and what others read there."""
