"""Everything the screens do is in the API, with as many ids in its address as the page's own."""

import re

from acceptance.operations import BY_NAME, OPEN
from acceptance.page_actions import ACTIONS, Why, page_actions
from isolation.routes import PAGES

# What a page knows from its cookies the caller of an operation names; the token of a link goes in a body. One
# page is of all agents, and its form names the agent.
SAID_OTHERWISE = {
    f"POST {PAGES}/scenarios/condition",
    "POST /logout",
    f"POST {PAGES}/integrations/consent/{{integration_id}}",
    "POST /impersonation/stop",
    "POST /setup/{token}",
    "POST /invitation/{token}",
    "POST /invitation/{token}/register",
    "POST /reset-password/{token}",
    "POST /verify-email/{token}",
    "POST /change-email/{token}",
}


def ids(name):
    return set(re.findall(r"\{(\w+)\}", name)) - {"workspace"}


def test_each_action_of_a_page_names_its_operation_or_the_reason_why_there_is_none():
    missing, gone = page_actions() - ACTIONS.keys(), ACTIONS.keys() - page_actions()
    assert not missing, f"say in acceptance/page_actions.py which operation does this: {sorted(missing)}"
    assert not gone, f"no page does this any more: {sorted(gone)}"
    assert all(why.reason for why in ACTIONS.values() if isinstance(why, Why))


def test_each_named_operation_exists():
    named = {name for name in ACTIONS.values() if isinstance(name, str)}
    assert named - BY_NAME.keys() - OPEN == set()


def test_an_operation_is_about_the_object_its_page_is_about():
    odd = {
        page: operation
        for page, operation in ACTIONS.items()
        if isinstance(operation, str) and page not in SAID_OTHERWISE and ids(page) != ids(operation)
    }
    assert odd == {}
