import base64
import contextlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote_plus, urlencode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptagent.adapters.kommo import deliveries, tree, wire
from gptagent.adapters.kommo.tree import parse_body
from gptagent.features.crm.model import (
    CrmLink,
    InboundMessage,
    LeadChanged,
    OtherEvent,
    Pipeline,
    Stage,
    TalkChanged,
    Webhook,
)
from gptagent.kernel.errors import Invalid

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
SAMPLES = Path(__file__).parents[1] / "contract" / "kommo_samples"
FORMS = sorted(SAMPLES.rglob("*.form"))
NO_BRACKETS = {ord(char): None for char in "[]\0"}
LINK = CrmLink(UUID(int=1), UUID(int=2), "acme.kommo.com", "token")
LEAD_PARTS = ("lead_id", "change", "pipeline_id", "stage_id", "name", "responsible_user_id")
MESSAGE = {
    "message[add][0][id]": "m1",
    "message[add][0][chat_id]": "c1",
    "message[add][0][created_at]": "1790000000",
    "message[add][0][type]": "incoming",
    "message[add][0][author][type]": "external",
}


def sample(name: str) -> Webhook:
    return deliveries.read_delivery(parse_body(FORM, (SAMPLES / f"{name}.form").read_bytes()))


def read(fields: dict[str, str]) -> Webhook:
    return deliveries.read_delivery(parse_body(FORM, urlencode(fields).encode()))


def only(webhook: Webhook) -> object:
    (event,) = webhook.events
    return event


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_every_published_delivery_parses_to_its_tree(path):
    expected = path.with_suffix(".expected.json")
    expected = expected if expected.exists() else path.with_suffix(".json")
    assert parse_body(f"{FORM}; charset=utf-8", path.read_bytes()) == json.loads(expected.read_text())


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.json")), ids=lambda path: path.stem)
def test_every_published_delivery_is_also_read_as_json(path):
    assert deliveries.read_delivery(parse_body(JSON, path.read_bytes())).events


def test_a_customers_message_of_a_real_capture_is_read():
    webhook = sample("22_message_add_2026_waba_text")
    assert (webhook.account_id, webhook.subdomain) == (35199648, "marketingfagmotorsurfacom")
    assert only(webhook) == InboundMessage(
        provider_id="ae7243c7-e973-4aa5-ad43-ae3a95d74233",
        chat_id="059977cf-fd0f-45c2-a43e-1523bb8a314a",
        talk_id=71302,
        contact_id=59458509,
        lead_id=41807269,
        author="customer",
        author_name="Client C",
        text="Hola. Me interesa el Suzuki Grand Vitara 2015",
        sent_at=datetime.fromtimestamp(1789340833, UTC),
        origin="waba",
    )


def test_a_message_from_before_message_types_is_read_the_same():
    event = only(sample("17_message_add_2023_telegram_text"))
    assert isinstance(event, InboundMessage)
    assert (event.author, event.text, event.origin, event.attachment_type) == (
        "customer",
        "f",
        "telegram",
        None,
    )


def test_a_picture_carries_its_kind_and_link():
    event = only(sample("24_message_add_2026_waba_picture"))
    assert isinstance(event, InboundMessage)
    assert (event.text, event.attachment_type) == ("", "picture")
    assert event.attachment_url is not None and event.attachment_url.endswith("/file.jpeg")


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ({"message_type": "location"}, "location"),
        ({"attachment][type": "voice"}, "voice"),
        ({"message_type": "text"}, None),
    ],
)
def test_the_kind_comes_from_the_attachment_or_the_message_type(extra, kind):
    event = only(read(MESSAGE | {f"message[add][0][{name}]": value for name, value in extra.items()}))
    assert isinstance(event, InboundMessage) and event.attachment_type == kind


