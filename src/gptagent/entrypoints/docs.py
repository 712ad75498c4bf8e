"""The API's description to be read in a browser: one page with a vendored viewer, loaded nowhere else."""

import gzip
from dataclasses import dataclass, field
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gptagent import ui
from gptagent.kernel.http import PatternRoute

UI = Path(ui.__file__).parent
FILES = {
    "swagger-ui-bundle.js": (UI / "vendor" / "swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "swagger-ui.css": (UI / "vendor" / "swagger-ui.css", "text/css; charset=utf-8"),
    "docs.js": (UI / "docs" / "docs.js", "text/javascript; charset=utf-8"),
}
DAY = "public, max-age=86400"


@dataclass(slots=True)
class Docs:
    """Files are compressed when they are first asked for: most processes never are."""

    _packed: dict[str, bytes] = field(default_factory=dict)

    def routes(self) -> list[BaseRoute]:
        return [PatternRoute("/api/docs", self.page), PatternRoute("/api/docs/{file}", self.file)]

    async def page(self, _request: Request) -> Response:
        return Response((UI / "docs" / "docs.html").read_bytes(), media_type="text/html")

    async def file(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name not in FILES:
            raise HTTPException(404)
        path, media_type = FILES[name]
        if name not in self._packed:
            self._packed[name] = gzip.compress(path.read_bytes(), 6, mtime=0)
        body, headers = self._packed[name], {"cache-control": DAY, "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(body, headers={**headers, "content-encoding": "gzip"}, media_type=media_type)
        return Response(gzip.decompress(body), headers=headers, media_type=media_type)
