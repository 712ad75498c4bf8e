"""What the account's drive tells of its files; it stands on a host of its own, which the account names."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.kommo.controls.find import desk_of
from gptagent.sandbox.kommo.rest import hal
from gptagent.sandbox.kommo.state import Account


async def get_file(request: Request) -> Response:
    account, uuid = _account(request), request.path_params["uuid"]
    stored = account.files.get(uuid)
    if stored is None:
        raise hal.problem(404, "Requested entity not found")
    host = request.headers.get("host", "drive-c.kommo.test")
    download = f"https://{host}/download/{account.amojo_id}/{uuid}"
    return hal.hal(
        {
            "uuid": uuid,
            "type": "file",
            "is_trashed": False,
            "name": stored.name,
            "size": stored.size,
            "has_multiple_versions": False,
            "metadata": {"extension": stored.name.rpartition(".")[2], "mime_type": stored.mime},
            "_links": {
                "self": {"href": f"https://{host}/v1.0/files/{uuid}"},
                "download": {"href": download},
            },
        }
    )


def _account(request: Request) -> Account:
    """Return whose token it is: all accounts of a region share the host. Raises Refused with 401 or 403."""
    value = request.headers.get("authorization", "").removeprefix("Bearer ")
    for account in desk_of(request).world.accounts.values():
        token = account.tokens.get(value)
        if token is not None and not token.revoked:
            if "files" not in token.scopes:
                raise hal.problem(403, "Forbidden")
            return account
    raise hal.problem(401, "Invalid user name or password")


ROUTES = [Route("/v1.0/files/{uuid}", get_file, methods=["GET"])]
