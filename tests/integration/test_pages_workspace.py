"""The pages of a workspace without a script: rights, forms, errors, and what the pages say."""

import asyncio
import json
import re
from urllib.parse import urlsplit

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import FILE_MAX_BYTES, NewArticle
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.ids import new_id
from integration.conftest import serving_here
from isolation.estate import furnish
from readers import reader_of, texts

PAGES = (
    "/dashboard",
    "/conversations",
    "/ai-agents",
    "/knowledge-base",
    "/knowledge-items",
    "/integrations",
)


@pytest.fixture
async def agent(database, scope):
    async with database.session(scope) as session:
        return await agents.create_agent(session, "Support", locale="en")


@pytest.fixture
async def article(database, scope):
    async with database.session(scope) as session:
        return await knowledge.create_article(
            session, NewArticle("Payment", "By card or in cash."), now=utcnow()
        )


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("path", [*PAGES, "/ai-agents/create", "/knowledge-items/create"])
async def test_a_page_is_drawn_in_the_readers_language(alice, path, language):
    """U005"""
    alice.http.cookies.set("language", language)
    page = await alice.open(path)
    assert page.status_code == 200
    assert f'<html lang="{language}"' in page.text
    assert page.text.count("<h1") == 1
    assert page.headers["cache-control"] == "no-store"


async def test_a_wrong_slug_leads_to_the_right_address(alice):
    number = re.search(r"\d+", alice.base)[0]
    for wrong in (f"/manage/{number}-other", f"/manage/{number}"):
        answer = await alice.http.get(f"{wrong}/ai-agents?q=x")
        assert (answer.status_code, answer.headers["location"]) == (308, f"{alice.base}/ai-agents?q=x")


@pytest.mark.parametrize(
    ("language", "words"), [("ru", "Такой страницы нет"), ("en", "There is no such page")]
)
async def test_an_error_is_a_page_for_people_and_a_problem_for_programs(alice, language, words):
    """U033"""
    alice.http.cookies.set("language", language)
    for path in ("/nothing", "/ai-agents/no-id/edit", f"/ai-agents/{new_id()}/edit"):
        page = await alice.open(path)
        assert page.status_code == 404
        assert words in page.text
    problem = await alice.http.get("/api/v1/agents")
    assert problem.headers["content-type"] == "application/problem+json"


async def test_a_neighbours_workspace_is_as_missing_as_none(web, database, other_scope, alice):
    """U003"""
    async with reader_of(web, database, other_scope) as charlie:
        theirs = charlie.base
    pages = [await alice.http.get(f"{base}/dashboard") for base in (theirs, "/manage/1-nowhere")]
    assert [page.status_code for page in pages] == [404, 404]
    assert texts(pages[0]) == texts(pages[1])


async def test_who_may_only_look_sees_no_control(dora, agent, article):
    tabs = (f"/ai-agents/{agent.id}/edit", f"/ai-agents/{agent.id}/advanced-settings")
    looks = {"/logout", "/preferences/theme", "/preferences/language"}
    own = {"/ai-agents": {f"{dora.base}/ai-agents/columns"}}  # which columns are shown is the looker's own
    for path in (*PAGES, *tabs, f"/knowledge-items/{article.id}/edit"):
        page = await dora.open(path)
        assert page.status_code == 200, path
        forms = set(re.findall(r'<form method="post" action="([^"]+)"', page.text))
        assert forms == looks | own.get(path, set()), path


@pytest.mark.parametrize(
    "path",
    [
        "/ai-agents/create",
        "/ai-agents/{id}/edit",
        "/ai-agents/{id}/advanced-settings",
        "/ai-agents/{id}/active",
        "/ai-agents/{id}/delete",
        "/knowledge-base/documents",
        "/knowledge-base/documents/{id}/retry",
        "/knowledge-base/documents/{id}/delete",
        "/knowledge-items/create",
        "/knowledge-items/preview",
        "/knowledge-items/{id}/edit",
        "/knowledge-items/{id}/active",
        "/knowledge-items/{id}/delete",
        "/integrations",
        "/integrations/{id}/disconnect",
        "/conversations/{id}/takeover",
        "/conversations/{id}/resume",
    ],
)
async def test_who_may_only_look_changes_nothing(dora, path):
    """U033"""
    answer = await dora.send(path.format(id=new_id()), {"name": "Stolen"})
    assert answer.status_code == 403
    assert "You need other access here" in texts(answer)


async def test_an_agent_is_created_by_its_name_and_is_off(alice):
    """U066"""
    editor = await alice.follow(await alice.send("/ai-agents/create", {"name": "Sales"}))
    assert "The agent is created" in texts(editor)
    assert "Off, stays silent" in texts(await alice.open("/ai-agents"))


async def test_a_taken_name_is_refused_and_kept(alice, agent):
    """U066"""
    answer = await alice.send("/ai-agents/create", {"name": "support"})
    assert answer.status_code == 422
    assert 'value="support"' in answer.text
    assert "An agent with this name exists already." in texts(answer)


