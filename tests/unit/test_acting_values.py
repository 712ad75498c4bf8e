"""What a customer says, as a field's type takes it; and what the model's tools may be given."""

import pytest

from gptagent.features.dialog.acting.model import Declined
from gptagent.features.dialog.acting.tools import TOOLS
from gptagent.features.dialog.acting.values import said_value, whole_number


@pytest.mark.parametrize(
    ("kind", "code", "said", "value"),
    [
        ("text", None, "  Kitchen\0 ", "Kitchen"),
        ("numeric", None, "120 000", "120000"),
        ("numeric", None, "120\u00a0000,5", "120000.5"),
        ("numeric", None, "1,200,000.50", "1200000.50"),
        ("numeric", None, "-7", "-7"),
        ("checkbox", None, "Да", True),
        ("checkbox", None, "no", False),
        ("multiselect", None, "Red; Blue", ["Red", "Blue"]),
        ("multiselect", None, "red, or so", ["red, or so"]),
        ("multitext", "PHONE", "+7 (900) 123-45-67", "+7 (900) 123-45-67"),
        ("multitext", "EMAIL", "ann@example.com", "ann@example.com"),
        ("multitext", "IM", "@ann", "@ann"),
        ("date", None, "2027-01-31", "2027-01-31"),
    ],
)
def test_words_become_values(kind, code, said, value):
    """AGT-26"""
    assert said_value(kind, code, ("Red", "Blue", "Red, or so"), said) == value


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("text", None, "  "),
        ("text", None, "x" * 1001),
        ("numeric", None, "about 100"),
        ("numeric", None, "1.2.3"),
        ("numeric", None, "1" * 19),
        ("numeric", None, "٣"),
        ("checkbox", None, "maybe"),
        ("multitext", "PHONE", "call me"),
        ("multitext", "PHONE", "+7 900"),
        ("multitext", "EMAIL", "ann@example"),
        ("multitext", "EMAIL", "ann@example.com, bob@example.com"),
    ],
)
def test_what_is_no_such_value_is_declined(kind, code, said):
    """AGT-26"""
    with pytest.raises(Declined, match="value_unfit"):
        said_value(kind, code, (), said)


def test_a_price_is_a_whole_number():
    assert [whole_number(said) for said in ("120 000", "7.00", "7,0")] == [120_000, 7, 7]
    with pytest.raises(Declined):
        whole_number("7.5")


def test_every_tool_of_an_action_is_allowed_by_the_setting_of_its_name():
    """MSG-15: what no setting allows may change nothing"""
    free = {name for name, tool in TOOLS.items() if tool.action is None}
    assert free == {"write_field", "tell_intent"}, "a tool without a setting acts by rules, or on nothing"
    assert all(tool.action == name for name, tool in TOOLS.items() if name not in free)
