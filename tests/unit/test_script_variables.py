"""Variables of scripts: filled, left out with their sentence, and never shown. MSG-17"""

import pytest

from gptagent.features.knowledge.scripts.model import NewScript, fit
from gptagent.features.knowledge.scripts.variables import (
    fill,
    placeholders_in,
    standing_of,
    variables_of,
    without_sentences,
)
from gptagent.kernel.errors import Invalid

VALUES = {"customer_name": "Ann", "lead_value": "900", "crm.lead.Size": "3 m", "lead_stage": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, {{customer_name}}!", "Hello, Ann!"),
        ("Hello, {{ customer_name }}! It is {{product_price}}.\nShall we?", "Hello, Ann!\nShall we?"),
        ("You are at {{lead_stage}}.", ""),  # known, but empty here
        ("A kitchen of {{crm.lead.Size}} for {{lead_value}}.", "A kitchen of 3 m for 900."),
        ("Call {{customer_phone}}. Or write.", "Or write."),
        ("{{customer_name}}, {{nobody knows}}", ""),
    ],
)
def test_a_sentence_is_said_with_its_values_or_not_at_all(text, expected):
    """KB-24"""
    assert fill(text, VALUES) == expected
    assert "{{" not in fill(text, VALUES)


def test_a_value_that_looks_like_a_variable_is_not_filled_again():
    assert fill("Hi {{customer_name}}.", {"customer_name": "{{lead_value}}", "lead_value": "9"}) == (
        "Hi {{lead_value}}."
    )


def test_the_editor_is_told_what_each_variable_is():
    found = variables_of("{{customer_name}} {{crm.lead.Size}} {{product_price}} {{customer_name}}")
    assert [(name, standing_of(name)) for name in found] == [
        ("customer_name", "known"),
        ("crm.lead.Size", "field"),
        ("product_price", "unknown"),
    ]


def test_sentences_with_a_left_over_variable_are_taken_out():
    text = "Good day. Your price is {{lead_value}}. Bye."
    assert without_sentences(text, placeholders_in(text)) == "Good day. Bye."


def test_a_name_with_the_end_of_a_sentence_in_it_is_a_name():
    text = "Hi {{crm.lead.Cost. Total}} ok. We pack by hand."
    assert fill(text, {}) == "We pack by hand."
    assert fill(text, {"crm.lead.Cost. Total": "5 {{0}}"}) == "Hi 5 {{0}} ok. We pack by hand."


def test_a_message_makes_an_objection_by_the_share_of_its_words():
    assert fit(["дорог", "слишк"], ["дорог", "нас"]) == 0.5
    assert fit(["дорог"], ["доставк"]) == 0


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        ("script", {"kind": "price"}),
        ("objection", {"kind": "greeting"}),
        ("script", {"title": " "}),
        ("script", {"title": "x" * 256}),
        ("objection", {"content": "x" * 4001}),
        ("script", {"priority": 0}),
    ],
)
def test_what_a_script_cannot_be_is_named_by_its_field(family, wrong):
    kind = "greeting" if family == "script" else "price"
    values = {"kind": kind, "title": "T", "content": "C"}
    assert NewScript(**values).checked(family)
    with pytest.raises(Invalid) as refused:
        NewScript(**{**values, **wrong}).checked(family)
    assert [fault.pointer for fault in refused.value.fields] == list(wrong)
