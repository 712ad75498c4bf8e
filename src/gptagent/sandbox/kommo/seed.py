"""What every new account starts with: people, a pipeline, custom fields and a token."""

import base64
import hashlib
import hmac
import zlib
from uuid import NAMESPACE_DNS, uuid5

import msgspec

from gptagent.sandbox.kommo.state import (
    INCOMING_STAGE_TYPE,
    LOST,
    WON,
    Account,
    CustomField,
    Ids,
    Pipeline,
    Stage,
    Token,
    User,
    World,
    now,
)

TOKENS_END_AT = 2_000_000_000  # one moment for all, so that a restart issues the same tokens again
SCOPES = frozenset(
    {
        "crm",
        "files",
        "files_delete",
        "list_external_messages",
        "notifications",
        "push_notifications",
        "send_external_messages",
    }
)
STAGES = (("Новая заявка", "#99ccff"), ("В работе", "#ffff99"), ("Счёт выставлен", "#ffcc66"))
CHOICES = ("Консультация", "Подписка", "Внедрение")
PHONE_KINDS = ("WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER")
EMAIL_KINDS = ("WORK", "PRIV", "OTHER")
ADDRESS_LINES = ("address_line_1", "address_line_2", "city", "state", "zip", "country")
LOSS_REASONS = ("Слишком дорого", "Пропала потребность")


class Features(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the account's plan and settings allow from its first moment."""

    unsorted: bool = False
    sending: bool = True
    quota: int = 10_000
    scopes: list[str] | None = None


def open_account(world: World, subdomain: str, name: str, features: Features) -> Account:
    account = Account(
        id=_account_id(world, subdomain),
        subdomain=subdomain,
        name=name,
        amojo_id=str(uuid5(NAMESPACE_DNS, subdomain)),
        created_at=now(),
        is_unsorted_on=features.unsorted,
        users={user.id: user for user in _people(world.ids, subdomain)},
        pipelines={},
        fields={
            "leads": _lead_fields(world.ids),
            "contacts": _contact_fields(world.ids),
            "companies": _company_fields(world.ids),
        },
        loss_reasons={world.ids.next(): reason for reason in LOSS_REASONS},
        knobs=msgspec.structs.replace(
            world.default_knobs, plan_has_sending=features.sending, quota=features.quota
        ),
    )
    account.faults.rules = [msgspec.structs.replace(rule) for rule in world.default_faults]
    pipeline = _pipeline(world.ids)
    account.pipelines[pipeline.id] = pipeline
    issue_token(account, None if features.scopes is None else frozenset(features.scopes))
    world.accounts[subdomain] = account
    return account


def issue_token(account: Account, scopes: frozenset[str] | None = None) -> Token:
    """Add a long-lived token. The n-th token of a subdomain is the same in every run of the emulator."""
    granted = SCOPES if scopes is None else scopes
    claims = {
        "aud": str(uuid5(NAMESPACE_DNS, f"{account.subdomain}.integration")),
        "jti": hashlib.sha256(f"{account.subdomain}/{len(account.tokens)}".encode()).hexdigest(),
        "exp": TOKENS_END_AT,
        "account_id": account.id,
        "base_domain": "kommo.com",
        "scopes": sorted(granted),
        "api_domain": "api-c.kommo.com",
    }
    value = sign_jwt(claims)
    token = Token(value, granted, TOKENS_END_AT)
    account.tokens[value] = token
    return token


def sign_jwt(claims: dict[str, object]) -> str:
    """Return a token that says this; its signature is the sandbox's own."""
    head = _b64(msgspec.json.encode({"typ": "JWT", "alg": "HS256"}))
    body = _b64(msgspec.json.encode(claims))
    signature = hmac.new(b"sandbox", f"{head}.{body}".encode(), "sha256").digest()
    return f"{head}.{body}.{_b64(signature)}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _account_id(world: World, subdomain: str) -> int:
    taken = {account.id for account in world.accounts.values()}
    candidate = 31_000_000 + zlib.crc32(subdomain.encode()) % 1_000_000
    while candidate in taken:
        candidate += 1
    return candidate


def _people(ids: Ids, subdomain: str) -> list[User]:
    names = (("Анна Смирнова", "anna"), ("Борис Кузнецов", "boris"))
    return [
        User(
            ids.next(),
            name,
            f"{login}@{subdomain}.test",
            str(uuid5(NAMESPACE_DNS, f"{login}.{subdomain}")),
            is_admin=login == "anna",
        )
        for name, login in names
    ]


def _pipeline(ids: Ids) -> Pipeline:
    incoming = Stage(ids.next(), "Неразобранное", 10, "#c1c1c1", INCOMING_STAGE_TYPE)
    middle = [Stage(ids.next(), name, 20 + 10 * i, color) for i, (name, color) in enumerate(STAGES)]
    closing = [
        Stage(WON, "Успешно реализовано", 10000, "#CCFF66"),
        Stage(LOST, "Закрыто и не реализовано", 11000, "#D5D8DB"),
    ]
    stages = {stage.id: stage for stage in (incoming, *middle, *closing)}
    return Pipeline(ids.next(), "Воронка", 1, is_main=True, stages=stages)


def _lead_fields(ids: Ids) -> dict[int, CustomField]:
    listed = [
        CustomField(ids.next(), "Бюджет", "numeric", None, 500),
        CustomField(
            ids.next(), "Продукт", "select", None, 501, {ids.next(): (choice, None) for choice in CHOICES}
        ),
        CustomField(ids.next(), "Потребность", "textarea", None, 502),
        CustomField(ids.next(), "Дата встречи", "date", None, 503),
        CustomField(ids.next(), "Согласие на рассылку", "checkbox", None, 504),
    ]
    return {custom.id: custom for custom in listed}


def _contact_fields(ids: Ids) -> dict[int, CustomField]:
    listed = [*_addresses(ids), CustomField(ids.next(), "Город", "text", None, 500)]
    return {custom.id: custom for custom in listed}


def _company_fields(ids: Ids) -> dict[int, CustomField]:
    address = CustomField(ids.next(), "Адрес", "textarea", "ADDRESS", 8)
    return {custom.id: custom for custom in (*_addresses(ids), address)}


def _addresses(ids: Ids) -> tuple[CustomField, CustomField]:
    return (
        CustomField(ids.next(), "Телефон", "multitext", "PHONE", 4, coded(ids, PHONE_KINDS)),
        CustomField(ids.next(), "Email", "multitext", "EMAIL", 6, coded(ids, EMAIL_KINDS)),
    )


def coded(ids: Ids, codes: tuple[str, ...]) -> dict[int, tuple[str, str | None]]:
    """Return enums whose value is their code."""
    return {ids.next(): (code, code) for code in codes}
