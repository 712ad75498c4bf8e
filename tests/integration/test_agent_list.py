"""The list of agents: filters, order and pages in its address, several changed at once, copies."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.agents.listing import service
from gptagent.features.agents.listing.model import AgentFilter
from gptagent.features.agents.model import Agent, Opening, Settings
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page
from integration.conftest import serving_here
from members import add_member
from readers import reader_of, shown_in, texts

OWN_MODEL = "gpt-test"


@pytest.fixture
async def session(database, scope):
    async with database.session(scope) as session:
        yield session


@pytest.fixture(scope="module")
async def served(home, roles):
    async with serving_here(home, llm_model=OWN_MODEL) as url:
        yield url


@pytest.fixture
async def owner(served, database, scope):
    async with reader_of(served, database, scope) as reader:
        yield reader


async def made(session, *names, **changes) -> list[Agent]:
    found = [await agents.create_agent(session, name, locale="en") for name in names]
    return [await agents.update_agent(session, one.id, changes) for one in found]


async def names(session, **wanted):
    page = Page.read(service.ORDERS["name"], 10, None)
    found, _after = await service.page_agents(session, page, AgentFilter(**wanted), OWN_MODEL)
    return [one.name for one in found]


async def test_a_list_is_narrowed_by_name_state_model_and_time_of_change(session):
    """AGT-7, U057"""
    await made(session, "Night desk", is_active=True)
    await made(session, "Sales", "100% sale", model="gpt-5")
    assert await names(session) == ["100% sale", "Night desk", "Sales"]
    assert await names(session, search="SALE") == ["100% sale", "Sales"]
    assert await names(session, search="%") == ["100% sale"]
    assert await names(session, is_active=True) == ["Night desk"]
    assert await names(session, model=OWN_MODEL) == ["Night desk"]
    assert await names(session, model="gpt-5", search="s", is_active=False) == ["100% sale", "Sales"]
    now, hour = utcnow(), timedelta(hours=1)
    assert await names(session, changed_from=now - hour, changed_before=now + hour) == await names(session)
    assert await names(session, changed_from=now + hour) == []
    assert await names(session, changed_before=now - hour) == []
    counts = await service.count_agents(session)
    assert (counts.total, counts.active, counts.models) == (3, 1, ("gpt-5",))


async def test_several_are_changed_at_once_all_or_none(session, database, other_scope):
    """AGT-8, U063"""
    chosen = [one.id for one in await made(session, "One", "Two")]
    (left,) = await made(session, "Three")
    assert await service.change_agents(session, [*chosen, chosen[0]], "activate") == 2
    assert await names(session, is_active=True) == ["One", "Two"]
    assert await service.change_agents(session, chosen, "set_model", model="gpt-5") == 2
    assert await names(session, model="gpt-5") == ["One", "Two"]
    await service.change_agents(session, chosen, "set_model")
    assert (await agents.get_agent(session, chosen[0])).settings.model is None
    await service.change_agents(session, chosen, "deactivate")
    assert await names(session, is_active=True) == []
    async with database.session(other_scope) as others:
        (theirs,) = await made(others, "Theirs")
    for missing in (theirs.id, new_id()):
        with pytest.raises(NotFound):
            await service.change_agents(session, [left.id, missing], "delete")
        assert await agents.find_agent(session, theirs.id) is None
    with pytest.raises(Invalid):
        await service.change_agents(session, [new_id() for _ in range(101)], "delete")
    with pytest.raises(Invalid):
        await service.change_agents(session, chosen, "set_model", model="x" * 201)


async def test_a_deletion_of_several_that_fails_deletes_none(database, scope):
    """AGT-8"""
    async with database.session(scope) as session:
        chosen = [one.id for one in await made(session, "One", "Two")]
    with pytest.raises(NotFound):
        async with database.session(scope) as session:
            await service.change_agents(session, [*chosen, new_id()], "delete")
    async with database.session(scope) as session:
        assert await names(session) == ["One", "Two"]
        assert await service.change_agents(session, chosen, "delete") == 2
        assert await names(session) == []


async def test_a_copy_has_every_setting_its_own_name_and_is_silent(session):
    """AGT-9, U061"""
    other = replace(
        Settings(),
        instructions="Be kind to all.",
        creativity="precise",
        hours=replace(Settings().hours, is_on=True, week=(Opening(1, "10:00", "11:00"),)),
        model="gpt-5",
        goal="A visit",
    )
    (source,) = await made(
        session,
        "Sales",
        is_active=True,
        instructions=other.instructions,
        creativity="precise",
        hours={"is_on": True, "week": [{"day": 1, "opens": "10:00", "closes": "11:00"}]},
        model="gpt-5",
        goal="A visit",
    )
    copy = await agents.copy_agent(session, source.id, locale="en")
    assert (copy.name, copy.is_active) == ("Sales (copy)", False)
    assert copy.settings == source.settings == replace(other, not_found_text=source.settings.not_found_text)
    again = await agents.copy_agent(session, source.id, locale="en")
    russian = await agents.copy_agent(session, source.id, locale="ru")
    assert (again.name, russian.name) == ("Sales (copy 2)", "Sales (копия)")
    (long,) = await made(session, "x" * 255)
    assert (await agents.copy_agent(session, long.id, locale="en")).name == f"{'x' * 248} (copy)"
    assert await agents.get_agent(session, source.id) == source


def shown(page):
    return re.findall(r'<a class="table__main truncate"[^>]*>([^<]+)</a>', page.text)


async def test_filters_order_and_pages_are_in_the_address(owner, database, scope):
    """AGT-7, U056, U057, U059"""
    async with database.session(scope) as session:
        await made(session, *(f"Desk {number:02}" for number in range(12)), model="gpt-5")
        await made(session, "Night", is_active=True)
    page = await owner.open("/ai-agents?sort=-name&size=10")
    assert shown(page) == ["Night", *(f"Desk {number:02}" for number in range(11, 2, -1))]
    assert 'aria-sort="descending"' in page.text and "1 to 10 of 13" in texts(page)
    assert shown(await owner.open("/ai-agents?sort=-name&size=10&page=2")) == [
        "Desk 02",
        "Desk 01",
        "Desk 00",
    ]
    assert shown(await owner.open("/ai-agents?status=active")) == ["Night"]
    assert shown(await owner.open(f"/ai-agents?model={OWN_MODEL}")) == ["Night"]
    assert shown(await owner.open("/ai-agents?q=desk+1&model=gpt-5&status=inactive")) == [
        "Desk 11",
        "Desk 10",
    ]
    nothing = await owner.open("/ai-agents?from=2099-01-01")
    assert "Nothing found" in texts(nothing) and "Reset" in texts(nothing)
    assert len(shown(await owner.open("/ai-agents?to=2099-01-01&from=nonsense"))) == 13
    part = await owner.open("/ai-agents?part=list&q=night")
    assert shown(part) == ["Night"] and "<html" not in part.text


async def test_another_filter_shows_the_first_page_with_nothing_chosen(owner, database, scope):
    """U058: whether it is typed, picked or a link"""
    async with database.session(scope) as session:
        await made(session, *(f"Desk {number:02}" for number in range(12)))
    page = await owner.open("/ai-agents?q=desk&size=10&page=2&chosen=all")
    assert shown(page) == ["Desk 10", "Desk 11"] and re.search(r'name="ids"[^>]* checked', page.text)
    sent = shown_in(page, f"{owner.base}/ai-agents", "get")
    assert sent["q"] == ["desk"] and not {"page", "chosen"} & sent.keys()
    page = await owner.open("/ai-agents", params={**sent, "q": "desk 0", "status": "inactive"})
    assert shown(page) == [f"Desk {number:02}" for number in range(10)]
    assert not re.search(r'name="ids"[^>]* checked', page.text)
    links = re.findall(r'class="segment" href="([^"]+)"', page.text)
    assert len(links) == 3 and not [one for one in links if "page=" in one or "chosen=" in one]


async def test_a_workspace_without_agents_is_led_to_its_first(owner, served, database, scope):
    """U064"""
    page = await owner.open("/ai-agents")
    assert "No agents yet" in texts(page) and "Nothing found" not in texts(page)
    assert f'href="{owner.base}/ai-agents/create"' in page.text and 'role="search"' not in page.text
    async with reader_of(served, database, await add_member(database, scope, "viewer")) as dora:
        page = await dora.open("/ai-agents")
        assert "No agents yet" in texts(page) and "/ai-agents/create" not in page.text


async def test_columns_and_order_are_remembered_by_the_browser(owner, database, scope):
    """AGT-7, U056"""
    async with database.session(scope) as session:
        await made(session, "Able", "Baker")
    page = await owner.open("/ai-agents")
    assert 'data-label="Model"' in page.text and 'data-label="Created"' not in page.text
    await owner.open("/ai-agents?sort=-name")
    back = await owner.send("/ai-agents/columns", {"column": ["created", "nonsense"], "q": "a"})
    assert back.headers["location"].endswith("/ai-agents?q=a")
    page = await owner.follow(back)
    assert shown(page) == ["Baker", "Able"]
    assert 'data-label="Created"' in page.text and 'data-label="Model"' not in page.text


async def test_the_ticked_ones_are_changed_and_the_same_list_is_shown(owner, database, scope):
    """AGT-8, AGT-9, U063"""
    async with database.session(scope) as session:
        one, two = await made(session, "One", "Two")
    page = await owner.open("/ai-agents?size=100&chosen=all")
    assert len(re.findall(r'name="ids"[^>]* checked', page.text)) == 2
    pressed_by_enter = re.search(r"<button[^>]*>", page.text.partition('id="bulk"')[2])[0]
    assert "disabled" in pressed_by_enter  # else the first one, "Switch on", also in the model's field
    bulk = "/ai-agents/bulk"
    ticked = {"ids": [str(one.id), str(two.id)], "q": "o"}
    page = await owner.follow(await owner.send(bulk, {**ticked, "action": "activate"}))
    assert "The agents are on" in texts(page) and shown(page) == ["One", "Two"]
    page = await owner.follow(await owner.send(bulk, {**ticked, "action": "set_model", "model": "gpt-5"}))
    assert texts(page).count("gpt-5") >= 2
    for fields, said in (
        ({"action": "delete"}, "Choose agents first."),
        ({"action": "nonsense", "ids": [str(one.id)]}, "Choose agents first."),
        ({"action": "delete", "ids": [str(one.id), str(new_id())]}, "One of the agents is gone."),
        ({**ticked, "action": "set_model", "model": "x" * 201}, "From 1 to 200 characters."),
    ):
        assert said in texts(await owner.follow(await owner.send(bulk, fields)))
    page = await owner.follow(await owner.send(f"/ai-agents/{one.id}/copy"))
    assert "One (copy)" in page.text and "The agent is copied" in texts(page)
    page = await owner.follow(await owner.send(bulk, {**ticked, "action": "delete"}))
    assert "The agents are deleted" in texts(page) and "One (copy)" in texts(page)


async def test_an_agent_is_renamed_in_the_list_and_a_wrong_name_stays_in_its_row(owner, database, scope):
    """AGT-7: without a script the pencil beside the name unfolds the form"""
    async with database.session(scope) as session:
        one, _two = await made(session, "One", "Two")
    place = f"/ai-agents/{one.id}/name"
    page = await owner.open("/ai-agents?sort=-name")
    assert f'data-renames="rename-{one.id}"' in page.text and f'id="rename-{one.id}" open' not in page.text
    page = await owner.follow(await owner.send(place, {"name": " Desk ", "sort": "-name", "q": "d"}))
    assert shown(page) == ["Desk"] and "The agent is renamed" in texts(page) and "q=d" in str(page.url)
    for wrong, said in (
        ("Two", "An agent with this name exists already."),
        ("", "From 1 to 255 characters."),
    ):
        refused = await owner.send(place, {"name": wrong, "sort": "-name"})
        assert refused.status_code == 422 and said in texts(refused)
        assert f'id="rename-{one.id}" open' in refused.text and refused.text.count('aria-invalid="true"') == 1
        assert re.search(rf'id="name-{one.id}" name="name" value="{wrong}"', refused.text)
    assert shown(refused) == ["Two", "Desk"]


async def test_who_may_only_look_sees_no_boxes_and_no_buttons(served, database, scope):
    """AGT-8"""
    async with database.session(scope) as session:
        await made(session, "One")
    looker = await add_member(database, scope, "viewer")
    async with reader_of(served, database, looker) as dora:
        page = await dora.open("/ai-agents")
        assert shown(page) == ["One"] and 'name="ids"' not in page.text and "bulk-bar" not in page.text
        assert (await dora.send("/ai-agents/bulk", {"action": "delete"})).status_code == 403
