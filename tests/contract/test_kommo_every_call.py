"""Every call the CRM port has, under every fault there is, ends in an error the port promises.

The list of calls is the port's own: a new method needs its line in CALLS.
"""

import inspect

import pytest

from contract.kommo_calls import CALLS, LOCAL, PAGE
from contract.kommo_tools import Recorder, connected, linked
from contract.sandbox_tools import accounts_at
from gptagent.adapters.kommo.client import Deadlines
from gptagent.features.crm.ports import CrmPort
from gptagent.kernel.errors import (
    AppError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    UpstreamUnavailable,
)
from gptagent.sandbox.spawn import running

# A refusal says for certain that nothing was carried out.
REFUSALS = {
    "400": ({"status": 400}, Invalid, "crm_rejected"),
    "401": ({"status": 401}, Forbidden, "crm_unauthorized"),
    "402": ({"status": 402}, Conflict, "crm_payment_required"),
    "403": ({"status": 403}, Forbidden, "crm_scope"),
    "403 page": ({"status": 403, "body": "html"}, RateLimited, "crm_blocked"),
    "404": ({"status": 404}, NotFound, "crm_not_found"),
    "422": ({"status": 422}, Invalid, "crm_rejected"),
    "429": ({"status": 429, "retry_after": 7}, RateLimited, "crm_rate_limited"),
    "429 plain": ({"status": 429, "body": "plain"}, RateLimited, "crm_rate_limited"),
    "503": ({"status": 503}, UpstreamUnavailable, "crm_unavailable"),
}
# The request left, and nobody said what became of it.
SILENCES = {
    "500": {"status": 500},
    "500 page": {"status": 500, "body": "html"},
    "502": {"status": 502},
    "504": {"status": 504},
    "504 page": {"status": 504, "body": "html"},
    "reset": {"action": "reset"},
    "malformed": {"action": "spoil", "body": "malformed"},
    "page": {"action": "spoil", "body": "html"},
    "truncated": {"action": "spoil", "body": "truncated"},
}
EMPTY = {"action": "spoil", "body": "empty"}
TIMEOUTS = {
    "slow": {"action": "delay", "delay_ms": 600},
    "accept_then_timeout": {"action": "accept_then_timeout"},
}
SHORT = Deadlines(read=0.4, write=0.4)


def methods():
    return {
        name
        for part in CrmPort.__mro__
        if part.__module__.startswith("gptagent.features.crm")
        for name, _ in inspect.getmembers(part, inspect.isfunction)
        if not name.startswith("_")
    }


def test_every_method_of_the_port_has_its_case():
    assert methods() == CALLS.keys() | LOCAL


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture
def account(url):
    with accounts_at(url) as factory:
        yield factory()


async def outcome(call, crm, link):
    """Return the error's kind and code, by the names of the kernel; None for a success."""
    try:
        await call.make(crm, link)
    except AppError as error:
        known = next(kind for kind in type(error).__mro__ if kind.__module__ == AppError.__module__)
        return known.__name__, error.code
    return None


async def outcomes(crm, account, call, faults):
    found = {}
    for name, fault in faults.items():
        account.steer("DELETE", "/faults")
        account.steer("POST", "/faults", **fault)
        found[name] = await outcome(call, crm, linked(account))
    account.steer("DELETE", "/faults")
    return found


async def outcome_where_struck(crm, account, call, fault):
    """Return the outcome of a request that came there: on a busy machine its time may pass before it left."""
    while True:
        account.steer("POST", "/faults", count=1, **fault)
        found = await outcome(call, crm, linked(account))
        if account.steer("GET", "/faults")["faults"] == []:
            return found
        account.steer("DELETE", "/faults")


def silent(call):
    unsure = ("OutcomeUnknown", "crm_outcome_unknown")
    return unsure if call.is_write else ("UpstreamUnavailable", "crm_unavailable")


@pytest.mark.parametrize("name", CALLS)
async def test_a_refusal_means_the_same_for_every_call(url, account, name):
    call, recorder = CALLS[name], Recorder()
    async with connected(url, recorder) as crm:
        found = await outcomes(crm, account, call, {key: fault for key, (fault, _, _) in REFUSALS.items()})
    expected = {key: (kind.__name__, code) for key, (_, kind, code) in REFUSALS.items()}
    assert found == expected | call.otherwise


@pytest.mark.parametrize("name", CALLS)
async def test_silence_leaves_the_outcome_of_a_write_open_and_of_no_read(url, account, name):
    call = CALLS[name]
    async with connected(url, Recorder()) as crm:
        found = await outcomes(crm, account, call, SILENCES)
    assert found == dict.fromkeys(SILENCES, silent(call))


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_that_never_comes_is_silence(url, account, name):
    call = CALLS[name]
    async with connected(url, Recorder(), deadlines=SHORT) as crm:
        found = {
            key: await outcome_where_struck(crm, account, call, fault) for key, fault in TIMEOUTS.items()
        }
    assert found == dict.fromkeys(TIMEOUTS, silent(call))


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if not call.is_write])
async def test_an_empty_success_tells_a_read_nothing(url, account, name):
    """Only 204 says that there is nothing."""
    async with connected(url, Recorder()) as crm:
        found = await outcomes(crm, account, CALLS[name], {"empty": EMPTY})
    assert found == {"empty": ("UpstreamUnavailable", "crm_unavailable")}


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.is_write])
async def test_an_empty_success_of_a_write_is_success_or_unknown(url, account, name):
    async with connected(url, Recorder()) as crm:
        found = await outcomes(crm, account, CALLS[name], {"empty": EMPTY})
    assert found["empty"] in {None, ("OutcomeUnknown", "crm_outcome_unknown")}


@pytest.mark.parametrize("name", CALLS)
async def test_where_nothing_listens_nothing_was_carried_out(account, name):
    async with connected("http://127.0.0.1:9", Recorder()) as crm:
        assert await outcome(CALLS[name], crm, linked(account)) == ("UpstreamUnavailable", "crm_unavailable")


async def test_sickness_is_told_apart_from_refusals(url, account):
    """What the circuit counts: silence, not refusals; and what says nothing of the account is not told."""
    recorder, call = Recorder(), CALLS["fetch_account"]
    async with connected(url, recorder) as crm:
        faults = {key: REFUSALS[key][0] for key in ("400", "401", "404", "429", "403 page", "503")}
        await outcomes(crm, account, call, faults | SILENCES)
        assert await outcome(call, crm, linked(account)) is None
    told = [failed for _, failed in recorder.reported]
    assert told == [False, False, False, True, *[True] * len(SILENCES), False]


@pytest.mark.parametrize("limits", ["250", "250|50"])
async def test_a_list_that_takes_too_long_comes_in_smaller_pages(url, account, limits):
    """504 for more rows than the CRM can manage: all come all the same, each once and in order."""
    account.steer("POST", "/records/leads", count=300)
    account.steer("POST", "/faults", method="GET", path="/leads$", query=f"limit=({limits})(&|$)", status=504)
    async with connected(url, Recorder()) as crm:
        batch = await crm.fetch_leads(linked(account), PAGE)
    ids = [lead.id for lead in batch.items]
    assert len(ids) == 250 and ids == sorted(set(ids)) and batch.has_more
