"""What actions and fields of the record are called where people read them. The texts are English msgids.

An action without a sentence is shown by its own name, so no row is ever hidden.
"""

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    "audit.exported": "Audit exported",
    "workspace.suspended": "Workspace suspended",
    "workspace.resumed": "Suspension of the workspace lifted",
    "workspace.deleted": "Workspace deleted for good",
    "person.suspended": "Person suspended",
    "person.resumed": "Suspension of the person lifted",
    "administrator.appointed": "Made an administrator of the platform",
    "administrator.dismissed": "No longer an administrator of the platform",
    "platform_key.created": "Platform key made",
    "platform_key.revoked": "Platform key revoked",
    "impersonation.started": "Began to look through a person's eyes",
    "impersonation.ended": "Stopped looking through a person's eyes",
}

FIELDS: Mapping[str, str] = {
    "format": "Format",
    "name": "Name",
    "email": "E-mail",
    "role": "Role",
    "scopes": "Rights",
    "expires_at": "Valid until",
    "reason": "Reason",
    "workspace": "Workspace",
}
