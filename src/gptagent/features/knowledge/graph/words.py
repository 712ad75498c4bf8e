"""What types and relations are called where people read them. The texts are English msgids."""

from collections.abc import Mapping

TYPE_WORDS: Mapping[str, str] = {
    "person": "Person",
    "organization": "Organization",
    "product": "Product",
    "service": "Service",
    "process": "Process",
    "concept": "Concept",
    "feature": "Feature",
    "event": "Event",
    "location": "Place",
    "technology": "Technology",
    "document": "Document of the base",
    "metric": "Figure",
}
# As said of the source and, the other way round, of the target.
RELATION_WORDS: Mapping[str, tuple[str, str]] = {
    "works_for": ("works for", "employs"),
    "manages": ("manages", "is managed by"),
    "provides": ("provides", "is provided by"),
    "uses": ("uses", "is used by"),
    "related_to": ("is related to", "is related to"),
    "part_of": ("is part of", "consists of"),
    "depends_on": ("depends on", "is needed by"),
    "requires": ("requires", "is required by"),
    "located_in": ("is located in", "is the place of"),
    "owns": ("owns", "is owned by"),
    "collaborates_with": ("works together with", "works together with"),
    "reports_to": ("reports to", "is reported to by"),
    "responsible_for": ("is responsible for", "is the responsibility of"),
    "participates_in": ("takes part in", "is attended by"),
    "contains": ("contains", "is contained in"),
}
# What patterns and people call an attribute; any other is shown as it is.
ATTRIBUTE_WORDS: Mapping[str, str] = {
    "price": "Price",
    "phone": "Phone number",
    "email": "E-mail address",
    "address": "Address",
    "date": "Date",
}


def relation_word(kind: str, *, is_outgoing: bool) -> str:
    """Return the msgid of a relation as it reads from one of its ends."""
    there, back = RELATION_WORDS[kind]
    return there if is_outgoing else back
