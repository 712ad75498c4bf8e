"""CSV to a line a row, each with its columns' names."""

import csv
import io
from collections.abc import Iterator
from itertools import islice

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.tables import lines_of, row_of

_DELIMITERS = ";\t,|"  # where two fit, the first: a comma may be a decimal one
_LOOKED_AT = 20
_FIELD_MAX_CHARS = 1_000_000
_PART_LINES = 500


def read_list(text: str) -> Iterator[Section]:
    csv.field_size_limit(_FIELD_MAX_CHARS)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    lines = lines_of(row_of(row) for row in rows)
    while part := list(islice(lines, _PART_LINES)):
        yield Section(0, "", "\n".join(part))


def _delimiter(text: str) -> str:
    """Return what parts most rows into the same number of cells."""
    head = text[:100_000]
    best, most = _DELIMITERS[0], 0
    for delimiter in _DELIMITERS:
        rows = islice(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), _LOOKED_AT)
        counts = [len(row) for row in rows if row]
        usual = max(set(counts), key=counts.count, default=1)
        alike = counts.count(usual) if usual > 1 else 0
        if alike > most:
            best, most = delimiter, alike
    return best
