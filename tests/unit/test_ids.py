"""Identifiers and tickets."""

from uuid import RFC_4122, UUID

from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import Scope


def test_ids_are_version_seven_and_differ():
    ids = [new_id() for _ in range(2_000)]
    assert len(set(ids)) == len(ids)
    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}


def test_a_later_millisecond_sorts_later(monkeypatch):
    import time

    now = 1_750_000_000_000_000_000
    made = []
    for step in range(100):
        monkeypatch.setattr(time, "time_ns", lambda step=step: now + step * 1_000_000)
        made.append(new_id())
    assert made == sorted(made)
    assert made[0].int >> 80 == now // 1_000_000


def test_tokens_are_long_and_go_into_addresses():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 43 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)


def test_a_scopes_keys_begin_with_its_tenant():
    first, second = Scope(new_id()), Scope(new_id())
    assert first.key("blob", 1) == f"{first.org_id.hex}:blob:1"
    assert first.key("blob", 1) != second.key("blob", 1)
    assert UUID(first.key("x").split(":")[0]) == first.org_id
