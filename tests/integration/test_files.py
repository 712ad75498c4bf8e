"""The file store: whole files or none, and only below its root."""

import hashlib
import stat

import pytest

from gptagent.kernel.errors import NotFound, TooLarge
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope


async def chunks(*parts):
    for part in parts:
        yield part


async def breaking(*parts):
    for part in parts:
        yield part
    raise ConnectionError


@pytest.fixture
def root(tmp_path):
    return tmp_path / "files"


@pytest.fixture
def files(root):
    return LocalFiles(root)


def kept(root):
    return [path for path in root.rglob("*") if path.is_file()]


async def test_a_file_comes_back_as_it_was_sent(files, root):
    key = Scope(new_id()).key("documents", new_id())
    stored = await files.put(key, chunks(b"one ", b"two"), max_bytes=100)
    assert (await files.open_path(key)).read_bytes() == b"one two"
    assert (stored.size_bytes, stored.sha256) == (7, hashlib.sha256(b"one two").hexdigest())
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


async def test_a_file_of_exactly_the_limit_fits(files):
    assert (await files.put("a:b", chunks(b"12345"), max_bytes=5)).size_bytes == 5


async def test_of_a_file_that_is_too_large_nothing_is_kept(files, root):
    with pytest.raises(TooLarge) as refused:
        await files.put("a:b", chunks(b"x" * 2_000_000, b"x" * 2_000_000), max_bytes=3_000_000)
    assert refused.value.params == {"limit": 3}
    assert kept(root) == []


async def test_of_an_upload_that_breaks_off_nothing_is_kept_and_the_old_file_stays(files, root):
    await files.put("a:b", chunks(b"old"), max_bytes=10)
    with pytest.raises(ConnectionError):
        await files.put("a:b", breaking(b"new"), max_bytes=10)
    assert [path.read_bytes() for path in kept(root)] == [b"old"]


async def test_a_missing_file_is_not_found_and_may_be_deleted(files):
    await files.put("a:b", chunks(b"x"), max_bytes=10)
    await files.delete("a:b")
    await files.delete("a:b")
    with pytest.raises(NotFound):
        await files.open_path("a:b")


FORGED = [
    "", ".", "..", "a:.", "a:..", "..:a", "a:../b", "../a", "/etc/passwd", "a/b", "a\\b", "a:", ":a", "a::b",
    "a:b\0",
    "a:b\n", "~", "a:.b.part", "a b", "%2e%2e", "a:\u2024\u2024", "C:\\x",
]  # fmt: skip


@pytest.mark.parametrize("key", FORGED)
async def test_a_key_never_leaves_the_folder(files, root, key):
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(ValueError, match="not a key"):
        await files.put(key, chunks(b"x"), max_bytes=10)
    with pytest.raises(ValueError, match="not a key"):
        await files.open_path(key)
    with pytest.raises(ValueError, match="not a key"):
        await files.delete(key)
    assert sorted(root.parent.rglob("*")) == before
