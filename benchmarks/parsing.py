"""Bodies of webhooks, taken apart: CPU of the worst that may come. `python benchmarks/parsing.py`

Each is as large as a delivery may be; what is refused counts as well. The median of 9 runs.
"""

import json
import time
from collections.abc import Callable
from statistics import median

from figures import show
from gptagent.adapters.kommo.deliveries import read_delivery
from gptagent.adapters.kommo.tree import MAX_BODY_BYTES, parse_body
from gptagent.kernel.errors import Invalid

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
RUNS = 9


def _fill(piece: Callable[[int], str], join: str, head: str = "", tail: str = "") -> bytes:
    """Return as many pieces as fit into a body."""
    parts: list[str] = []
    size = len(head) + len(tail)
    for number in range(MAX_BODY_BYTES):
        part = piece(number)
        size += len(part.encode()) + len(join)
        if size > MAX_BODY_BYTES:
            break
        parts.append(part)
    return (head + join.join(parts) + tail).encode()


def bodies() -> dict[str, tuple[str, bytes]]:
    deep = "".join("[x]" for _ in range(10))
    lead = {"id": "7", "name": "Deal", "status_id": "3", "updated_at": "1790000000"}
    return {
        "one_long_value": (FORM, b"message[add][0][text]=" + b"x" * (MAX_BODY_BYTES - 22)),
        "one_escaped_value": (FORM, b"message[add][0][text]=" + b"%D1%8F" * ((MAX_BODY_BYTES - 22) // 6)),
        "one_long_key": (FORM, b"k" * (MAX_BODY_BYTES - 2) + b"=1"),
        "brackets": (FORM, b"a" + b"[" * (MAX_BODY_BYTES - 4) + b"=1"),
        "escapes_apart": (FORM, b"message[add][0][text]=" + b"%41x" * ((MAX_BODY_BYTES - 22) // 4)),
        "stray_percents": (FORM, b"message[add][0][text]=" + b"%" * (MAX_BODY_BYTES - 22)),
        "most_elements": (FORM, _fill(lambda n: f"leads[add][{n}][updated_at]=" + "x" * 320, "&")),
        "too_many_pairs": (FORM, _fill(lambda n: f"a{n}=", "&")),
        "deepest": (FORM, _fill(lambda n: f"a[{n}]{deep}=" + "x" * 600, "&")),
        "gaps": (FORM, _fill(lambda n: f"leads[add][{n * 3}][id]={n}" + "0" * 330, "&")),
        "many_kinds": (FORM, _fill(lambda n: f"k{n}[a][0][updated_at]={n}" + "0" * 330, "&")),
        "json_leads": (JSON, _fill(lambda _: json.dumps(lead), ",", '{"leads":{"add":[', "]}}")),
        "json_numbers": (JSON, _fill(lambda n: str(n % 10), ",", '{"leads":[', "]}")),
        "json_empty_lists": (JSON, _fill(lambda _: "[]", ",", '{"leads":[', "]}")),
        "json_deep": (JSON, b'{"a":' * (MAX_BODY_BYTES // 6) + b"1" + b"}" * (MAX_BODY_BYTES // 6)),
        "json_long_text": (JSON, b'{"message":"' + b"x" * (MAX_BODY_BYTES - 14) + b'"}'),
    }


def main() -> None:
    for name, (kind, body) in bodies().items():
        spent = []
        for _ in range(RUNS):
            started = time.process_time()
            try:
                read_delivery(parse_body(kind, body))
                outcome = "read"
            except Invalid:
                outcome = "refused"
            spent.append(time.process_time() - started)
        show("parsing_ms", f"{name}_{outcome}", median(spent) * 1000, 1)


if __name__ == "__main__":
    main()