@pytest.mark.parametrize(
    ("name", "event"),
    [
        (
            "02_leads_add_2025_unirock",
            LeadChanged(30052055, "added", 936736, 17944873, "TEST MISHA (SORRY)", 2852878),
        ),
        (
            "09_leads_add_2022_account_last",
            LeadChanged(1190401, "added", 6254262, 53861254, "AASDASD", 9040358),
        ),
        ("10_dp_leads_add_thin", LeadChanged(5141671, "added", 4736017, 43283812)),
        ("14_dp_leads_status_2023_full_http", LeadChanged(10754147, "moved", 6344290, 54423922)),
        ("doc/leads_status", LeadChanged(15318175, "moved", 8572511, 67548619, "", 12345678)),
        ("doc/leads_responsible", LeadChanged(15318175, "responsible", 8572511, 67548619, "", 1234567)),
        ("doc/leads_delete", LeadChanged(12345678, "deleted", 8572511, 67548607)),
        (
            "doc/talk_update_closed",
            TalkChanged(191, "33b41601-7ed1-443b-9108-6938ae6b7935", 11018118, 9276114, is_open=False),
        ),
        (
            "31_talk_add_2026_waba_PARTIAL",
            TalkChanged(106564, "00000000-0000-4000-8000-000000000000", 28771643, 23711835, is_open=True),
        ),
    ],
)  # fmt: skip
def test_leads_and_talks_are_read(name, event):
    read = only(sample(name))
    if isinstance(event, LeadChanged):
        read = LeadChanged(*(getattr(read, part) for part in LEAD_PARTS))
    assert read == event


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("09_leads_add_2022_account_last", 30739638),
        ("31_talk_add_2026_waba_PARTIAL", None),
        ("doc/leads_status", None),
    ],
)
def test_the_account_is_found_wherever_it_stands(name, account):
    assert sample(name).account_id == account


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("doc/amocrm_chat_template_review_UNWRAPPED", "add"),
        ("doc/widget_request", "unknown"),
    ],
)
def test_kinds_nobody_acts_on_are_kept_whole(name, kind):
    event = only(sample(name))
    assert isinstance(event, OtherEvent) and event.kind == kind and event.payload


@pytest.mark.parametrize(
    ("kind", "author", "expected"),
    [
        ("internal", "internal", "human"),
        ("bot", "bot", "bot"),
        ("external", "external", None),
        ("none", "", None),
    ],
)
def test_who_wrote_an_outgoing_message_is_told_apart(kind, author, expected):
    fields = {key.replace("message", "outgoing_message"): value for key, value in MESSAGE.items()}
    fields |= {"outgoing_message[add][0][type]": "outgoing", "outgoing_message[add][0][author][type]": author}
    event = only(read(fields))
    assert getattr(event, "author", None) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [("type", "outgoing"), ("type", ""), ("author][type", "internal"), ("id", ""), ("chat_id", "")],
)
def test_what_is_not_a_customers_message_is_not_taken_for_one(field, value):
    event = only(read(MESSAGE | {f"message[add][0][{field}]": value}))
    assert isinstance(event, OtherEvent) and event.kind == "message[add]"


@pytest.mark.parametrize("numbers", [(0, 1, 2), (0, 2, 5), (7,)])
def test_every_element_of_a_delivery_is_read_also_with_gaps(numbers):
    fields = {}
    for number in numbers:
        fields |= {key.replace("[0]", f"[{number}]"): value for key, value in MESSAGE.items()}
        fields[f"message[add][{number}][id]"] = f"m{number}"
    events = read(fields).events
    assert [event.provider_id for event in events] == [f"m{number}" for number in numbers]


def test_kinds_of_one_delivery_keep_their_order():
    fields = {"leads[add][0][id]": "1", "message[add][0][id]": "x", "talk[add][0][talk_id]": "3"}
    assert [type(event) for event in read(fields).events] == [LeadChanged, OtherEvent, TalkChanged]


def test_a_chat_bound_to_a_customer_record_has_no_lead():
    bound = {"message[add][0][entity_type]": "customer", "message[add][0][entity_id]": "5"}
    event = only(read(MESSAGE | bound))
    assert isinstance(event, InboundMessage) and event.lead_id is None


def test_a_message_without_a_usable_time_is_not_lost():
    before = datetime.now(UTC)
    event = only(read(MESSAGE | {"message[add][0][created_at]": "yesterday"}))
    assert isinstance(event, InboundMessage) and event.sent_at >= before


def test_nul_which_no_database_text_can_hold_is_dropped():
    event = only(read(MESSAGE | {"message[add][0][text]": "a\0b", "message[add][0][ori\0gin]": "waba"}))
    assert isinstance(event, InboundMessage) and (event.text, event.origin) == ("ab", "waba")