async def test_an_editor_names_all_errors_at_once_and_loses_nothing(alice, agent, database, scope):
    """U073, U085, U087"""
    typed = {"name": "", "not_found_text": "x" * 501, "not_found_task": "on", "handoff_text": "Wait."}
    answer = await alice.send(f"/ai-agents/{agent.id}/edit", typed)
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 5  # also lists of which nothing is chosen
    assert "x" * 501 in answer.text
    answer = await alice.send(f"/ai-agents/{agent.id}/advanced-settings", {"response_delay_seconds": "soon"})
    assert answer.status_code == 422 and 'value="soon"' in answer.text
    async with database.session(scope) as session:
        assert await agents.get_agent(session, agent.id) == agent


async def test_an_editor_saves_what_it_shows_and_leaves_the_rest(alice, agent, database, scope):
    """U088"""
    typed = {"name": "Desk", "not_found_text": "One moment.", "handoff_text": "A colleague answers."}
    typed |= dict.fromkeys(("knowledge.all", "channels.all", "pipelines.all"), "on")
    saved = await alice.follow(await alice.send(f"/ai-agents/{agent.id}/edit", typed))
    assert "Published" in texts(saved)
    advanced = f"/ai-agents/{agent.id}/advanced-settings"
    await alice.follow(await alice.send(advanced, {"response_delay_seconds": "7", "hours.timezone": "UTC"}))
    async with database.session(scope) as session:
        found = await agents.get_agent(session, agent.id)
    settings = found.settings
    assert (found.name, settings.response_delay_seconds, settings.not_found_task) == ("Desk", 7, False)
    assert settings.not_found_text == "One moment." and not settings.remembers_customers
    assert settings.instructions == agent.settings.instructions


async def test_a_switch_acts_at_once_with_and_without_a_script(alice, agent, database, scope):
    """U060"""
    path = f"/ai-agents/{agent.id}/active"
    answer = await alice.send(path, {"is_active": "on"}, headers={"hx-request": "true"})
    assert answer.status_code == 200
    assert "The agent “Support” is on" in texts(answer)
    assert "Answers customers" in texts(await alice.open("/ai-agents?part=list"))
    await alice.follow(await alice.send(path))
    async with database.session(scope) as session:
        assert not (await agents.get_agent(session, agent.id)).is_active


async def test_without_a_model_the_editor_says_so_and_hides_what_has_no_effect(alice, agent):
    for tab in ("edit", "advanced-settings"):
        page = await alice.open(f"/ai-agents/{agent.id}/{tab}")
        assert "No model is set." in texts(page)
        assert all(name in page.text for name in ("LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL"))
        assert not re.findall(r'name="(instructions|creativity|model)"', page.text)


async def test_with_a_model_the_editor_shows_what_steers_it(home, roles, database, scope, agent):
    async with serving_here(home, llm_model="gpt-test") as url, reader_of(url, database, scope) as reader:
        pages = [await reader.open(f"/ai-agents/{agent.id}/{tab}") for tab in ("edit", "advanced-settings")]
    text = "".join(page.text for page in pages)
    assert "No model is set." not in text
    assert set(re.findall(r'name="(instructions|creativity|model)"', text)) == {
        "instructions",
        "creativity",
        "model",
    }


async def test_an_article_is_previewed_without_being_saved(alice):
    """U153"""
    typed = {"title": "T", "content": "**bold** <script>x</script>", "preview": ""}
    page = await alice.send("/knowledge-items/create", typed)
    assert "<strong>bold</strong>" in page.text
    assert "<script>x" not in page.text
    assert "No articles yet" in texts(await alice.open("/knowledge-items"))


async def test_an_article_somebody_else_changed_is_not_overwritten(alice, article, database, scope):
    first, second = (
        {"title": "Payment", "content": f"By {how} only.", "version": "1"} for how in ("card", "cash")
    )
    await alice.follow(await alice.send(f"/knowledge-items/{article.id}/edit", first))
    refused = await alice.send(f"/knowledge-items/{article.id}/edit", second)
    assert refused.status_code == 409
    assert "Somebody else changed this article" in texts(refused) and "By cash only." in refused.text
    async with database.session(scope) as session:
        assert (await knowledge.get_article(session, article.id)).content == "By card only."


async def test_files_that_can_be_read_are_taken_and_the_others_are_named(alice):
    """U135, U136"""
    files = [("files", ("rules.md", b"# Rules\n\nBe kind.")), ("files", ("film.mp4", b"0"))]
    answer = await alice.send("/knowledge-base/documents", files=files)
    assert answer.status_code == 422
    assert "film.mp4 Files of this type are not read. Upload one of these:" in texts(answer)
    assert "rules.md" in texts(await alice.open("/knowledge-base"))


async def test_an_upload_of_nothing_asks_for_a_file(alice):
    """U135"""
    answer = await alice.send("/knowledge-base/documents", files=[("files", ("", b""))])
    assert answer.status_code == 422
    assert "Choose a file first." in texts(answer)


