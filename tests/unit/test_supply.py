"""What `make audit` and `make ci` find: planted secrets, loose locks, old ones, known holes."""

import base64
import hashlib
import json
import os
import string
import subprocess
import time

import pytest

from lints import secrets, supply


def random(length, letters=string.ascii_letters + string.digits):
    return "".join(letters[byte % len(letters)] for byte in os.urandom(length))


# Put together here, so that this very file holds none.
PLANTED = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "AWS key": "AKIA" + random(16, string.ascii_uppercase),
    "GitHub token": "ghp_" + random(36),
    "GitLab token": "glpat-" + random(20),
    "Slack token": "xoxb-" + random(24),
    "Stripe key": "sk_live_" + random(24),
    "Google key": "AIza" + random(35),
    "model key": "sk-proj-" + random(40),
    "Telegram bot": "123456789:AA" + random(33),
    "signed token": f"eyJ{random(20)}.eyJ{random(30)}.{random(40)}",
    "key of this platform": "gpa_" + random(40),
    "address with a password": f"postgresql://app:{random(16)}@db/app",
    "secret": f'SECRET_KEY = "{base64.b64encode(os.urandom(32)).decode()}"',
}


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init", "-q")
    return tmp_path, git


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found_and_not_repeated(kind):
    """SEC-12"""
    found = list(secrets.leaks_in(f"value: {PLANTED[kind]}", "x:1"))
    assert kind in {leak.kind for leak in found}
    assert not [leak for leak in found if PLANTED[kind] in str(leak)]


def test_every_kind_has_its_sample():
    assert PLANTED.keys() == secrets.KNOWN.keys() | {"secret"}


@pytest.mark.parametrize(
    "line",
    [
        'password = "correct horse battery staple"',
        'token = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"',
        "redis://:password@host:6379/0",
        'TOKEN_PURPOSE = "crm-token"',
        'token_field = "{{ form.csrf_token_field }}"',
    ],
)
def test_words_about_secrets_are_none(line):
    assert list(secrets.leaks_in(line, "x:1")) == []


def test_a_value_that_was_looked_at_is_allowed_by_its_hash(monkeypatch):
    key = PLANTED["AWS key"]
    monkeypatch.setitem(secrets.ALLOWED, hashlib.sha256(key.encode()).hexdigest()[:12], "a sample")
    assert list(secrets.leaks_in(key, "x:1")) == []


def test_a_value_allowed_in_one_file_is_found_in_every_other(monkeypatch):
    key = PLANTED["AWS key"]
    mark = hashlib.sha256(key.encode()).hexdigest()[:12]
    monkeypatch.setitem(secrets.ALLOWED_IN, (mark, "tests/x.py"), "a sample")
    assert list(secrets.leaks_in(key, "tests/x.py:1", "tests/x.py")) == []
    assert [leak.mark for leak in secrets.leaks_in(key, "src/y.py:1", "src/y.py")] == [mark]


def test_a_secret_that_was_taken_back_is_still_in_the_history(repository):
    """SEC-12"""
    root, git = repository
    (root / "settings.env").write_text(PLANTED["model key"])
    git("add", "-A")
    assert [leak.where for leak in secrets.scan_tree(root)] == ["settings.env:1"]
    git("commit", "-qm", "in")
    git("rm", "-q", "settings.env")
    git("commit", "-qm", "out")
    assert secrets.scan_tree(root) == []
    (leak,) = secrets.scan_history(root)
    assert leak.kind == "model key" and leak.where.endswith(" settings.env")


def test_a_lock_is_pinned_and_hashed():
    """SEC-12"""
    hashed = [f"--hash=sha256:{digit * 64}" for digit in "01"]
    good = f"a==1.0 \\\n    {hashed[0]}\nb[x]==2 ; os_name == 'x' \\\n    {hashed[1]}\n"
    assert supply.unlocked("# made by pip-compile\n" + good) == []
    assert supply.unlocked(good + "c==3\n") == ["c==3 has no hash"]
    assert supply.unlocked(f"d>=1 --hash=sha256:{'0' * 64}") == ["d>=1 is not pinned to one version"]
    assert supply.unlocked("-e .\n")[0] == "-e is not pinned to one version"


def test_the_locks_of_this_repository_are_whole():
    for name in supply.LOCKS:
        assert supply.unlocked((supply.ROOT / name).read_text()) == []


def test_a_lock_is_as_old_as_its_last_change(repository):
    root, git = repository
    lock = root / "requirements.lock"
    lock.write_text("a==1\n")
    assert supply.age_days(lock, time.time()) == 0
    git("add", "-A")
    git("commit", "-qm", "lock")
    later = time.time() + 100 * 86_400
    assert 99 < supply.age_days(lock, later) < 101
    lock.write_text("a==2\n")
    assert supply.age_days(lock, later) == 0


def test_a_known_hole_is_a_problem_and_an_unreachable_feed_is_said(capsys):
    hole = {"id": "PYSEC-1", "fix_versions": ["2"]}
    report = {
        "dependencies": [{"name": "a", "version": "1", "vulns": [hole]}, {"name": "b", "skip_reason": "?"}]
    }
    (problem,) = supply.judge("x.lock", json.dumps(report))
    assert "a 1: PYSEC-1" in problem and "does not know b" in capsys.readouterr().out
    unreachable = json.dumps({"dependencies": [{"name": "a", "skip_reason": "?"}]})
    for nothing in ("", "Traceback", unreachable):
        assert supply.judge("x.lock", nothing) == []
        assert "no advisory feed can be reached" in capsys.readouterr().out