def test_an_emoji_and_a_plus_sign_survive_the_form():
    event = only(read(MESSAGE | {"message[add][0][text]": "1+1 👍 да"}))
    assert isinstance(event, InboundMessage) and event.text == "1+1 👍 да"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b""),
        (FORM, b"just text"),
        (FORM, b'{"leads": {}}'),
        (FORM, b"a=1&&b"),
        (FORM, b"&".join(b"a%d=1" % n for n in range(tree.MAX_PAIRS + 1))),
        (FORM, b"a" + b"[b]" * 50 + b"=1"),
        (FORM, b"&".join(b"a%d[b][c][d][e][f][g][h]=1" % n for n in range(tree.MAX_STEPS // 7 + 1))),
        (FORM, b"a=" + b"%" * (tree.MAX_STRAYS + 1)),
        (FORM, b"&".join(b"a%d[b][0][c]=1" % n for n in range(tree.MAX_KINDS + 1))),
        (JSON, b'{"a":[' + b",".join([b"[]"] * (tree.MAX_NODES // 2)) + b"]}"),
        (JSON, b'{"a":[' + b",".join([b"1"] * (tree.MAX_COMMAS + 2)) + b"]}"),
        (FORM, b"a[" * 100_000 + b"=1"),
        (FORM, b"a=" + b"x" * tree.MAX_BODY_BYTES),
        (JSON, b""),
        (JSON, b"{"),
        (JSON, b"[]"),
        (JSON, b"null"),
        (JSON, b'{"a":"\\ud800"}'),
        (JSON, b'{"a":\xff}'),
        (JSON, b'{"a":' * 100_000),
        (JSON, b'{"a":' * 20 + b"1" + b"}" * 20),
        ("multipart/form-data; boundary=x", b"--x"),
        ("text/plain", b"a=1"),
        ("", b"a=1"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{value[:12]!r}x{len(value)}",
)
def test_a_body_that_is_no_delivery_is_malformed(content_type, body):
    with pytest.raises(Invalid, match="crm_webhook_malformed"):
        parse_body(content_type, body)


@pytest.mark.parametrize(
    "body", ["a=1&a[b]=2", "a[b]=1&a=2&a[c]=3", "[x]=1", "a[b=1", "a]b=1", "a[]=1&a[]=2", "=1"]
)
def test_crooked_keys_do_no_harm(body):
    assert isinstance(deliveries.read_delivery(parse_body(FORM, body.encode())), Webhook)


def test_elements_that_are_no_objects_do_no_harm():
    body = "message[add][0]=x&leads[status]=5&talk=1&account=7&contacts[add][0][]=1"
    kinds = [event.kind for event in deliveries.read_delivery(parse_body(FORM, body.encode())).events]
    assert kinds == ["message[add]", "contacts[add]", "unknown"]


STEPS = st.sampled_from(
    ["message", "add", "0", "1", "id", "author", "type", "leads", "status", "account", "", "x"]
)
KEYS = st.lists(STEPS, min_size=1, max_size=6).map(
    lambda steps: steps[0] + "".join(f"[{s}]" for s in steps[1:])
)


@given(st.lists(st.tuples(KEYS, st.text(max_size=5)), min_size=1, max_size=30))
def test_no_form_breaks_the_reader(pairs):
    body = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)
    assert isinstance(deliveries.read_delivery(parse_body(FORM, body.encode())), Webhook)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=12), min_size=1, max_size=9))
def test_a_form_is_read_as_the_library_reads_it(pairs):
    """Any text at all, escaped as the vendor does."""
    plain = {key.translate(NO_BRACKETS): value for key, value in pairs.items() if key.translate(NO_BRACKETS)}
    plain = {key: value for key, value in plain.items() if not ({"\x1e", "\x1f"} & set(key + value))}
    if plain:
        body = urlencode(plain).encode()
        read = parse_body(FORM, body)
        expected = {k.replace("\0", ""): v.replace("\0", "") for k, v in parse_qsl(body.decode(), True)}
        assert read == expected or any(not key for key in expected)


@given(st.binary(max_size=200), st.sampled_from([FORM, JSON]))
def test_no_bytes_break_the_reader(body, kind):
    with contextlib.suppress(Invalid):
        assert isinstance(deliveries.read_delivery(parse_body(kind, body)), Webhook)


@given(st.binary(max_size=60).map(lambda raw: raw.replace(b"&", b"").replace(b"=", b"")))
def test_escapes_are_undone_whatever_they_stand_for(raw):
    body = b"a=" + quote_plus(raw).encode()
    shown = re.sub("[\x00\x1e\x1f]", "", raw.decode("utf-8", "replace"))
    read = re.sub("[\x00\x1e\x1f]", "", str(parse_body(FORM, body)["a"]))
    assert read == shown or "\ufffd" in shown


def test_a_stray_percent_sign_is_left_as_it_is():
    assert parse_body(FORM, b"a=100%&b=%zz+%C3%A9") == {"a": "100%", "b": "%zz \u00e9"}


def test_a_form_as_large_as_a_lead_with_500_fields_is_read():
    pairs = [
        (f"leads[update][0][custom_fields][{n}]{part}", "x" * 20)
        for n in range(500)
        for part in ("[id]", "[name]", "[values][0][value]", "[values][0][enum]")
    ]
    (lead,) = parse_body(FORM, urlencode(pairs).encode())["leads"]["update"]
    assert len(lead["custom_fields"]) == 500


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
NODES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STEPS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(STEPS, NODES, min_size=1, max_size=4))
def test_no_json_breaks_the_reader(root):
    body = json.dumps(root).encode()
    with contextlib.suppress(Invalid):
        assert isinstance(deliveries.read_delivery(parse_body(JSON, body)), Webhook)


@given(NODES)
def test_no_answer_breaks_the_readers(body):
    assert wire.read_lead(body) is None or isinstance(body, dict)
    assert isinstance(wire.read_pipelines(body), tuple)
    assert wire.read_account(body, LINK) is None or isinstance(body, dict)
    assert wire.read_contact(body) is None or isinstance(body, dict)
    assert all(isinstance(row, dict) for row in wire.embedded(body, "add"))


def test_pipelines_are_ordered_and_archived_ones_left_out():
    def stage(id_, sort, type_=0):
        return {"id": id_, "name": f"s{id_}", "sort": sort, "type": type_}

    statuses = [stage(143, 11000), stage(142, 10000), stage(7, 20), stage(6, 10, 1)]
    rows = [
        {"id": 2, "name": "B", "sort": 2, "is_main": False, "_embedded": {"statuses": []}},
        {"id": 3, "name": "old", "sort": 1, "is_archive": True},
        {"id": 1, "name": "A", "sort": 1, "is_main": True, "_embedded": {"statuses": statuses}},
    ]
    body = {"_embedded": {"pipelines": rows}}
    first, second = wire.read_pipelines(body)
    assert first == Pipeline(
        id=1,
        name="A",
        sort=1,
        is_main=True,
        stages=(
            Stage(6, "s6", 10, "incoming"),
            Stage(7, "s7", 20, "open"),
            Stage(142, "s142", 10000, "won"),
            Stage(143, "s143", 11000, "lost"),
        ),
    )
    assert second.id == 2


def test_a_leads_main_contact_comes_first():
    body = {
        "id": 7,
        "name": "Deal",
        "price": 10,
        "_embedded": {"contacts": [{"id": 1}, {"id": 2, "is_main": True}]},
    }
    lead = wire.read_lead(body)
    assert lead is not None and lead.contact_ids == (2, 1) and lead.price == 10


@pytest.mark.parametrize(
    ("claims", "may_send"),
    [
        ({"scopes": ["crm", "send_external_messages"]}, True),
        ({"scopes": ["crm"]}, False),
        ({}, True),
        (None, True),
    ],
)
def test_the_right_to_send_is_read_from_a_token_that_tells(claims, may_send):
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    account = wire.read_account(
        {"id": 1, "subdomain": "acme", "name": ""}, replace(LINK, token=f"head.{payload}.signature")
    )
    assert account is not None and (account.can_send_messages, account.name) == (may_send, "acme")


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "..", "a.🙂.c", "a." + "W10" * 1000 + ".c"])
def test_an_opaque_token_is_believed_until_the_crm_says_otherwise(token):
    account = wire.read_account({"id": 1, "subdomain": "acme"}, replace(LINK, token=token))
    assert account is not None and account.can_send_messages
