"""Who may do what: one table for screens, API and jobs."""

from gptagent.features.organizations.model import Role

VIEW = "view"
EDIT_AGENTS = "agents.edit"
EDIT_KNOWLEDGE = "knowledge.edit"
MANAGE_CONNECTIONS = "connections.manage"
WORK_CONVERSATIONS = "conversations.work"

_MEMBER = frozenset({VIEW, EDIT_AGENTS, EDIT_KNOWLEDGE, WORK_CONVERSATIONS})
_ADMIN = _MEMBER | {MANAGE_CONNECTIONS}
PERMISSIONS: dict[Role, frozenset[str]] = {
    "owner": _ADMIN,
    "admin": _ADMIN,
    "member": _MEMBER,
    "viewer": frozenset({VIEW}),
}
