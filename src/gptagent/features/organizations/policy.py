"""Who may do what: one table for screens, API, keys of programs and jobs."""

from gptagent.features.organizations.model import Role

VIEW = "view"
EDIT_AGENTS = "agents.edit"
EDIT_KNOWLEDGE = "knowledge.edit"
MANAGE_CONNECTIONS = "connections.manage"
WORK_CONVERSATIONS = "conversations.work"
READ_ATTACHMENTS = "attachments.read"
READ_EXPLANATIONS = "explanations.read"
READ_PROMPTS = "prompts.read"
MANAGE_MEMBERS = "members.manage"
MANAGE_WORKSPACE = "workspace.manage"
MANAGE_API_KEYS = "api_keys.manage"
MANAGE_PRIVACY = "privacy.manage"
READ_AUDIT = "audit.read"
OWN_WORKSPACE = "workspace.own"

_MEMBER = frozenset(
    {VIEW, EDIT_AGENTS, EDIT_KNOWLEDGE, WORK_CONVERSATIONS, READ_ATTACHMENTS, READ_EXPLANATIONS}
)
_ADMIN = _MEMBER | {
    READ_PROMPTS,
    MANAGE_CONNECTIONS,
    MANAGE_MEMBERS,
    MANAGE_WORKSPACE,
    MANAGE_API_KEYS,
    MANAGE_PRIVACY,
}
_OWNER = _ADMIN | {READ_AUDIT, OWN_WORKSPACE}
PERMISSIONS: dict[Role, frozenset[str]] = {
    "owner": _OWNER,
    "admin": _ADMIN,
    "member": _MEMBER,
    "viewer": frozenset({VIEW}),
}


def may_change(actor: Role, target: Role, wanted: Role | None = None) -> bool:
    """Whether a member may act on one of role `target`, to make them `wanted` if that is given.

    Only an owner touches an owner or makes one; nobody else than owners and administrators touches anybody.
    """
    if MANAGE_MEMBERS not in PERMISSIONS[actor]:
        return False
    return OWN_WORKSPACE in PERMISSIONS[actor] or "owner" not in {target, wanted}


# What an administrator who looks through somebody's eyes may not do: it would last longer than they look.
NOT_BORROWED = frozenset({MANAGE_MEMBERS, MANAGE_API_KEYS, OWN_WORKSPACE})

# What a workspace's key may be given: nobody becomes an owner, and no key makes keys or people.
KEY_SCOPES = _ADMIN - {MANAGE_MEMBERS, MANAGE_API_KEYS}

# Rights over the installation, which no role of a workspace has.
PLATFORM_VIEW = "platform.view"
PLATFORM_MANAGE = "platform.manage"
PLATFORM_IMPERSONATE = "platform.impersonate"
PLATFORM_PERMISSIONS = frozenset({PLATFORM_VIEW, PLATFORM_MANAGE, PLATFORM_IMPERSONATE})
