"""The browser's files, built once at process start: joined, hashed, compressed, never changed afterwards.

A file's address contains the hash of its content, so it may be kept for ever; a release changes the address.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gptagent.ui.parts import COMPONENTS, FONTS, PAGE_STYLES, UI, VENDORED

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
FOREVER = "public, max-age=31536000, immutable"
HASH_CHARS = 12


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    filename: str
    media_type: str
    body: bytes
    gzipped: bytes | None

    @property
    def etag(self) -> str:
        return f'"{self.filename}"'


class Assets:
    """The finished files by their plain name (`app.css`) and by their hashed file name."""

    def __init__(self, assets: Iterable[Asset], prefix: str) -> None:
        self.prefix = prefix
        self.by_name: Mapping[str, Asset] = {asset.name: asset for asset in assets}
        self._by_filename = {asset.filename: asset for asset in self.by_name.values()}

    def url(self, name: str) -> str:
        """Return the address of `name`; a name that does not exist is a LookupError."""
        return f"{self.prefix}/{self.by_name[name].filename}"

    def find(self, filename: str) -> Asset | None:
        return self._by_filename.get(filename)

    @cached_property
    def icons(self) -> frozenset[str]:
        sprite = self.by_name["icons.svg"].body.decode()
        return frozenset(re.findall(r'<symbol id="i-([\w-]+)"', sprite))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file. Mount it under the prefix; only the last part of the path counts."""
        request = Request(scope, receive)
        asset = self.find(scope["path"].rsplit("/", 1)[-1])
        response = _found(asset, request) if asset else Response(status_code=404)
        await response(scope, receive, send)


@cache
def build_assets(prefix: str = "/assets") -> Assets:
    """Read the files of this package and return them ready to be served."""
    fonts = [_asset(name, (UI / "fonts" / name).read_bytes()) for name in FONTS]
    vendored = [_asset(name, (UI / "vendor" / name).read_bytes()) for name in VENDORED]
    icons = [_asset(name, (UI / "icons" / name).read_bytes()) for name in ("icons.svg", "favicon.svg")]
    pages = [_asset(f"pages/{name}.css", _slim(_read(f"pages/{name}.css")).encode()) for name in PAGE_STYLES]
    urls = {f"fonts/{font.name}": f"{prefix}/{font.filename}" for font in fonts}
    style = _asset("app.css", _with_urls(_join_styles(), urls).encode())
    script = _asset("app.js", _join_scripts().encode())
    return Assets([style, script, *pages, *vendored, *icons, *fonts], prefix)


def _asset(name: str, body: bytes) -> Asset:
    path = Path(name)
    digest = hashlib.sha256(body).hexdigest()[:HASH_CHARS]
    packed = None if path.suffix == ".woff2" else gzip.compress(body, 9, mtime=0)
    filename = f"{name.removesuffix(path.suffix).replace('/', '-')}.{digest}{path.suffix}"
    return Asset(name, filename, MEDIA_TYPES[path.suffix], body, packed)


def _read(path: str) -> str:
    return (UI / path).read_text(encoding="utf-8")


def _join_styles() -> str:
    parts = ["layers.css", "tokens.css", "base.css"]
    parts += [path for name in COMPONENTS if (UI / (path := f"components/{name}/{name}.css")).exists()]
    return "\n".join(_slim(_read(part)) for part in [*parts, "pages/shell.css"])


def _join_scripts() -> str:
    paths = [f"components/{name}/{name}.js" for name in COMPONENTS]
    bodies = [_slim_script(_read(path)) for path in paths if (UI / path).exists()]
    # Each behaviour gets its own scope, so that two of them may use the same name.
    return "\n".join(['"use strict";', *(f"(() => {{\n{body}\n}})();" for body in bodies)])


def _slim(css: str) -> str:
    without_comments = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", without_comments).strip()


def _slim_script(script: str) -> str:
    return re.sub(r"^\s*//.*$|^\s+", "", script, flags=re.MULTILINE).strip()


def _with_urls(css: str, urls: Mapping[str, str]) -> str:
    return re.sub(r'url\("([^"]+)"\)', lambda found: f'url("{urls[found[1]]}")', css)


def _found(asset: Asset, request: Request) -> Response:
    headers = {"cache-control": FOREVER, "etag": asset.etag, "x-content-type-options": "nosniff"}
    body = asset.body
    if asset.gzipped is not None:
        headers["vary"] = "accept-encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            body = asset.gzipped
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    # A HEAD answer has the length of the file; the server drops the body.
    return Response(body, headers=headers, media_type=asset.media_type)
