"""Every kind of custom field becomes one typed value, from REST or a webhook, and goes back unharmed."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptagent.adapters.kommo.fields import KNOWN_TYPES, read_fields, read_hook_fields, write_fields
from gptagent.adapters.kommo.tree import parse_body
from gptagent.features.crm.values import (
    Chained,
    Choice,
    FieldValue,
    File,
    Flag,
    Labelled,
    LegalEntity,
    Linked,
    Moment,
    Number,
    Raw,
    Text,
    coded,
    pack,
    unpack,
)
from gptagent.kernel.errors import Invalid

FORM = "application/x-www-form-urlencoded"
DAY = datetime(2026, 9, 21, 21, 33, 20, tzinfo=UTC)
# type, a value as REST shows it, the same as a webhook's form has it below `values`, what both mean
SHAPES = [
    ("text", {"value": "Rome"}, "[0][value]=Rome", Text("Rome")),
    ("textarea", {"value": "a b"}, "[0][value]=a+b", Text("a b")),
    ("url", {"value": "https://x.y"}, "[0][value]=https%3A%2F%2Fx.y", Text("https://x.y")),
    ("streetaddress", {"value": "Main 1"}, "[0][value]=Main+1", Text("Main 1")),
    ("tracking_data", {"value": "google"}, "[0][value]=google", Text("google")),
    ("numeric", {"value": "1.50"}, "[0][value]=1.50", Number(Decimal("1.50"))),
    ("price", {"value": "900"}, "[0][value]=900", Number(Decimal(900))),
    ("monetary", {"value": "10.05"}, "[0][value]=10.05", Number(Decimal("10.05"))),
    ("checkbox", {"value": True}, "[0][value]=1", Flag(flag=True)),
    ("checkbox", {"value": False}, "[0]=0", Flag(flag=False)),
    ("date", {"value": 1790026400}, "[0]=1790026400", Moment(DAY)),
    ("date_time", {"value": "2026-09-21T21:33:20+00:00"}, "[0]=1790026400", Moment(DAY)),
    ("birthday", {"value": -86400}, "[0]=-86400", Moment(datetime(1969, 12, 31, tzinfo=UTC))),
    ("birthday", {"value": 316483200}, "[0][value]=12.01.1980", Moment(datetime(1980, 1, 12, tzinfo=UTC))),
    ("select", {"value": "A", "enum_id": 7}, "[0][value]=A&[0][enum]=7", Choice("A", 7)),
    ("radiobutton", {"value": "A", "enum_id": 7}, "[value]=A&[enum]=7", Choice("A", 7)),
    ("category", {"value": "A", "enum_id": 7}, "[0][value]=A&[0][enum]=7", Choice("A", 7)),
    (
        "multitext",
        {"value": "+1", "enum_id": 5, "enum_code": "WORK"},
        "[0][value]=%2B1&[0][enum]=5",
        Labelled("+1", None, 5),
    ),
    (
        "smart_address",
        {"value": "Rome", "enum_code": "city"},
        "[0][value]=Rome&[0][subtype]=city",
        Labelled("Rome", "city"),
    ),
    (
        "legal_entity",
        {"value": {"name": "Acme", "entity_type": 1, "vat_id": "77"}},
        "[0][value][name]=Acme&[0][value][entity_type]=1&[0][value][vat_id]=77",
        LegalEntity("Acme", 1, "77"),
    ),
    (
        "linked_entity",
        {"value": {"name": "Ann", "entity_id": 9, "entity_type": "contacts", "catalog_id": None}},
        "[0][value][name]=Ann&[0][value][entity_id]=9&[0][value][entity_type]=contacts",
        Linked("Ann", 9, "contacts"),
    ),
    (
        "chained_list",
        {"catalog_id": 3, "catalog_element_id": 4},
        "[0][catalog_id]=3&[0][catalog_element_id]=4",
        Chained(3, 4),
    ),
    (
        "file",
        {"value": {"file_uuid": "u", "version_uuid": "v", "file_name": "a.pdf", "file_size": 3}},
        "[0][value][file_uuid]=u&[0][value][version_uuid]=v&[0][value][file_name]=a.pdf&[0][value][file_size]=3",
        File("u", "v", "a.pdf", 3),
    ),
]


def rest(kind, *values, code=None):
    entry = {"field_id": 1, "field_name": "F", "field_code": code, "field_type": kind, "values": list(values)}
    return read_fields([entry])[0]


def hook(kind, form):
    body = "&".join(f"f[0][values]{pair}" for pair in form.split("&"))
    whole = f"f[0][id]=1&f[0][name]=F&{body}".replace("[", "%5B").replace("]", "%5D")
    return read_hook_fields(parse_body(FORM, whole.encode())["f"], {1: kind})[0]


@pytest.mark.parametrize(("kind", "shown", "form", "value"), SHAPES)
def test_both_shapes_mean_the_same(kind, shown, form, value):
    heard = hook(kind, form).values
    assert heard == (value,)
    seen = rest(kind, shown).values[0]
    if isinstance(seen, Labelled):  # a webhook names a phone's kind by number, an address's by code
        seen = Labelled(seen.text, seen.code if value.code else None, value.enum_id)
    assert seen == value


def test_every_known_type_has_its_shapes_here():
    assert {kind for kind, *_ in SHAPES} | {"multiselect"} == KNOWN_TYPES


@pytest.mark.parametrize(("kind", "shown", "_form", "_value"), SHAPES)
def test_what_was_read_is_written_so_that_it_reads_the_same(kind, shown, _form, _value):
    before = rest(kind, shown)
    (written,) = write_fields([before])
    again = rest(kind, *written["values"])
    if kind in {"select", "radiobutton", "category"}:  # named by its number: the CRM knows the label
        assert again.values[0].enum_id == before.values[0].enum_id
    else:
        assert json.dumps(written)
        assert again.values[0] == before.values[0] or again.values[0].text == before.values[0].text


def test_several_choices_and_several_phones_keep_their_order():
    many = rest("multiselect", {"value": "A", "enum_id": 1}, {"value": "B", "enum_id": 2})
    assert [value.enum_id for value in many.values] == [1, 2] and many.text == "A, B"
    phones = rest(
        "multitext", {"value": "+1", "enum_code": "WORK"}, {"value": "+2", "enum": "MOB"}, code="PHONE"
    )
    assert coded((phones,), "PHONE") == ("+1", "+2")
    (written,) = write_fields([phones])
    assert written == {
        "field_code": "PHONE",
        "values": [{"value": "+1", "enum_code": "WORK"}, {"value": "+2", "enum_code": "MOB"}],
    }


def test_an_emptied_field_is_written_as_null():
    assert write_fields([FieldValue(1, "text", ())]) == [{"field_id": 1, "values": None}]


@pytest.mark.parametrize("kind", ["items", "payer", "a_kind_of_tomorrow"])
def test_an_unknown_kind_keeps_its_value_and_is_only_read(kind):
    value = rest(kind, {"value": {"sku": "1", "nested": [1, {"a": None}]}})
    assert value.values == (Raw({"value": {"sku": "1", "nested": [1, {"a": None}]}}),)
    assert value.is_read_only
    with pytest.raises(Invalid, match="crm_field_read_only"):
        write_fields([value])


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("numeric", "1e999999999"),
        ("numeric", "many"),
        ("numeric", "٣"),
        ("checkbox", "perhaps"),
        ("date", 10**18),
        ("date", "yesterday"),
        ("linked_entity", {"name": "no id"}),
        ("file", "a.pdf"),
    ],
)
def test_what_does_not_look_as_documented_is_kept_raw(kind, odd):
    assert isinstance(rest(kind, {"value": odd}).values[0], Raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
KINDS = st.sampled_from([*sorted(KNOWN_TYPES), "items", ""])
ENTRIES = st.dictionaries(
    st.sampled_from(["value", "enum", "enum_id", "enum_code", "catalog_id", "catalog_element_id", "x"]), JSON
)


@given(KINDS, JSON | st.lists(ENTRIES, max_size=3))
def test_whatever_comes_is_read_stored_and_given_back(kind, values):
    listed = [{"field_id": 1, "field_type": kind, "field_name": "n", "values": values}]
    fields = read_fields(listed) + read_hook_fields([{"id": 1, "name": "n", "values": values}], {1: kind})
    stored = pack(fields)
    assert "\\u0000" not in stored
    assert unpack(stored) == tuple(
        msgspec.json.decode(msgspec.json.encode(one), type=FieldValue) for one in fields
    )
    for one in fields:
        assert isinstance(one.text, str)
        if not one.is_read_only and one.type in KNOWN_TYPES:
            json.dumps(write_fields([one]))


@given(JSON)
def test_no_list_of_fields_is_too_odd(listed):
    read_fields(listed)
    read_hook_fields(listed, {1: "select"})
