"""Sign-in providers of their own processes: a real one, and one that says what a test wants."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.clock import utcnow
from here import listening

FOLDER = Path(__file__).parent / "oidc_provider"
CLIENT_ID, CLIENT_SECRET = "gptagent", "a secret of the tests"
STOP_SECONDS = 5


@contextmanager
def real_provider(redirect_uri: str) -> Iterator[str]:
    """Run npm's `oidc-provider` and hand out its issuer."""
    folder = Path(tempfile.mkdtemp(prefix="gpta-oidc-"))
    try:
        for file in FOLDER.iterdir():
            if file.is_file():
                shutil.copy(file, folder)
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True, timeout=240
        )
        command = ["node", "provider.js", str(free_port()), redirect_uri]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                yield next(line.split()[1] for line in process.stdout if line.startswith("ready "))
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def log_in_at(address: str, name: str, redirect_uri: str) -> str:
    """Log in at the real provider as a browser would; return the address it sends the browser back to."""
    async with httpx2.AsyncClient(timeout=20) as http:
        answer = await http.get(address)
        while True:
            if answer.is_redirect:
                target = str(answer.request.url.join(answer.headers["location"]))
                if target.startswith(redirect_uri):
                    return target
                answer = await http.get(target)
                continue
            action = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="([^"]+)"', answer.text)
            assert action and prompt, answer.text
            form = {"prompt": prompt[1], "login": name, "password": "any"}
            answer = await http.post(str(answer.request.url.join(action[1])), data=form)


@dataclass
class Rogue:
    """A provider that signs what a test wants. `changes` replace claims, `also` goes with the token."""

    issuer: str
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signing_key: RSAKey | None = None
    changes: dict = field(default_factory=dict)
    also: dict = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    token: str = ""
    nonce: str = ""
    asked: list[dict] = field(default_factory=list)

    def remember(self, address: str) -> str:
        """Be the page the browser was sent to; return the state it came with."""
        query = parse_qs(urlsplit(address).query)
        self.nonce = query["nonce"][0]
        return query["state"][0]

    def id_token(self) -> str:
        now = int(utcnow().timestamp())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "mallory", "nonce": self.nonce}
        claims |= {"iat": now, "exp": now + 60, "email": "mallory@example.test", "email_verified": True}
        claims = {name: value for name, value in {**claims, **self.changes}.items() if value is not None}
        return self.token or jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.signing_key or self.key)

    async def describe(self, _request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        )

    async def keys(self, _request: Request) -> JSONResponse:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def exchange(self, request: Request) -> JSONResponse:
        self.asked.append(dict(await request.form()))
        self.given.append(self.id_token())
        answer = {"id_token": self.given[-1], "token_type": "Bearer", "access_token": "x"}
        return JSONResponse({**answer, **self.also})


@asynccontextmanager
async def rogue_provider() -> AsyncIterator[Rogue]:
    port = free_port()
    rogue = Rogue(f"http://127.0.0.1:{port}")
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", rogue.describe),
            Route("/keys", rogue.keys),
            Route("/token", rogue.exchange, methods=["POST"]),
        ]
    )
    async with listening(app, port):
        yield rogue
