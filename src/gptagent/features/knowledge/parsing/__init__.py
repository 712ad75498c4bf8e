"""Files to text, in child processes that can do no harm: here is the parent's side."""

from gptagent.features.knowledge.parsing.parent import parse_file
from gptagent.features.knowledge.parsing.result import Interrupted, ParsedDocument, ParseFailed
from gptagent.features.knowledge.parsing.scans import read_scans
from gptagent.features.knowledge.parsing.unpacking import Unpacked, unpack_file

__all__ = [
    "Interrupted",
    "ParseFailed",
    "ParsedDocument",
    "Unpacked",
    "parse_file",
    "read_scans",
    "unpack_file",
]
