"""The emulator as one object: the world and a webhook sender for each account."""

import asyncio
import time
from types import TracebackType
from typing import Self

import msgspec

from gptagent.sandbox.kommo import forms
from gptagent.sandbox.kommo.amojo.book import Channel, Channels
from gptagent.sandbox.kommo.amojo.signing import body_signature
from gptagent.sandbox.kommo.hooks import HookSender, Line
from gptagent.sandbox.kommo.oauth.book import Book
from gptagent.sandbox.kommo.seed import Features, open_account
from gptagent.sandbox.kommo.state import Account, Entity, EntityKind, LogEntry, World, now

CHANNEL_HOOK_SECONDS = 5.0


class Desk:
    """Entered within the server's loop, where its HTTP client lives."""

    def __init__(self) -> None:
        self.world = World()
        self.oauth = Book()
        self.channels = Channels()
        self._tasks: set[asyncio.Task[None]] = set()
        self._senders: dict[str, HookSender] = {}
        self._line: Line | None = None

    async def __aenter__(self) -> Self:
        self._line = Line()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget_accounts()
        if self._line is not None:
            await self._line.close()

    def hooks(self, account: Account) -> HookSender:
        sender = self._senders.get(account.subdomain)
        if sender is None:
            self._line = self._line or Line()
            sender = self._senders[account.subdomain] = HookSender(account, self._line)
        return sender

    def open_account(self, subdomain: str, name: str, features: Features) -> Account:
        return open_account(self.world, subdomain, name, features)

    def rename(self, account: Account, subdomain: str) -> None:
        """Move an account to another address; all it holds goes with it."""
        self.world.accounts[subdomain] = self.world.accounts.pop(account.subdomain)
        sender = self._senders.pop(account.subdomain, None)
        if sender is not None:
            self._senders[subdomain] = sender
        account.subdomain = subdomain

    async def call(self, url: str, user_agent: str, timeout: float) -> tuple[int, str]:
        """Get an address of the other side. Returns the status, or 0 and why there is none."""
        self._line = self._line or Line()
        return await self._line.get(url, {"User-Agent": user_agent}, timeout)

    def tell_channel(self, channel: Channel, scope_id: str, told: forms.Tree) -> None:
        """Send a hook of the Chats API: once, whatever becomes of it."""
        body = msgspec.json.encode(told)
        task = asyncio.create_task(self._tell_channel(channel, scope_id, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell_channel(self, channel: Channel, scope_id: str, body: bytes) -> None:
        self._line = self._line or Line()
        headers = {
            "Content-Type": "application/json",
            "X-Signature": body_signature(channel.secret, body),
        }
        url = channel.hook_url.replace(":scope_id", scope_id)
        status, error = await self._line.post(url, body, headers, CHANNEL_HOOK_SECONDS)
        channel.hooks.append(
            {"at": time.time(), "status": status, "error": error, "body": body.decode(), "url": url}
        )

    def forget_accounts(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.channels = Channels()
        for sender in self._senders.values():
            sender.cancel()
        self._senders.clear()
        self.world.accounts.clear()
        self.oauth = Book()

    def announce(self, account: Account, kind: str, action: str, element: forms.Tree, *, key: object) -> None:
        """Fire `kind[action]` for the subscribers of its code: `leads`, `status` -> `status_lead`."""
        setting = SETTINGS.get(kind, kind)
        body = forms.encode(account, kind, action, element)
        self.hooks(account).emit(f"{action}_{setting}", f"{kind}[{action}]", body, order_key=str(key))
        if (kind, action) == ("leads", "status"):
            old = {"old_status_id": element["old_status_id"], "old_pipeline_id": element["pipeline_id"]}
            self.trigger(account, "status", element, old)

    def trigger(
        self, account: Account, trigger: str, lead: forms.Tree, extra: forms.Tree | None = None
    ) -> None:
        """Fire the thin webhooks that an automation of the pipeline has for this."""
        thin = {name: lead[name] for name in ("id", "status_id", "pipeline_id")} | dict(extra or {})
        body = forms.encode_thin(account, trigger, thin)
        self.hooks(account).emit_thin(f"leads[{trigger}]", body, order_key=f"leads/{lead['id']}")

    def announce_note(
        self, account: Account, head: str, kind: EntityKind, tree: forms.Tree, entity_id: int
    ) -> None:
        body = forms.encode(account, head, "note", tree)
        key = f"{kind}/{entity_id}"
        self.hooks(account).emit(f"note_{SETTINGS[kind]}", f"{head}[note]", body, order_key=key)

    def note(
        self,
        account: Account,
        kind: str,
        entity: tuple[str, int],
        *,
        by: int = 0,
        after: list[dict[str, object]] | None = None,
        before: list[dict[str, object]] | None = None,
    ) -> None:
        """Write a line into the account's log of events; `by` 0 is a robot or the customer."""
        id_ = f"01{self.world.ids.next():x}{account.id:x}"
        account.log.append(LogEntry(id_, kind, *entity, by, now(), after or [], before or []))

    def announce_entity(self, account: Account, kind: EntityKind, action: str, entity: Entity) -> None:
        if action == "add":
            self.note(account, f"{SETTINGS[kind]}_added", (SETTINGS[kind], entity.id), by=entity.created_by)
        if action == "delete":
            account.gone[kind, entity.id] = entity
            tree = forms.deleted(entity, kind)
        else:
            tree = forms.lead(account, entity) if kind == "leads" else forms.contact(account, entity, kind)
        # Companies are announced as contacts of another type, by a code of their own.
        head = "contacts" if kind == "companies" else kind
        body = forms.encode(account, head, action, tree)
        name, key = f"{action}_{SETTINGS[kind]}", f"{kind}/{entity.id}"
        self.hooks(account).emit(name, f"{head}[{action}]", body, order_key=key)
        if (kind, action) == ("leads", "add"):
            self.trigger(account, "add", tree)


# Subscription codes are `{action}_{this}`: add_message, add_outgoing_message, update_talk, ...
SETTINGS = {"leads": "lead", "contacts": "contact", "companies": "company"}
