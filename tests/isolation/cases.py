"""What a route may do for another workspace's member: the kinds of cases in routes.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PAGES = "/manage/{workspace}"


@dataclass(frozen=True)
class Public:
    """`why` it needs no credential; `path` and `options` call it so that it has something to say."""

    why: str
    path: str = ""
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Own:
    """`status` is what the caller gets in their own workspace; None for a stream, tested with the topics.

    `of_oneself`: a change that every role may make, because it is of the caller's own.
    """

    status: int | None = 200
    options: Mapping[str, object] = field(default_factory=dict)
    why: str = ""
    of_oneself: bool = False


@dataclass(frozen=True)
class Foreign:
    """`names` maps each parameter of the address to the estate's attribute that fills it."""

    names: Mapping[str, str]
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Installation:
    """Administers the platform: nobody of a workspace gets anything from it (test_isolation_admin.py)."""

    options: Mapping[str, object] = field(default_factory=dict)


Case = Public | Own | Foreign | Installation
