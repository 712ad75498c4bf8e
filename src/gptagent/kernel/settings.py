"""The one typed reading of the environment. Nothing else in the product reads it."""

import ipaddress
import os
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gptagent.kernel.backends import is_safe_postgres, is_safe_redis
from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.proxies import Proxy
from gptagent.kernel.secret_keys import decode_keys, read_key_file

MIN_METRICS_TOKEN_CHARS = 16
_BACKENDS = (
    ("database_url", is_safe_postgres),
    ("database_owner_url", is_safe_postgres),
    ("redis_url", is_safe_redis),
)
_VERIFY = "let {} end in ?sslmode=verify-full&sslrootcert=/path/of/its/ca.crt"
_TLS = {
    "DATABASE_URL": _VERIFY,
    "DATABASE_OWNER_URL": _VERIFY,
    "REDIS_URL": "let {} begin with rediss:// and check the certificate and its name",
}
_OR_ELSE = "(it leads to another machine; ALLOW_PLAINTEXT_BACKENDS=1 if that network is all yours)"
_SENDER = re.compile(r"[^\r\n<>@]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+")


class Settings(BaseSettings):
    """Everything an operator can set. Names and meanings: docs/reference/configuration.md."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    app_env: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    public_url: str | None = None
    gptagent_home: Path | None = None
    database_url: SecretStr | None = None
    database_owner_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    single_web_process: bool = False
    secret_keys: SecretStr | None = None
    secret_keys_file: Path | None = None
    files_url: str | None = None
    llm_base_url: str = "https://api.openai.com/v1"
    llm_api_key: SecretStr | None = None
    llm_model: str | None = None
    llm_fallback_model: str | None = None
    llm_prices_file: Path | None = None
    embedding_base_url: str = "https://api.openai.com/v1"
    embedding_api_key: SecretStr | None = None
    embedding_model: str | None = None
    embedding_dimensions: int | None = Field(default=None, ge=1, le=4_000)
    speech_base_url: str = "https://api.openai.com/v1"
    speech_api_key: SecretStr | None = None
    speech_model: str | None = None
    speech_fallback_model: str | None = None
    vision_base_url: str | None = None
    vision_api_key: SecretStr | None = None
    vision_model: str | None = None
    vision_fallback_model: str | None = None
    reranker_base_url: str = "https://api.jina.ai/v1"
    reranker_api_key: SecretStr | None = None
    reranker_model: str | None = None
    smtp_url: SecretStr | None = None
    mail_from: str | None = None
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_name: str | None = None
    egress_allow: str = ""
    egress_proxies: SecretStr | None = None
    kommo_sandbox_url: str | None = None
    kommo_client_id: str | None = None
    kommo_client_secret: SecretStr | None = None
    amocrm_client_id: str | None = None
    amocrm_client_secret: SecretStr | None = None
    registration: Literal["open", "invite"] | None = None
    admin_second_factor: bool | None = None
    allow_plaintext_backends: bool = False
    metrics_token: SecretStr | None = None
    security_contact: str | None = None
    hooks_allow_from: str = ""
    forwarded_allow_ips: str = "127.0.0.1,::1"
    rate_factor: int = Field(default=1, ge=1, le=1_000_000)
    cors_origins: str = ""
    keep: bool = False

    @classmethod
    def load(cls) -> Self:
        """Read the environment. Raises Misconfigured with a sentence per wrong value."""
        try:
            return cls()
        except ValueError as error:
            raise Misconfigured("settings_invalid", _sentences(error)) from error

    @field_validator("public_url")
    @classmethod
    def _absolute_url(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("PUBLIC_URL must start with https:// (or http:// on one machine)")
        return value.rstrip("/") if value else value

    @field_validator("files_url")
    @classmethod
    def _known_store(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme != "file":
            raise ValueError("FILES_URL must be file:///an/absolute/folder")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            url = urlsplit(value.get_secret_value())
            is_known = url.scheme in {"smtp", "smtps"} and url.hostname and url.port != 0
        except ValueError:
            is_known = False
        if not is_known or url.path not in {"", "/"} or url.query not in {"", "starttls", "starttls="}:
            raise ValueError("SMTP_URL must be smtp://user:password@host:587?starttls or smtps://...")
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str | None) -> str | None:
        if value is not None and not _SENDER.fullmatch(value):
            raise ValueError("MAIL_FROM must be agents@example.com or Name <agents@example.com>")
        return value

    @field_validator("egress_allow")
    @classmethod
    def _host_ports(cls, value: str) -> str:
        for entry in filter(None, (part.strip() for part in value.split(","))):
            host, _, port = entry.rpartition(":")
            if not host or not port.isdigit():
                raise ValueError(f"EGRESS_ALLOW takes host:port pairs, not {entry!r}")
        return value

    @field_validator("egress_proxies")
    @classmethod
    def _known_proxies(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Proxy.parse_all(value.get_secret_value())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, value: str) -> str:
        for origin in filter(None, (part.strip() for part in value.split(","))):
            parts = urlsplit(origin)
            named = parts.scheme in {"http", "https"} and parts.hostname and "*" not in origin
            if not named or origin != _origin(origin):
                raise ValueError(f"CORS_ORIGINS takes origins like https://shop.example, not {origin!r}")
        return value

    @field_validator("secret_keys")
    @classmethod
    def _strong_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            decode_keys(value.get_secret_value())
        return value

    @field_validator("security_contact")
    @classmethod
    def _reachable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(https://|mailto:[^@\s]+@|tel:\+)[^\s]+", value):
            raise ValueError("SECURITY_CONTACT must be mailto:..., https://... or tel:+...")
        return value

    @field_validator("hooks_allow_from")
    @classmethod
    def _networks(cls, value: str) -> str:
        _read_networks(value, "HOOKS_ALLOW_FROM")
        return value

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _proxies(cls, value: str) -> str:
        _read_networks(value, "FORWARDED_ALLOW_IPS")
        return value

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if self.secret_keys_file is None:
            return self
        if self.secret_keys is not None:
            raise ValueError("set SECRET_KEYS or SECRET_KEYS_FILE, not both")
        read_key_file(self.secret_keys_file, private=self.production)
        return self

    @model_validator(mode="after")
    def _letters_have_a_sender(self) -> Self:
        if self.smtp_url is not None and self.mail_from is None:
            raise ValueError("set MAIL_FROM to the address letters come from, or unset SMTP_URL")
        return self

    @model_validator(mode="after")
    def _fallback_of_a_model(self) -> Self:
        for kind in ("llm", "speech", "vision"):
            if getattr(self, f"{kind}_fallback_model") is not None and getattr(self, f"{kind}_model") is None:
                name = kind.upper()
                raise ValueError(f"set {name}_MODEL too: {name}_FALLBACK_MODEL answers in its place")
        return self

    @model_validator(mode="after")
    def _whole_provider(self) -> Self:
        parts = (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret, self.oidc_name)
        if any(parts) and not all(parts):
            raise ValueError("set OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET and OIDC_NAME together")
        return self

    @model_validator(mode="after")
    def _whole_integrations(self) -> Self:
        if bool(self.kommo_client_id) != bool(self.kommo_client_secret):
            raise ValueError("set KOMMO_CLIENT_ID and KOMMO_CLIENT_SECRET together")
        if bool(self.amocrm_client_id) != bool(self.amocrm_client_secret):
            raise ValueError("set AMOCRM_CLIENT_ID and AMOCRM_CLIENT_SECRET together")
        return self

    @model_validator(mode="after")
    def _safe_in_production(self) -> Self:
        if self.app_env == "production" and (faults := list(self._production_faults())):
            raise ValueError("; ".join(faults))
        return self

    def _production_faults(self) -> list[str]:
        faults = self._access_faults()
        if not (self.public_url or "").startswith("https://"):
            faults.append("set PUBLIC_URL to the https:// address people open")
        if self.secret_keys is None and self.secret_keys_file is None:
            faults.append("set SECRET_KEYS or SECRET_KEYS_FILE (make a key with: openssl rand -base64 32)")
        if self.redis_url is None and not self.single_web_process:
            faults.append("set REDIS_URL, or SINGLE_WEB_PROCESS=1 if one web process is all there is")
        if self.redis_url is not None and not urlsplit(self.redis_url.get_secret_value()).password:
            faults.append("give REDIS_URL a password")
        if any(origin.startswith("http:") for origin in self.allowed_origins):
            faults.append("let CORS_ORIGINS begin with https:// each")
        if self.kommo_sandbox_url is not None:
            faults.append("unset KOMMO_SANDBOX_URL: the emulator has no place in production")
        token = self.metrics_token.get_secret_value() if self.metrics_token else None
        if token is not None and len(token) < MIN_METRICS_TOKEN_CHARS:
            faults.append(f"make METRICS_TOKEN at least {MIN_METRICS_TOKEN_CHARS} characters long")
        if self.smtp_url is not None and not _is_safe_mail_server(self.smtp_url.get_secret_value()):
            faults.append("let SMTP_URL be smtps:// or end in ?starttls: letters carry secret links")
        if (self.database_url is None) != (self.database_owner_url is None):
            faults.append("set DATABASE_URL and DATABASE_OWNER_URL together")
        return faults

    def _access_faults(self) -> list[str]:
        faults = []
        if self.admin_second_factor is False:
            faults.append("unset ADMIN_SECOND_FACTOR: administrators always show a second factor")
        if not self.allow_plaintext_backends:
            faults += [f"{_TLS[name].format(name)} {_OR_ELSE}" for name in self.plain_backends]
        return faults

    @property
    def plain_backends(self) -> list[str]:
        """Names of the settings that lead to another machine without TLS, or without checking who answers."""
        found = []
        for name, is_safe in _BACKENDS:
            value: SecretStr | None = getattr(self, name)
            if value is not None and not is_safe(value.get_secret_value()):
                found.append(name.upper())
        return found

    @property
    def admin_needs_second_factor(self) -> bool:
        """Whether the platform's administration is open only to log-ins that have shown a second factor."""
        return self.production if self.admin_second_factor is None else self.admin_second_factor

    @cached_property
    def home(self) -> Path:
        """Folder of database, files and keys."""
        if self.gptagent_home is not None:
            return self.gptagent_home.expanduser().absolute()
        return Path("/var/lib/gptagent") if os.getuid() == 0 else Path.home() / ".local/share/gptagent"

    @property
    def production(self) -> bool:
        return self.app_env == "production"

    @property
    def base_url(self) -> str:
        """Address people open, without a trailing slash."""
        host = "localhost" if self.host in {"127.0.0.1", "0.0.0.0", "::", "::1"} else self.host  # noqa: S104 - only compared
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def secure_cookies(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Origins whose scripts may read the API's answers."""
        return frozenset(filter(None, (part.strip() for part in self.cors_origins.split(","))))

    @property
    def sends_letters(self) -> bool:
        """Whether letters reach people. Without, screens show a link to those who may see it."""
        return self.smtp_url is not None

    @property
    def files_path(self) -> Path:
        return Path(urlsplit(self.files_url).path) if self.files_url else self.home / "files"

    @property
    def allowed_egress(self) -> frozenset[tuple[str, int]]:
        """Exact (host, port) pairs that may be private: the operator's and the sandbox's."""
        pairs = {
            (entry.rpartition(":")[0].strip("[]").lower(), int(entry.rpartition(":")[2]))
            for entry in (part.strip() for part in self.egress_allow.split(","))
            if entry
        }
        if self.kommo_sandbox_url:
            url = urlsplit(self.kommo_sandbox_url)
            pairs.add(((url.hostname or "").lower(), url.port or 80))
        return frozenset(pairs)

    @property
    def readable_egress(self) -> frozenset[tuple[str, int]]:
        """Those of `allowed_egress` that a workspace may name as a site: nothing this installation calls."""
        own = set()
        for address in (
            self.llm_base_url,
            self.embedding_base_url,
            self.reranker_base_url,
            self.speech_base_url,
            self.vision_base_url,
            self.oidc_issuer,
            self.kommo_sandbox_url,
        ):
            url = urlsplit(address or "")
            own.add(((url.hostname or "").lower(), url.port or (443 if url.scheme == "https" else 80)))
        return self.allowed_egress - own

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """The addresses calls to a CRM leave from; empty: this machine's own."""
        return Proxy.parse_all(self.egress_proxies.get_secret_value()) if self.egress_proxies else ()

    @property
    def given_keys(self) -> list[bytes] | None:
        """Keys the operator gave, the sealing one first; None leaves them to the home's own file."""
        if self.secret_keys_file is not None:
            return read_key_file(self.secret_keys_file, private=self.production)
        return decode_keys(self.secret_keys.get_secret_value()) if self.secret_keys is not None else None

    @property
    def hook_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Where webhooks may come from; empty: from anywhere."""
        return _read_networks(self.hooks_allow_from, "HOOKS_ALLOW_FROM")

    @property
    def open_registration(self) -> bool:
        """Whether anybody may register: by default only where nobody else can reach the page."""
        if self.registration is not None:
            return self.registration == "open"
        return self.host in {"127.0.0.1", "::1", "localhost"} and not self.production


def _read_networks(text: str, name: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    parts = filter(None, (part.strip() for part in text.split(",")))
    try:
        return tuple(ipaddress.ip_network(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"{name} takes networks like 203.0.113.0/24, separated by commas") from error


def _origin(url: str) -> str:
    """Return scheme, host and port as a browser writes them: small letters, no default port, no path."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in {None, default} else "")


def _is_safe_mail_server(address: str) -> bool:
    """Whether letters travel encrypted, or never leave this machine."""
    url = urlsplit(address)
    return url.scheme == "smtps" or bool(url.query) or url.hostname in {"localhost", "127.0.0.1", "::1"}


def _sentences(error: ValueError) -> str:
    """Turn pydantic's report into sentences that name the variable and never the value."""
    details = getattr(error, "errors", None)
    if details is None:
        return str(error)
    lines = []
    for item in details(include_input=False, include_url=False):
        name = ".".join(str(part) for part in item["loc"]).upper()
        text = str(item["msg"]).removeprefix("Value error, ")
        lines.append(f"{name}: {text}" if name and name not in text else text)
    return "; ".join(lines)


def share_metrics(home: Path, *, fresh: bool = False) -> None:
    """Let all processes of this home count into one folder.

    Raises RuntimeError where prometheus_client is imported already: it would count in this process alone.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("share_metrics comes before the import of prometheus_client")
    folder = home / "run" / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    if fresh:
        for file in folder.glob("*.db"):
            file.unlink(missing_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def child_environment() -> dict[str, str]:
    """Return what a process started for a trial inherits: the machine's environment without our settings."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in ours}
