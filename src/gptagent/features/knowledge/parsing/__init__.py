"""Files to text, in a child process that can do no harm: `parse_file` is the parent's side."""

from gptagent.features.knowledge.parsing.parent import parse_file
from gptagent.features.knowledge.parsing.result import ParsedDocument, ParseFailed

__all__ = ["ParseFailed", "ParsedDocument", "parse_file"]
