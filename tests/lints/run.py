"""Check the rules of the house that no ready-made linter knows. Called by `make lint`."""

import sys
from pathlib import Path


def main() -> int:
    """Print every finding; 1 if there is any."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from lints.rules import check_all

    findings = check_all()
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
