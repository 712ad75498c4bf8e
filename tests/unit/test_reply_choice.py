"""Which way a reply goes, by the setup, the account and what the CRM has refused."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from gptagent.features.crm.replying.model import (
    REFUSAL_LASTS,
    Circumstances,
    ReplySetup,
    choose_route,
    is_return_address,
    window_is_closed,
)

NOW = datetime(2026, 11, 26, tzinfo=UTC)
BOT = {"field_id": 1, "bot_id": 2}
KEY = {"has_widget_secret": True}
REFUSED = {"refused_reason": "crm_scope", "refused_at": NOW - timedelta(minutes=1)}
LONG_AGO = {"refused_reason": "crm_scope", "refused_at": NOW - REFUSAL_LASTS}


@pytest.mark.parametrize(
    ("setup", "about", "way"),
    [
        ({}, {}, "talk"),
        (BOT, {}, "talk"),
        (BOT, {"token_may_send": False}, "salesbot"),
        (BOT | REFUSED, {}, "salesbot"),
        (BOT | LONG_AGO, {}, "talk"),
        (BOT, {"brand": "amocrm"}, "salesbot"),
        (BOT | KEY, {"brand": "amocrm", "slot_waits": True}, "salesbot"),
        ({}, {"brand": "amocrm", "slot_waits": True}, "widget"),
        (KEY, {"brand": "amocrm"}, "widget"),
        ({}, {"brand": "amocrm", "bots_ask": True}, "widget"),
        ({}, {"bots_ask": True}, "talk"),
        ({}, {"brand": "amocrm", "bots_ask": True, "has_lead": False}, "talk"),
        (BOT | KEY, {"brand": "amocrm", "has_lead": False}, "talk"),
        ({"field_id": 1}, {"brand": "amocrm"}, "talk"),
        (REFUSED, {}, "talk"),
        ({"mode": "widget"}, {}, "widget"),
        ({"mode": "salesbot"}, {"has_lead": False}, "salesbot"),
        (BOT | REFUSED | {"mode": "talk"}, {}, "talk"),
    ],
)
def test_the_way_follows_setup_and_circumstances(setup, about, way):
    facts = {"brand": "kommo", "token_may_send": True, "has_lead": True, "slot_waits": False, "now": NOW}
    assert choose_route(ReplySetup(uuid4(), **setup), Circumstances(**facts | about)) == way


@pytest.mark.parametrize(
    ("url", "host", "fits"),
    [
        ("https://acme.kommo.com/api/v4/salesbot/1/continue/2", "acme.kommo.com", True),
        ("https://acme.amocrm.com/api/v4/marketingbot/1/continue/2", "acme.kommo.com", True),
        ("https://ACME.kommo.com:443/api/v4/salesbot/1/continue/2", "acme.kommo.com", True),
        ("https://acme.amocrm.ru/api/v4/salesbot/1/continue/2", "acme.kommo.com", False),
        ("https://acme.kommo.com/api/v4/salesbot/1/continue/2/", "acme.kommo.com", False),
        ("https://acme.kommo.com/api/v4/salesbot/1/continue/\u0662", "acme.kommo.com", False),
        ("https://acme.kommo.com/api/v4/salesbot/1/continue/2?", "acme.kommo.com", False),
        ("https://acme.kommo.com\\@evil.example/api/v4/salesbot/1/continue/2", "acme.kommo.com", False),
    ],
)
def test_only_the_accounts_own_place_takes_an_answer(url, host, fits):
    assert is_return_address(url, host) is fits


def test_only_channels_with_a_window_close():
    day = timedelta(hours=24)
    assert window_is_closed("waba", NOW - day, NOW)
    assert not window_is_closed("waba", NOW - day + timedelta(seconds=1), NOW)
    assert not window_is_closed("telegram", NOW - 30 * day, NOW)
