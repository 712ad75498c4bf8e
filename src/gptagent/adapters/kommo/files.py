"""Files of Kommo: the account's drive, and what comes with customers' messages."""

import re
from urllib.parse import urlsplit

import msgspec

from gptagent.adapters.kommo.client import Call, KommoClient, unavailable
from gptagent.adapters.kommo.tree import as_int, as_map, as_text
from gptagent.features.crm.model import CallPriority, CrmLink, Download
from gptagent.kernel.egress import Response
from gptagent.kernel.errors import Invalid

MAX_DRIVE_ANSWER_BYTES = 1_000_000
PART_BYTES = 524_288  # if the drive does not say
MAX_PARTS = 1_000
# Attachments lie on the vendor's message or file servers, never on an account's own host.
_FILE_HOST = re.compile(r"(amojo|drive(-[a-z0-9]{1,8})?)\.[a-z.]+")
_PLAIN_MIME = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}")


class KommoFiles:
    """The part of `ChatsPort` that is about files."""

    _client: KommoClient

    async def upload_file(self, link: CrmLink, name: str, content: bytes) -> str:
        """Open a session at the account's drive and send the parts (spec: lists, sources, files)."""
        account = await self._client.fetch(
            link,
            Call("fetch_drive", "/account", query=(("with", "drive_url"),), priority=CallPriority.SEND),
        )
        drive = as_text(as_map(account).get("drive_url")).rstrip("/")
        session = {"file_name": name, "file_size": len(content), "content_type": "application/octet-stream"}
        begun = _body(await self._ask(link, f"{drive}/v1.0/sessions", json=session))
        size = as_int(begun.get("max_part_size")) or PART_BYTES
        url = as_text(begun.get("upload_url"))
        for start in range(0, max(len(content), 1), max(size, 1))[:MAX_PARTS]:
            answer = _body(await self._ask(link, url, content=content[start : start + size]))
            if uuid := as_text(answer.get("uuid")):
                return uuid
            url = as_text(answer.get("next_url"))
            if not url:
                break
        raise unavailable()

    async def _ask(
        self, link: CrmLink, url: str, *, json: object | None = None, content: bytes | None = None
    ) -> Response:
        return await self._client.ask_elsewhere(
            link,
            "upload_file",
            url,
            max_bytes=MAX_DRIVE_ANSWER_BYTES,
            priority=CallPriority.SEND,
            json=json,
            content=content,
        )

    async def download_attachment(self, link: CrmLink, url: str, *, max_bytes: int) -> Download:
        try:
            host = (urlsplit(url).hostname or "").lower()
        except ValueError:
            host = ""
        if not _FILE_HOST.fullmatch(host):
            raise Invalid("crm_host_refused", "This is no address of a Kommo or amoCRM account.")
        answer = await self._client.ask_elsewhere(link, "download_attachment", url, max_bytes=max_bytes)
        mime = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Download(answer.body, mime if _PLAIN_MIME.fullmatch(mime) else "application/octet-stream")


def _body(response: Response) -> dict[str, object]:
    try:
        return dict(as_map(msgspec.json.decode(response.body)))
    except msgspec.DecodeError as error:
        raise unavailable() from error
