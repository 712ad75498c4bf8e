"""What the sandbox's tests share: an account to act in, and a real receiver of its webhooks."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import httpx2

from trust import TRUST

PATIENCE_S = 60
_numbers = itertools.count(1)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@dataclass
class Account:
    """One emulated account: `api` speaks as an integration, `steer` as the one who runs the emulator."""

    url: str
    facts: dict
    http: httpx2.Client

    @classmethod
    def open(cls, url, http, **features):
        body = {"subdomain": f"acme{next(_numbers)}", "features": features}
        facts = http.post(f"{url}/_sandbox/accounts", json=body).raise_for_status().json()
        account = cls(url, facts, http)
        # A receiver of these tests answers at once, as soon as a busy machine lets it.
        account.steer("POST", "/knobs", requests_per_second=0, webhook_timeout_ms=60_000)
        return account

    def api(self, method, path, body=None, *, token=None, **options):
        headers = {
            "Host": f"{self.facts['subdomain']}.kommo.test",
            "Authorization": f"Bearer {token or self.facts['token']}",
        }
        return self.http.request(method, f"{self.url}/api/v4{path}", json=body, headers=headers, **options)

    def steer(self, method, path, /, **body):
        address = f"{self.url}/_sandbox/accounts/{self.facts['subdomain']}{path}"
        response = self.http.request(method, address, json=body if method in {"POST", "PATCH"} else None)
        return response.raise_for_status().json()

    def chat(self, **details):
        return self.steer("POST", "/chats", name="Ann", **details)

    def subscribe(self, destination, *codes):
        body = {"destination": destination, "settings": list(codes)}
        return self.api("POST", "/webhooks", body).raise_for_status().json()

    def stage(self, index):
        return self.facts["pipeline"]["stages"][index]["id"]


@contextmanager
def accounts_at(url):
    """Hand out a function that opens accounts, with features if need be."""
    with httpx2.Client(timeout=60, verify=TRUST) as http:
        yield lambda **features: Account.open(url, http, **features)


@dataclass
class Receiver:
    """A web server that takes webhooks down and answers with `status`."""

    url: str = ""
    status: int = 200
    got: list[tuple[dict[str, str], list[tuple[str, str]]]] = field(default_factory=list)

    def bodies(self, prefix):
        return [dict(pairs) for _, pairs in list(self.got) if any(key.startswith(prefix) for key, _ in pairs)]

    def keys(self, prefix):
        return next(
            [key for key, _ in pairs]
            for _, pairs in list(self.got)
            if any(key.startswith(prefix) for key, _ in pairs)
        )


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # a burst of connections must not wait for a second SYN


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            receiver.got.append((dict(self.headers), parse_qsl(body, keep_blank_values=True)))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Be quiet."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:  # else a test that fails would never end
        server.shutdown()
        server.server_close()
        thread.join()
