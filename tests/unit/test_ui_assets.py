import gzip
import hashlib
import json
import re

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from ui_support import SOURCE, assets, styleguide

from gptagent.ui.assets import build_assets
from gptagent.ui.parts import COMPONENTS, FONTS, PAGE_STYLES, VENDORED, VENDORED_FOR_DOCS

UI = SOURCE / "ui"
JS_BUDGET_BYTES = 25_000


def client() -> TestClient:
    return TestClient(Starlette(routes=[Mount("/assets", assets())]))


def test_a_file_is_served_for_ever_under_its_hash():
    answer = client().get(assets().url("app.css"))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert hashlib.sha256(answer.content).hexdigest()[:12] in assets().url("app.css")


def test_a_text_file_is_sent_compressed_only_to_whom_can_read_it():
    packed = client().get(assets().url("app.js"), headers={"accept-encoding": "gzip"})
    plain = client().get(assets().url("app.js"), headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert plain.headers["vary"] == "accept-encoding"


def test_a_known_file_is_not_sent_again():
    url = assets().url("icons.svg")
    etag = client().get(url).headers["etag"]
    again = client().get(url, headers={"if-none-match": etag})
    assert again.status_code == 304
    assert again.content == b""


def test_an_unknown_or_old_name_is_not_found():
    assert client().get("/assets/app.000000000000.css").status_code == 404
    assert client().get("/assets/../parts.py").status_code == 404


def test_two_starts_give_the_same_addresses():
    assert {name: file.filename for name, file in build_assets().by_name.items()} == {
        name: file.filename for name, file in assets().by_name.items()
    }


def test_the_scripts_of_a_page_stay_within_the_budget():
    """U211"""
    scripts = re.findall(r'<script src="/assets/([^"]+)"', styleguide())
    sizes = [len(file.gzipped or b"") for name in scripts if (file := assets().find(name))]
    assert len(sizes) == 2
    assert sum(sizes) <= JS_BUDGET_BYTES


def test_the_style_refers_to_fonts_that_exist():
    style = gzip.decompress(assets().by_name["app.css"].gzipped or b"").decode()
    urls = re.findall(r'url\("/assets/([^"]+)"\)', style)
    assert len(urls) == len(FONTS)
    assert all(assets().find(url) for url in urls)
    assert style.startswith("@layer reset, tokens, base, components, pages;")


def test_vendored_files_are_the_published_ones():
    listed = json.loads((UI / "vendor/vendor.json").read_text())
    assert [entry["file"] for entry in listed] == [*VENDORED, *VENDORED_FOR_DOCS]
    for entry in listed:
        body = (UI / "vendor" / entry["file"]).read_bytes()
        assert hashlib.sha256(body).hexdigest() == entry["sha256"]
        assert (UI / "vendor" / entry["licence_file"]).exists()


def test_every_component_and_page_style_is_in_the_table_of_contents():
    assert {path.name for path in (UI / "components").iterdir()} == set(COMPONENTS)
    assert {path.stem for path in (UI / "pages").iterdir()} == {*PAGE_STYLES, "shell"}


def test_behaviours_stay_small():
    sizes = {path.name: len(path.read_text().splitlines()) for path in UI.glob("components/*/*.js")}
    assert sizes
    assert {name: size for name, size in sizes.items() if size >= 60} == {}


def test_no_script_asks_by_a_dialog_of_the_browser():
    """U031"""
    scripts = [*UI.glob("components/*/*.js"), *UI.glob("docs/*.js")]
    asks = re.compile(r"(?<![\w.])(?:window\.)?(?:alert|confirm|prompt)\(")
    assert [path.name for path in scripts if asks.search(path.read_text())] == []


def test_both_ways_into_the_dark_use_the_same_colours():
    """U025"""
    tokens = (UI / "tokens.css").read_text()
    chosen = re.search(r':root\[data-theme="dark"\] \{(.*?)\}', tokens, re.DOTALL)
    by_system = re.search(r':root:not\(\[data-theme="light"\]\) \{(.*?)\}', tokens, re.DOTALL)
    assert chosen
    assert by_system
    assert chosen[1].split() == by_system[1].split()


def test_a_style_uses_only_tokens_that_exist():
    """A name that is set nowhere quietly gives its fallback, or nothing; knobs of a component have one."""
    style = "\n".join(path.read_text() for path in UI.rglob("*.css") if "vendor" not in path.parts)
    known = set(re.findall(r"(--[\w-]+)\s*:", style))
    used = set(re.findall(r"var\((--[\w-]+)\)", style))
    tokens = {
        name
        for name in re.findall(r"var\((--[\w-]+)", style)
        if re.match(r"--(color|radius|space|text)-", name)
    }
    assert sorted((used | tokens) - known) == []
