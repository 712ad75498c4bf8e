"""HTTP proxies of the operator's: other addresses for calls to leave from."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

MAX_PROXIES = 1000
_WRONG = "EGRESS_PROXIES takes proxies like http://user:password@proxy.example:3128, separated by commas"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy that opens tunnels (CONNECT, RFC 9110 9.3.6)."""

    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse_all(cls, text: str) -> tuple[Self, ...]:
        """Return the proxies of a comma-separated list. Raises ValueError, which quotes nothing of it."""
        found = tuple(cls._parse(part) for raw in text.split(",") if (part := raw.strip()))
        if len({proxy.name for proxy in found}) < len(found) or len(found) > MAX_PROXIES:
            raise ValueError(f"EGRESS_PROXIES names a proxy twice, or more than {MAX_PROXIES}")
        return found

    @classmethod
    def _parse(cls, url: str) -> Self:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(_WRONG) from error
        if parts.scheme != "http" or not parts.hostname or not port or parts.path not in {"", "/"}:
            raise ValueError(_WRONG)
        if parts.query or parts.fragment or not parts.hostname.isascii():
            raise ValueError(_WRONG)
        return cls(parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""))

    @property
    def name(self) -> str:
        """Return what tells it from others and holds no secret; a new password does not change it.

        The user counts: many providers choose the address by it.
        """
        return hashlib.sha256(f"{self.host}:{self.port}:{self.user}".encode()).hexdigest()[:16]

    @property
    def authorization(self) -> str | None:
        """Return the value of Proxy-Authorization."""
        if not self.user and not self.password:
            return None
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
