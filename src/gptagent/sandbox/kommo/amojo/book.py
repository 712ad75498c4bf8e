"""Channels, the accounts they are connected to, and what was said in their conversations."""

import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from gptagent.sandbox.kommo.state import new_uuid

LOG_ENTRIES = 1000


class Profile(msgspec.Struct, forbid_unknown_fields=True):
    phone: str | None = None
    email: str | None = None


class Person(msgspec.Struct):
    """Who speaks: `id` by the channel's own count, `ref_id` by ours."""

    id: str | None = None
    ref_id: str | None = None
    name: str = ""
    avatar: str | None = None
    profile: Profile | None = None
    profile_link: str | None = None


MessageType = Literal["text", "contact", "file", "video", "picture", "voice", "audio", "sticker", "location"]


class Words(msgspec.Struct):
    """A message as the channel tells it."""

    type: MessageType
    text: str = ""
    media: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    media_duration: int | None = None
    sticker_id: str | None = None
    location: dict[str, float] | None = None
    contact: dict[str, str] | None = None
    callback_data: str | None = None

    def __post_init__(self) -> None:
        """Files come with all that is needed to show them."""
        is_file = self.type in {"file", "video", "picture"}
        if is_file and not (self.media and self.file_name and self.file_size is not None):
            raise ValueError("media, file_name and file_size are required")


@dataclass(slots=True)
class Said:
    """One message of a conversation. `delivery` is what the channel told of one of ours."""

    msgid: str
    ref_id: str
    sender: Person
    words: Words
    timestamp: int
    receiver: Person | None = None
    delivery: int | None = None
    error_code: int | None = None
    reactions: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Conversation:
    """`id` is ours, `client_id` the channel's; `chat_id` is where the account's people see it."""

    id: str
    client_id: str
    user: Person
    chat_id: str
    said: list[Said] = field(default_factory=list)
    typing: int = 0


@dataclass(slots=True)
class ChannelScope:
    """A channel in one account."""

    id: str
    subdomain: str
    title: str
    conversations: dict[str, Conversation] = field(default_factory=dict)

    def find(self, name: str | None) -> Conversation | None:
        """Return the conversation of either id."""
        by_ref = (one for one in self.conversations.values() if one.id == name)
        return self.conversations.get(name or "") or next(by_ref, None)


@dataclass(slots=True)
class Channel:
    """What support hands out: the ids, the secret, the channel's own bot."""

    id: str
    code: str
    secret: str
    hook_url: str
    bot_id: str = field(default_factory=new_uuid)
    scopes: dict[str, ChannelScope] = field(default_factory=dict)
    hooks: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=LOG_ENTRIES))

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "code": self.code,
            "secret": self.secret,
            "hook_url": self.hook_url,
            "bot_id": self.bot_id,
            "scopes": [
                {"scope_id": scope.id, "subdomain": scope.subdomain, "title": scope.title}
                for scope in self.scopes.values()
            ],
            "hooks": list(self.hooks),
        }


@dataclass(slots=True)
class Channels:
    """All channels by id."""

    by_id: dict[str, Channel] = field(default_factory=dict)

    def register(self, code: str, hook_url: str, secret: str | None, channel_id: str | None) -> Channel:
        channel = Channel(channel_id or new_uuid(), code, secret or secrets.token_hex(20), hook_url)
        self.by_id[channel.id] = channel
        return channel

    def scope(self, scope_id: str) -> tuple[Channel, ChannelScope] | None:
        channel = self.by_id.get(scope_id.partition("_")[0])
        scope = channel.scopes.get(scope_id) if channel else None
        return (channel, scope) if channel and scope else None

    def of_chat(self, chat_id: str) -> tuple[Channel, ChannelScope, Conversation] | None:
        for channel in self.by_id.values():
            for scope in channel.scopes.values():
                for conversation in scope.conversations.values():
                    if conversation.chat_id == chat_id:
                        return channel, scope, conversation
        return None