async def test_a_file_above_the_limit_and_one_without_a_byte_are_refused_and_the_others_taken(alice):
    """U134, U135: the page names each with its reason, in the reader's language; nothing of it is kept"""
    sent = [("films.txt", b"x" * (FILE_MAX_BYTES + 1)), ("nothing.txt", b""), ("rules.txt", b"Be kind.")]
    files = [("files", one) for one in sent]
    refused = await alice.send("/knowledge-base/documents", files=files, timeout=60)
    assert refused.status_code == 422
    told = texts(refused)
    assert "films.txt The file is larger than 50 MB." in told and "nothing.txt The file is empty." in told
    alice.http.cookies.set("language", "ru")
    told = texts(await alice.send("/knowledge-base/documents", files=files[1:2]))
    assert "nothing.txt Файл пуст." in told
    listed = texts(await alice.open("/knowledge-base?part=list"))
    assert "rules.txt" in listed and "films.txt" not in listed and "nothing.txt" not in listed


async def test_an_upload_above_all_limits_is_refused_by_a_page_before_it_is_sent(alice):
    """U135"""
    url = urlsplit(str(alice.http.base_url))
    cookies = "; ".join(f"{one.name}={one.value}" for one in alice.http.cookies.jar)
    head = (
        f"POST {alice.base}/knowledge-base/documents HTTP/1.1",
        f"Host: {url.netloc}",
        f"Cookie: {cookies}",
        "Content-Type: multipart/form-data; boundary=x",
        f"Content-Length: {2 * FILE_MAX_BYTES}",
        "Connection: close",
    )
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write("\r\n".join((*head, "", "")).encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith("HTTP/1.1 413 ")
    assert "The file is too large" in answer and "Choose a smaller one and send it again." in answer


async def test_a_failed_document_says_why_and_can_be_tried_again(alice, database, scope):
    """U138"""
    await alice.follow(await alice.send("/knowledge-base/documents", files=[("files", ("a.pdf", b"no pdf"))]))
    async with database.session(scope) as session:
        (document,) = await knowledge.list_documents(session)
        await knowledge.fail_document(session, document.id, "damaged", now=utcnow())
    page = await alice.open("/knowledge-base")
    assert "The file is damaged" in texts(page)
    path = f"/knowledge-base/documents/{document.id}/retry"
    assert "In the queue" in texts(await alice.follow(await alice.send(path)))
    assert "Only a failed document can be tried again." in texts(await alice.follow(await alice.send(path)))


async def test_a_wrong_address_of_a_crm_is_refused_and_kept(alice):
    """U168"""
    answer = await alice.send("/integrations", {"address": "example.org", "token": "ey.token"})
    assert answer.status_code == 422
    assert 'value="example.org"' in answer.text and "ey.token" in answer.text
    assert "Enter the address of your account" in texts(answer)


@pytest.fixture
async def estate(database):
    return await furnish(database, Vault([bytes(range(32))]), f"finch{new_id().hex[-8:]}")


async def test_a_conversation_is_taken_over_and_given_back(web, database, estate):
    """U187"""
    async with reader_of(web, database, estate.scope) as reader:
        path = f"/conversations/{estate.conversation_id}"
        given = await reader.follow(await reader.send(f"{path}/resume"))
        assert "Take over" in texts(given)
        taken = await reader.follow(await reader.send(f"{path}/takeover"))
        assert f"Stopped: Alice {estate.canary} holds the conversation" in texts(taken)
        assert f"Alice {estate.canary}" in texts(await reader.open("/conversations?part=list"))


async def test_what_people_write_is_never_markup(alice, database, scope):
    async with database.session(scope) as session:
        await agents.create_agent(session, "<img src=x onerror=alert(1)>", locale="en")
    for path in ("/ai-agents", "/ai-agents?part=list"):
        page = await alice.open(path)
        assert "&lt;img src=x" in page.text and "<img" not in page.text


async def test_a_page_hears_what_changes_and_what_it_missed(alice, agent, database, scope):
    page = await alice.open("/ai-agents")
    cursor = re.search(r'data-live-cursor="(\d+)"', page.text)[1]
    async with database.session(scope) as session:
        await agents.update_agent(session, agent.id, {"name": "Renamed"})
    heard = b""
    async with alice.http.stream("GET", f"{alice.base}/live?topics=agents&last={cursor}") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for chunk in stream.aiter_bytes():
            heard += chunk
            if b"data:" in heard:
                break
    data = json.loads(re.search(rb"data: (.*)", heard)[1])
    assert data == {"topic": "agents", "kind": "changed", "ids": {"agent_id": str(agent.id)}}


async def test_a_script_whose_session_ended_is_told_so_and_not_led_away(stranger):
    """U034"""
    headers = {"hx-request": "true"}
    assert (await stranger.http.get("/manage/1-x/ai-agents?part=list", headers=headers)).status_code == 401


async def test_the_dashboard_ticks_what_is_done(alice, article, agent, database, scope):
    """U054"""
    assert "3 steps are left to the first answer" in texts(await alice.open("/dashboard"))
    async with database.session(scope) as session:
        await agents.update_agent(session, agent.id, {"is_active": True})
    assert "2 steps are left to the first answer" in texts(await alice.open("/dashboard?part=all"))
