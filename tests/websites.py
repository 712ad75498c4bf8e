"""A small site on this machine for the tests of reading sites: what it serves can change while it runs."""

from contextlib import asynccontextmanager

from integration.egress_tools import answer, running


class _Pages(dict):
    def __missing__(self, path):
        return answer(b"<h1>Not found</h1>", "404 Not Found", Content_Type="text/html")


class Website:
    """`site` serves pages and remembers what it was asked."""

    def __init__(self, site):
        self.site = site
        site.answers = _Pages()

    def url(self, path="/"):
        return self.site.url(path)

    @property
    def host_port(self):
        return "127.0.0.1", self.site.port

    def page(self, path, text, *links, head="", status="200 OK", **headers):
        anchors = "".join(f'<a href="{link}">{link}</a>' for link in links)
        markup = f"<!doctype html><title>{text}</title>{head}<h1>{text}</h1><p>It says {text}.</p>{anchors}"
        self.site[path] = answer(markup.encode(), status, Content_Type="text/html; charset=utf-8", **headers)

    def text(self, path, body, kind="text/plain", status="200 OK", **headers):
        self.site[path] = answer(body.encode(), status, Content_Type=kind, **headers)

    def redirect(self, path, to):
        self.site[path] = answer(b"", "301 Moved", Location=to)

    def tagged(self, path, text, tag, *links):
        """Serve a page that answers 304 to whoever has it."""
        anchors = "".join(f'<a href="{link}">{link}</a>' for link in links)
        markup = f"<!doctype html><title>{text}</title><h1>{text}</h1><p>It says {text}.</p>{anchors}"
        full = answer(markup.encode(), Content_Type="text/html", ETag=tag)

        async def serve(writer):
            has = self.site.requests[-1][1].get("if-none-match") == tag.lower()
            writer.write(answer(b"", "304 Not Modified", ETag=tag) if has else full)
            await writer.drain()

        self.site[path] = serve

    def asked(self):
        """Return the paths asked for since the last call, in order."""
        paths = [line.split()[1] for line, _headers, _body in self.site.requests]
        self.site.requests.clear()
        return paths


@asynccontextmanager
async def website():
    async with running() as site:
        yield Website(site)
