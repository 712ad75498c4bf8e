"""Custom field values that are objects: what they must hold, and what they may point to."""

from collections.abc import Mapping

from gptagent.sandbox.kommo.state import Account, CustomField, Entity

TYPES = frozenset({"legal_entity", "linked_entity", "file"})
LEGAL_KINDS = (None, 1, 2)  # a person, a company


def read(type_: str, value: object) -> dict[str, object] | None:
    """Return the object if it has what its type cannot be without."""
    if not isinstance(value, dict):
        return None
    if type_ == "legal_entity":
        is_good = bool(value.get("name")) and isinstance(value.get("name"), str)
        return value if is_good and value.get("entity_type") in LEGAL_KINDS else None
    if type_ == "file":
        return value if isinstance(value.get("file_uuid"), str) else None
    named = {"name": str(value.get("name") or ""), "entity_id": value.get("entity_id")}
    kind, catalog_id = value.get("entity_type"), value.get("catalog_id")
    return {**named, "entity_type": kind, "catalog_id": catalog_id}


def exists(account: Account, custom: CustomField, given: Mapping[str, object]) -> bool:
    """Return whether what a value points to is there; a value that points nowhere is."""
    value = given.get("value")
    if custom.type == "file" and isinstance(value, dict):
        return value["file_uuid"] in account.files
    if custom.type == "linked_entity" and isinstance(value, dict):
        return _is_linked(account, custom.search_in, value)
    if custom.type == "chained_list":
        return given["catalog_id"] in custom.catalogs and given["catalog_element_id"] in _elements(
            account, given["catalog_id"]
        )
    return True


def _is_linked(account: Account, search_in: str | None, value: Mapping[str, object]) -> bool:
    kind, catalog_id = value["entity_type"], value["catalog_id"]
    where = str(catalog_id) if kind == "catalog_elements" else str(kind)
    if search_in is not None and where not in search_in.split("_and_"):
        return False
    known = {"contacts": account.contacts, "companies": account.companies}
    return value["entity_id"] in (
        _elements(account, catalog_id) if kind == "catalog_elements" else known.get(str(kind), {})
    )


def _elements(account: Account, catalog_id: object) -> Mapping[int, Entity]:
    catalog = account.catalogs.get(catalog_id) if isinstance(catalog_id, int) else None
    return catalog.elements if catalog is not None else {}
