"""Customers who send files, and the jobs that fetch and hear them."""

import base64
from io import BytesIO
from uuid import UUID, uuid4

from PIL import Image

from gptagent.features.conversations.attaching.service import AttachmentJobs, list_attachments
from gptagent.features.crm.model import InboundMessage
from gptagent.features.dialog.hearing.jobs import HearingJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.jobs import JobContext

NAMES = {"voice": "file.ogg", "picture": "file.jpeg", "file": "plan.txt", "video": "film.mp4"}
HEADS = {"voice": b"OggS\0", "file": b"", "video": b"\0\0\0\x20ftypisom\0"}


def recording(words, kind="voice"):
    """Return a file that the emulated models hear or see these words in."""
    return drawn(words) if kind == "picture" else HEADS[kind] + words.encode()


def drawn(words):
    """Return a real picture, the shades of whose dots spell the words."""
    shades, out = b"\0" + words.encode(), BytesIO()
    Image.frombytes("L", (len(shades), 1), shades).save(out, "PNG")
    return out.getvalue()


class Listening:
    """A scene whose customer sends files."""

    def __init__(self, scene, files, *, speech=None, vision=None):
        self.scene, self.files = scene, files
        self.jobs = HearingJobs(speech, vision)

    async def link_to(self, content, kind="voice"):
        body = {"name": NAMES[kind], "mime": "x/y", "content": base64.b64encode(content).decode()}
        return (await self.scene.world.account.call("POST", "/files", body))["link"]

    async def message(self, kind, content, *, text="", provider_id=None, at=None, author="customer"):
        chat = self.scene.chat
        return InboundMessage(
            provider_id=provider_id or str(uuid4()),
            chat_id=chat["chat_id"],
            talk_id=chat["talk_id"],
            contact_id=chat["contact_id"],
            lead_id=chat["lead_id"],
            author=author,
            author_name="Ann",
            text=text,
            sent_at=at or utcnow(),
            origin="waba",
            attachment_type=kind,
            attachment_url=await self.link_to(content, kind),
            attachment_name=NAMES[kind],
        )

    async def sends(self, kind, content, **more):
        """Deliver a message with a file, twice."""
        message = await self.message(kind, content, **more)
        await self.scene.hears(message)
        await self.scene.hears(message)

    async def ids(self):
        world = self.scene.world
        async with world.db.session(world.scope) as session:
            rows = await session.fetch(
                "select id from app.attachment where conversation_id = $1 order by id",
                self.scene.conversation_id,
            )
        return [str(row["id"]) for row in rows]

    async def fetch(self, crm=None):
        fetching = AttachmentJobs(crm or self.scene.crm, self.scene.world.vault)
        for one in await self.ids():
            await fetching.fetch(self._context(), attachment_id=one)

    async def hear(self):
        """Run the job of each file twice: the second run must change nothing."""
        for one in (await self.ids()) * 2:
            await self.jobs.hear(self._context(), attachment_id=one)

    async def give_up(self):
        for one in await self.ids():
            await self.jobs.give_up(self._context(), attachment_id=one)

    async def shown(self, seq=1):
        world = self.scene.world
        async with world.db.session(world.scope) as session:
            return await list_attachments(session, UUID(str(self.scene.conversation_id)), [seq])

    def _context(self):
        world = self.scene.world
        return JobContext(world.db, self.files, world.scope, 1, 1)
