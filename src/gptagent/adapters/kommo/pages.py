"""Lists of Kommo, page by page."""

from urllib.parse import parse_qsl, urlsplit

from gptagent.adapters.kommo.tree import as_map, as_text

LARGEST_PAGE = 250
# What took the CRM too long is asked for in so many parts; all limits we use can be divided by it twice.
PARTS = 5
SMALLEST_PAGE = 10

Query = tuple[tuple[str, str | int], ...]


def smaller(query: Query) -> tuple[Query, ...]:
    """Return the queries that ask for the same rows in smaller pages; none if they are small already."""
    asked = dict(query)
    limit, page = int(asked.get("limit", 0)), int(asked.get("page", 1))
    if limit % PARTS or limit // PARTS < SMALLEST_PAGE:
        return ()
    rest = tuple((key, value) for key, value in query if key not in {"limit", "page"})
    first = (page - 1) * PARTS + 1
    return tuple(
        (("page", number), ("limit", limit // PARTS), *rest) for number in range(first, first + PARTS)
    )


def next_query(body: object) -> Query | None:
    """Return the query of the next page. Its host and path are not believed: we stay where we are."""
    href = as_text(as_map(as_map(as_map(body).get("_links")).get("next")).get("href"))
    try:
        return tuple(parse_qsl(urlsplit(href).query)) or None
    except ValueError:
        return None
