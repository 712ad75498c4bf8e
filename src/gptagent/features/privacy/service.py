"""Verbs of privacy: what others import."""

from gptagent.features.privacy.customers import erase_customer, export_customer, find_customers
from gptagent.features.privacy.people import erase_person, export_person, obstacles_to_erasure
from gptagent.features.privacy.retention import apply_retention, get_retention, set_retention

__all__ = [
    "apply_retention",
    "erase_customer",
    "erase_person",
    "export_customer",
    "export_person",
    "find_customers",
    "get_retention",
    "obstacles_to_erasure",
    "set_retention",
]
