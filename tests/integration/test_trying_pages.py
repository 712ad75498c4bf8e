"""Test chats without a script: what a workspace without agents is told, the list, and what a chat needs."""

import html

from gptagent.features.agents import service as agents
from gptagent.features.dialog.trying.model import TITLE_MAX_CHARS
from readers import shown_in, texts


async def test_without_an_agent_there_is_no_chat_and_the_page_leads_to_one(alice):
    """U156, U157"""
    page = await alice.open("/test-chat")
    assert "No test chats yet" in texts(page) and "No agents yet" in texts(page)
    assert f'href="{alice.base}/ai-agents/create"' in page.text
    assert f'action="{alice.base}/test-chat"' not in page.text


async def test_a_chat_names_its_agent_is_listed_and_goes_after_a_question(alice, database, scope):
    """U156, U157"""
    async with database.session(scope) as session:
        agent = await agents.create_agent(session, "Support", locale="en")
    form = shown_in(await alice.open("/test-chat"), f"{alice.base}/test-chat")
    assert form["agent_id"] == [str(agent.id)]
    nobody = await alice.send("/test-chat", {**form, "agent_id": "", "title": "Prices"})
    assert nobody.status_code == 422 and 'value="Prices"' in nobody.text
    assert "Choose one of the offered values." in texts(nobody)
    long = await alice.send("/test-chat", {**form, "title": "x" * (TITLE_MAX_CHARS + 1)})
    assert long.status_code == 422 and f"At most {TITLE_MAX_CHARS} characters." in texts(long)
    made = [await alice.send("/test-chat", {**form, "title": title}) for title in ("Prices", "")]
    places = [one.headers["location"] for one in made]
    newest = await alice.open("/test-chat")
    assert newest.headers["location"] == places[1]
    page = await alice.follow(newest)
    listed = html.unescape(page.text.partition('id="chats"')[2].partition("</section>")[0])
    assert [listed.index(one) for one in places] == sorted(
        (listed.index(one) for one in places), reverse=True
    )
    assert "Prices" in listed and "Empty chat" in listed and listed.count("Support") == 2
    assert 'id="delete-chat"' in page.text and "Delete this chat?" in texts(page)
    for place in places:
        left = await alice.follow(await alice.send(f"{place.removeprefix(alice.base)}/delete"))
    assert "No test chats yet" in texts(left)
