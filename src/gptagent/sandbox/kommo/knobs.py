"""What can be turned while the emulator runs. Every account has its own set."""

from typing import Literal

import msgspec

from gptagent.sandbox.faults import FaultRule

Range = tuple[int, int]


class Knobs(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`*_ms` are milliseconds, ranges are (least, most), probabilities 0 to 1."""

    # webhooks: how deliveries go wrong
    copies: Range = (1, 1)
    shuffle_window: int = 0
    shuffle_hold_ms: int = 300
    delay_ms: Range = (0, 0)
    drop: float = 0.0
    ordered: bool = True
    seed: int | None = None
    # webhooks: the vendor's own behaviour
    webhook_timeout_ms: int = 2000
    retry_scale: float = 1.0
    retries: bool = True
    invalid_answers_until_disabled: int = 100
    unknown_codes: list[str] = []
    account_last: bool = False
    avatars: bool = False
    message_type: bool = True
    bind_entities: bool = True
    # rest
    requests_per_second: float = 7.0
    retry_after_s: int = 1
    violations_until_block: int = 20
    block_seconds: float = 60.0
    latency_ms: Range = (0, 0)
    api_filter: bool = True  # amoCRM: whether lists can be filtered
    currency: str = "USD"
    # oauth
    code_seconds: int = 1200
    access_seconds: int = 86_400
    refresh_grace: bool = False
    refresh_refusal_status: int = 401
    # chats
    plan_has_sending: bool = True
    talks_api: bool = True  # false: as on amoCRM, where talks are neither listed nor written into
    plan_has_bots: bool = True
    bots_v4: bool = True
    bot_delay_ms: int = 50
    widget_delay_ms: int = 0
    quota: int = 10_000
    window_open: bool = True
    delivered_after_ms: int = 500
    read_after_ms: int = 3000


class RestFault(FaultRule, forbid_unknown_fields=True, kw_only=True):
    """`method`, `path` and `query` are regular expressions, searched for in these parts of the request.

    `spoil` carries the request out and answers 200 with the given body.
    """

    method: str = "*"
    path: str = "*"
    query: str = "*"
    action: Literal["status", "accept_then_timeout", "reset", "delay", "spoil"] = "status"
    status: int = 500
    body: Literal["json", "html", "plain", "malformed", "empty", "truncated"] = "json"
    retry_after: int | None = None
    delay_ms: int = 0
