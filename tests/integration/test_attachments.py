"""Files that come with customers' messages."""

import base64

import pytest

from gptagent.features.conversations.attaching.service import (
    AttachmentJobs,
    as_download,
    discard_files,
    list_attachments,
    open_attachment,
)
from gptagent.features.crm.model import InboundMessage
from gptagent.features.privacy import service as privacy
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import NotFound, UpstreamUnavailable
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.jobs import JobContext
from scenes import Scene, Wrapped

CONTENT = b"%PDF-1.7 the customer's plan"


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


@pytest.fixture
def files(tmp_path):
    return LocalFiles(tmp_path)


async def stored_at(world, name="plan.pdf", content=CONTENT, **options):
    body = {"name": name, "mime": "application/pdf", "content": base64.b64encode(content).decode(), **options}
    return (await world.account.call("POST", "/files", body))["link"]


async def sends(scene, link, *, name="plan.pdf"):
    chat = scene.chat
    message = InboundMessage(
        provider_id="with-a-file",
        chat_id=chat["chat_id"],
        talk_id=chat["talk_id"],
        contact_id=chat["contact_id"],
        lead_id=chat["lead_id"],
        author="customer",
        author_name="Ann",
        text="",
        sent_at=utcnow(),
        origin="waba",
        attachment_type="file",
        attachment_url=link,
        attachment_name=name,
    )
    await scene.hears(message)
    await scene.hears(message)


async def fetch(scene, files, crm=None):
    """Run the job of each file twice; return the files as the thread shows them."""
    world = scene.world
    jobs = AttachmentJobs(crm or scene.crm, world.vault)
    async with world.db.session(world.scope) as session:
        ids = [row["id"] for row in await session.fetch("select id from app.attachment")]
    for attachment_id in ids * 2:
        await jobs.fetch(JobContext(world.db, files, world.scope, 1, 1), attachment_id=str(attachment_id))
    async with world.db.session(world.scope) as session:
        return await list_attachments(session, scene.conversation_id, [1])


async def test_a_file_is_fetched_once_and_handed_out_as_a_download_only(scene, world, files):
    await sends(scene, await stored_at(world))
    (found,) = await fetch(scene, files)
    assert (found.name, found.state, found.size_bytes) == ("plan.pdf", "stored", len(CONTENT))
    async with world.db.session(world.scope) as session:
        attachment, path = await open_attachment(session, files, scene.conversation_id, found.id)
        sealed = await session.fetchval("select url_sealed from app.attachment")
    assert path.read_bytes() == CONTENT
    assert sealed is None
    headers = as_download(attachment, path).headers
    assert headers["content-disposition"] == 'attachment; filename="plan.pdf"'
    assert headers["content-type"] == "application/octet-stream"
    assert (headers["x-content-type-options"], "sandbox" in headers["content-security-policy"]) == (
        "nosniff",
        True,
    )


@pytest.mark.parametrize(
    "link",
    [
        "http://amojo.kommo.test/v2/x/attachments/y/z",
        "https://amojo.kommo.test.evil.example/x",
        "https://evil.example/amojo.kommo.test",
        "https://acme.kommo.test/api/v4/leads",
        "https://user:pass@amojo.kommo.test/x",
        "https://amojo.kommo.test:8443/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "file:///etc/passwd",
    ],
)
async def test_nothing_is_fetched_from_anywhere_else(scene, files, link):
    await sends(scene, link)
    (found,) = await fetch(scene, files)
    assert found.state == "refused"


async def test_a_file_that_is_too_large_is_refused(scene, world, files, monkeypatch):
    monkeypatch.setattr("gptagent.features.conversations.attaching.service.MAX_BYTES", 10)
    await sends(scene, await stored_at(world))
    (found,) = await fetch(scene, files)
    assert found.state == "refused"


async def test_a_server_that_is_away_is_asked_again_and_then_given_up(scene, world, files):
    async def download_attachment(*_args, **_options):
        raise UpstreamUnavailable("crm_unavailable", "away")

    await sends(scene, await stored_at(world))
    away = Wrapped(scene.crm, download_attachment=download_attachment)
    with pytest.raises(UpstreamUnavailable):
        await fetch(scene, files, away)
    async with world.db.session(world.scope) as session:
        attachment_id = await session.fetchval("select id from app.attachment")
    await AttachmentJobs(away, world.vault).give_up(
        JobContext(world.db, files, world.scope, 1, 5), attachment_id=str(attachment_id)
    )
    (found,) = await fetch(scene, files)
    assert found.state == "failed"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\x\\plan.pdf", "C__x_plan.pdf"),
        ("\u202egpj.exe", "gpj.exe"),
        ("a" * 300 + ".pdf", "a" * 116 + ".pdf"),
        ("...", "file"),
    ],
)
async def test_names_are_made_harmless(scene, world, *, given, kept):
    await sends(scene, "https://amojo.kommo.test/x", name=given)
    async with world.db.session(world.scope) as session:
        (found,) = await list_attachments(session, scene.conversation_id, [1])
    assert found.name == kept


async def test_an_erased_customers_files_are_deleted(scene, world, files):
    await sends(scene, await stored_at(world))
    (found,) = await fetch(scene, files)
    async with world.db.session(world.scope) as session:
        _, path = await open_attachment(session, files, scene.conversation_id, found.id)
        await privacy.erase_customer(session, scene.conversation_id)
    assert path.exists()
    assert await discard_files(world.db, files) == 1
    assert not path.exists()
    async with world.db.session(world.scope) as session:
        with pytest.raises(NotFound):
            await open_attachment(session, files, scene.conversation_id, found.id)
