"""An agent's own files over REST and on the editor's last tab, without a script."""

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.knowledge import service
from gptagent.features.knowledge.model import FILE_MAX_BYTES
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import NotFound
from gptagent.kernel.files import LocalFiles
from integration.test_knowledge_documents import Desk
from members import bearer
from readers import texts

TEXT = b"The wholesale price of the lantern is 700 roubles."


@pytest.fixture
def desk(database, scope, home):
    """Reads what the web process has taken in."""
    return Desk(database, LocalFiles(home / "files"), scope)


@pytest.fixture
async def pair(database, scope):
    async with database.session(scope) as session:
        return [await agents.create_agent(session, name, locale="en") for name in ("Anna", "Boris")]


async def the_file(desk, agent):
    async with desk.db.session(desk.scope) as session:
        (document,) = await service.list_documents(session, agent_id=agent.id)
        return document


async def fail(desk, document):
    async with desk.db.session(desk.scope) as session:
        await service.fail_document(session, document.id, "damaged", now=utcnow())


async def test_an_agent_is_given_files_over_rest_and_no_other_has_them(alice, desk, pair):
    """U130: upload, status, retry, delete; at another agent's address, and at documents', it is not there"""
    anna, boris = pair
    headers = await bearer(desk.db, desk.db._vault, desk.scope)

    async def call(method, path, **options):
        return await alice.http.request(method, f"/api/v1/{path}", headers=headers, **options)

    path = f"agents/{anna.id}/files"
    sent = {"files": {"file": ("prices.txt", TEXT)}}
    made = await call("POST", path, **sent)
    assert (made.status_code, made.json()["status"]) == (201, "pending")
    assert (made.json()["agent_id"], made.json()["categories"]) == (str(anna.id), [])
    assert (await call("POST", path, **sent)).status_code == 200, "the same bytes"
    for other in (f"agents/{boris.id}/files", "documents"):
        again = await call("POST", other, **sent)
        assert again.status_code == 201, "the same bytes of another owner are another file"
        assert again.json()["id"] != made.json()["id"]
    for owner in (path, f"agents/{boris.id}/files", "documents"):
        assert len((await call("GET", owner)).json()["items"]) == 1
    file = f"{path}/{made.json()['id']}"
    for wrong in (f"agents/{boris.id}/files/{made.json()['id']}", f"documents/{made.json()['id']}"):
        for method, at in (("GET", wrong), ("POST", f"{wrong}/retry"), ("DELETE", wrong)):
            assert (await call(method, at)).status_code == 404, wrong
    assert (await call("POST", f"{file}/retry")).status_code == 409, "it did not fail"
    document = await the_file(desk, anna)
    await fail(desk, document)
    assert (await call("GET", file)).json()["error_code"] == "damaged"
    assert (await call("POST", f"{file}/retry")).json()["status"] == "pending"
    assert (await desk.ingest(document.id, anna.id)).status == "completed"
    seen = await call("GET", file)
    stale = {"If-Match": '"0"'}
    refused = await alice.http.delete(f"/api/v1/{file}", headers={**headers, **stale})
    assert refused.status_code == 412
    gone = await alice.http.delete(f"/api/v1/{file}", headers={**headers, "If-Match": seen.headers["etag"]})
    assert gone.status_code == 204
    with pytest.raises(NotFound):
        await desk.files.open_path(document.blob_key)
    assert (await call("GET", path)).json()["items"] == []


async def test_what_cannot_be_a_file_of_an_agent_is_refused_and_leaves_nothing(alice, desk, pair):
    """U130: type, size, no agent of this number"""
    anna, _ = pair
    headers = await bearer(desk.db, desk.db._vault, desk.scope)
    path = f"/api/v1/agents/{anna.id}/files"
    for name, data, status in (("song.mp3", b"la", 415), ("big.txt", b"x" * (FILE_MAX_BYTES + 1), 413)):
        refused = await alice.http.post(path, headers=headers, files={"file": (name, data)})
        assert refused.status_code == status, name
    unknown = path.replace(str(anna.id), str(desk.scope.org_id))
    assert (
        await alice.http.post(unknown, headers=headers, files={"file": ("a.txt", TEXT)})
    ).status_code == 404
    assert (await alice.http.get(unknown, headers=headers)).status_code == 404
    async with desk.db.session(desk.scope) as session:
        assert await service.list_documents(session, agent_id=anna.id) == []


async def test_the_card_of_files_takes_shows_repeats_and_deletes(alice, dora, desk, pair):
    """U130: on the last tab of the editor, without a script; whoever only looks has no buttons"""
    anna, boris = pair
    editor, files = f"/ai-agents/{anna.id}/advanced-settings", f"/ai-agents/{anna.id}/files"
    assert "No files yet" in texts(await alice.open(editor))
    sent = [("files", ("prices.txt", TEXT)), ("files", ("empty.txt", b" "))]
    back = await alice.send(files, files=sent)
    assert back.headers["location"] == f"{alice.base}{editor}#files"
    async with desk.db.session(desk.scope) as session:
        for one in await service.list_documents(session, agent_id=anna.id):
            await desk.ingest(one.id, anna.id)
    told = texts(await alice.open(editor))
    assert all(
        words in told for words in ("prices.txt", "Ready", "empty.txt", "No text was found in the file.")
    )
    assert "prices.txt" not in texts(await alice.open(f"/ai-agents/{boris.id}/advanced-settings"))
    assert "prices.txt" not in texts(await alice.open("/knowledge-base"))
    async with desk.db.session(desk.scope) as session:
        documents = await service.list_documents(session, agent_id=anna.id)
        failed, ready = sorted(documents, key=lambda one: one.file_name)
    assert (await alice.send(f"{files}/{failed.id}/retry")).status_code == 303
    assert (await desk.get(failed.id, anna.id)).status == "pending"
    refused = await alice.send(files, files=[("files", ("song.mp3", b"la"))])
    assert refused.status_code == 422 and "song.mp3" in texts(refused)
    assert "Files of this type are not read." in texts(refused)
    assert "prices.txt" in texts(refused), "the list is there too"
    nothing = await alice.send(files, files=[("files", ("", b""))])
    assert "Choose a file first." in texts(nothing)
    seen = await dora.open(editor)
    assert "prices.txt" in texts(seen) and f"{files}/{ready.id}/delete" not in seen.text
    assert (await dora.send(files, files=[("files", ("b.txt", b"B."))])).status_code == 403
    assert (await alice.send(f"{files}/{ready.id}/delete")).status_code == 303
    with pytest.raises(NotFound):
        await desk.get(ready.id, anna.id)
    with pytest.raises(NotFound):
        await desk.files.open_path(ready.blob_key)
