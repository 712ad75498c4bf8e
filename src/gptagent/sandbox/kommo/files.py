"""The file servers: the drive, which takes uploads in parts, and amojo, which hands attachments out."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.kommo.controls.find import desk_of
from gptagent.sandbox.kommo.state import Account, StoredFile, World, new_uuid
from gptagent.sandbox.wire import Refused, answer, read_as, refusal

PART_BYTES = 65_536
FILE_MAX_BYTES = 314_572_800


@dataclass(slots=True)
class Upload:
    account: Account
    name: str
    mime: str
    size: int
    content: bytearray = field(default_factory=bytearray)


_uploads: dict[str, Upload] = {}


async def open_session(request: Request) -> Response:
    """`POST /v1.0/sessions {file_name, file_size, content_type}` with the account's token."""
    account = _account_by_token(request)
    wanted = await read_as(request, dict[str, object])
    name, size = wanted.get("file_name"), wanted.get("file_size")
    if not isinstance(name, str) or not isinstance(size, int) or not 0 < size <= FILE_MAX_BYTES:
        raise refusal(400, "file_name and file_size must be given")
    session_id = new_uuid()
    _uploads[session_id] = Upload(account, name, str(wanted.get("content_type") or ""), size)
    limits = {"max_file_size": FILE_MAX_BYTES, "max_part_size": PART_BYTES}
    return answer({"session_id": session_id, "upload_url": _part(request, session_id, 1), **limits})


async def upload_part(request: Request) -> Response:
    """Answer with the address of the next part, or, after the last, with the file."""
    session_id, number = request.path_params["session"], request.path_params["part"]
    upload = _uploads.get(session_id)
    if upload is None:
        raise refusal(404, "no such session")
    part = await request.body()
    if len(part) > PART_BYTES:
        raise refusal(413, "the part is too large")
    upload.content += part
    if len(upload.content) < upload.size:
        return answer({"session_id": session_id, "next_url": _part(request, session_id, number + 1)}, 202)
    del _uploads[session_id]
    stored = StoredFile(new_uuid(), upload.name, upload.mime, upload.size, bytes(upload.content))
    upload.account.files[stored.uuid] = stored
    return answer({"uuid": stored.uuid, "version_uuid": new_uuid(), "name": stored.name, "size": stored.size})


async def hand_out(request: Request) -> Response:
    """A plain GET, without a token, as reports have it."""
    for account in desk_of(request).world.accounts.values():
        if account.amojo_id == request.path_params["amojo"]:
            stored = account.files.get(request.path_params["uuid"])
            if stored is not None:
                return Response(stored.content, media_type=stored.mime or None)
    raise refusal(404, "no such file")


def account_of(world: World, request: Request) -> Account | None:
    """Return whose file server is asked: the token says so for the drive, the address for an attachment."""
    if request.url.path.startswith("/v1.0/"):
        value = request.headers.get("authorization", "").removeprefix("Bearer ")
        return next((one for one in world.accounts.values() if value in one.tokens), None)
    if not request.url.path.startswith(("/v2/", "/download/")):
        return None
    owner = request.url.path.split("/")[2]
    return next((one for one in world.accounts.values() if one.amojo_id == owner), None)


def _part(request: Request, session_id: str, number: int) -> str:
    host = request.headers.get("host", "drive-c.kommo.test")
    return f"https://{host}/v1.0/sessions/upload/{session_id}/{number}"


def _account_by_token(request: Request) -> Account:
    value = request.headers.get("authorization", "").removeprefix("Bearer ")
    for account in desk_of(request).world.accounts.values():
        token = account.tokens.get(value)
        if token is not None and not token.revoked:
            if "files" not in token.scopes:
                raise Refused(answer({"title": "Forbidden", "status": 403}, 403))
            return account
    raise Refused(answer({"title": "Unauthorized", "status": 401}, 401))


ROUTES = [
    Route("/v1.0/sessions", open_session, methods=["POST"]),
    Route("/v1.0/sessions/upload/{session}/{part:int}", upload_part, methods=["POST"]),
    Route("/v2/{amojo}/attachments/{uuid}/{name}", hand_out, methods=["GET"]),
    Route("/download/{amojo}/{uuid}", hand_out, methods=["GET"]),
]
