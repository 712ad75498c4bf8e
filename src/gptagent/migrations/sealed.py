"""The list of all columns that hold what SECRET_KEYS have sealed: what a rotation re-encrypts.

tests/integration/test_key_rotation.py walks the catalogue: a new column of bytes is listed here, or there
with the reason why it is not sealed by these keys.
"""

from dataclasses import dataclass

# SQL of the workspace's id that stands for the whole installation.
PLATFORM = "'00000000-0000-0000-0000-000000000000'::uuid"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """`key` names a row. `org` and `purpose` are SQL of what the value was sealed for."""

    table: str
    column: str
    key: tuple[str, ...]
    org: str
    purpose: str


# Of the links only those that hold an address are sealed; the others' payload is no secret.
_LINK = "coalesce('email:' || person_id, '')"

SEALED = (
    SealedColumn("crm_connection", "token_sealed", ("org_id", "id"), "org_id", "'crm-token'"),
    SealedColumn("crm_connection", "hook_sealed", ("org_id", "id"), "org_id", "'crm-hook'"),
    SealedColumn(
        "crm_reply_setup", "widget_secret_sealed", ("org_id", "connection_id"), "org_id", "'crm-widget'"
    ),
    SealedColumn("crm_reply_slot", "url_sealed", ("org_id", "id"), "org_id", "'crm-reply-slot'"),
    SealedColumn("crm_reply_slot", "said_sealed", ("org_id", "id"), "org_id", "'crm-reply-slot'"),
    SealedColumn("attachment", "url_sealed", ("org_id", "id"), "org_id", "'attachment'"),
    SealedColumn("crm_integration", "secret_sealed", ("org_id", "id"), "org_id", "'crm-integration'"),
    SealedColumn("crm_grant", "refresh_sealed", ("org_id", "connection_id"), "org_id", "'crm-refresh'"),
    SealedColumn("person_key", "sealed", ("person_id",), PLATFORM, "'person-key:' || person_id"),
    SealedColumn("totp", "secret_sealed", ("person_id",), PLATFORM, "'totp:' || person_id"),
    SealedColumn("oidc_provider", "secret_sealed", ("org_id", "id"), "org_id", "'oidc'"),
    SealedColumn("letter", "sealed", ("id",), PLATFORM, "'letter:' || id"),
    SealedColumn("idempotency_key", "body", ("org_id", "caller", "key"), "org_id", "'idempotency'"),
    SealedColumn(
        "one_time_token", "payload", ("token_hash",), PLATFORM, "coalesce('email:' || person_id, '')"
    ),
)
