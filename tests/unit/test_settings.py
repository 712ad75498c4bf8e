"""The environment: what is read, and what production refuses."""

import os
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.secret_keys import decode_keys, weakness
from gptagent.kernel.settings import Settings, child_environment, share_metrics

KEY_BYTES, OTHER_BYTES = os.urandom(32), os.urandom(32)
KEY = b64encode(KEY_BYTES).decode()
OTHER_KEY = b64encode(OTHER_BYTES).decode()
SAFE = {
    "APP_ENV": "production",
    "PUBLIC_URL": "https://agents.example.com/",
    "SECRET_KEYS": KEY,
    "REDIS_URL": "rediss://:hidden-redis-word@redis:6379/0",
}


@pytest.fixture
def load(monkeypatch):
    """Read the settings from this environment and no other."""

    def load(**values):
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return Settings.load()

    return load


def refusal(load, **changes):
    with pytest.raises(Misconfigured) as refused:
        load(**{name: value for name, value in (SAFE | changes).items() if value is not None})
    return str(refused.value)


def test_one_machine_needs_no_setting_at_all(load):
    settings = load()
    assert settings.base_url == "http://localhost:8000"
    assert not settings.production and not settings.secure_cookies and settings.open_registration
    assert settings.files_path == settings.home / "files" and settings.allowed_egress == frozenset()


def test_production_starts_with_safe_values(load):
    settings = load(**SAFE)
    assert settings.base_url == "https://agents.example.com" and settings.secure_cookies
    assert settings.production and not settings.open_registration


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"PUBLIC_URL": None}, "set PUBLIC_URL to the https:// address"),
        ({"PUBLIC_URL": "http://agents.example.com"}, "set PUBLIC_URL to the https:// address"),
        ({"SECRET_KEYS": None}, "set SECRET_KEYS or SECRET_KEYS_FILE"),
        ({"SECRET_KEYS": "c2hvcnQ="}, "32 random bytes"),
        ({"SECRET_KEYS": b64encode(b"a" * 32).decode()}, "repeats itself"),
        ({"SECRET_KEYS": b64encode(os.urandom(8) * 4).decode()}, "repeats itself"),
        ({"SECRET_KEYS": b64encode(bytes(20) + os.urandom(12)).decode()}, "hardly any different bytes"),
        ({"SECRET_KEYS": b64encode(bytes(range(32))).decode()}, "is a sequence"),
        ({"SECRET_KEYS": b64encode(b"change-me: the default secret 42").decode()}, "is a text"),
        ({"SECRET_KEYS": f"{KEY},{KEY}"}, "the same key twice"),
        ({"SECRET_KEYS": "not base64 at all"}, "must be base64"),
        ({"SECRET_KEYS": " , "}, "SECRET_KEYS is empty"),
        ({"REDIS_URL": None}, "set REDIS_URL, or SINGLE_WEB_PROCESS=1"),
        ({"REDIS_URL": "redis://redis:6379/0"}, "give REDIS_URL a password"),
        ({"KOMMO_SANDBOX_URL": "http://127.0.0.1:9000"}, "unset KOMMO_SANDBOX_URL"),
        (
            {"SMTP_URL": "smtp://mail.example.com:25", "MAIL_FROM": "a@example.com"},
            "let SMTP_URL be smtps://",
        ),
        ({"METRICS_TOKEN": "tiny-word"}, "make METRICS_TOKEN at least 16 characters"),
        ({"DATABASE_URL": "postgresql://app@db/app"}, "set DATABASE_URL and DATABASE_OWNER_URL together"),
    ],
)
def test_production_refuses_unsafe_values_with_what_to_set(load, changes, sentence):
    """AUTH-18"""
    assert sentence in refusal(load, **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"PORT": "70000"}, "PORT: "),
        ({"APP_ENV": "staging"}, "APP_ENV: "),
        ({"PUBLIC_URL": "agents.example.com"}, "PUBLIC_URL must start with https://"),
        ({"FILES_URL": "ftp://files/all"}, "FILES_URL must be file:///"),
        ({"SMTP_URL": "mail.example.com:25"}, "SMTP_URL must be smtp://"),
        ({"SMTP_URL": "smtps://mail.example.com?tls"}, "SMTP_URL must be smtp://"),
        ({"SMTP_URL": "smtps://mail.example.com"}, "set MAIL_FROM"),
        ({"MAIL_FROM": "Agents"}, "MAIL_FROM must be"),
        ({"MAIL_FROM": "Agents\r\nBcc: x@evil.test <a@example.com>"}, "MAIL_FROM must be"),
        ({"EGRESS_ALLOW": "localhost"}, "EGRESS_ALLOW takes host:port pairs"),
        ({"FORWARDED_ALLOW_IPS": "*"}, "FORWARDED_ALLOW_IPS takes networks"),
        ({"KOMMO_CLIENT_ID": "x"}, "set KOMMO_CLIENT_ID and KOMMO_CLIENT_SECRET together"),
        ({"AMOCRM_CLIENT_SECRET": "x"}, "set AMOCRM_CLIENT_ID and AMOCRM_CLIENT_SECRET together"),
        ({"EGRESS_ALLOW": "a:1,b:http"}, "EGRESS_ALLOW takes host:port pairs"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(load, changes, sentence):
    assert sentence in refusal(load, **changes)


def test_all_faults_are_told_at_once(load):
    text = refusal(load, PUBLIC_URL=None, SECRET_KEYS=None, REDIS_URL=None)
    assert "PUBLIC_URL" in text and "SECRET_KEYS" in text and "REDIS_URL" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"PUBLIC_URL": None},
        {"REDIS_URL": "redis://hidden-redis-word@redis:6379"},
        {"SECRET_KEYS": KEY[:-8]},
        {"METRICS_TOKEN": "hidden-token"},
        {"LLM_API_KEY": "hidden-api-key", "PORT": "x"},
        {"SMTP_URL": "smtp://me:hidden-mail-word@mail.example.com", "MAIL_FROM": "a@example.com"},
        {"DATABASE_URL": "postgresql://app:hidden-db-word@db/app"},
    ],
)
def test_a_refusal_never_shows_a_secret(load, changes):
    text = refusal(load, **changes)
    assert "hidden" not in text and KEY[:12] not in text


def test_settings_printed_show_no_secret(load):
    settings = load(**SAFE, LLM_API_KEY="hidden-api-key")
    assert "hidden" not in repr(settings) and KEY not in repr(settings) and "hidden" not in str(settings)


def test_a_single_web_process_needs_no_redis(load):
    environment = SAFE | {"SINGLE_WEB_PROCESS": "1"}
    del environment["REDIS_URL"]
    assert load(**environment).redis_url is None


def test_exact_pairs_may_be_private_and_the_sandbox_is_one(load):
    settings = load(EGRESS_ALLOW="Ollama:11434, [::1]:80", KOMMO_SANDBOX_URL="http://127.0.0.1:9000/x")
    assert settings.allowed_egress == {("ollama", 11434), ("::1", 80), ("127.0.0.1", 9000)}


def test_no_workspace_reads_as_a_site_what_the_installation_itself_calls(load):
    settings = load(
        EGRESS_ALLOW="ollama:11434,intranet:80",
        LLM_BASE_URL="http://ollama:11434/v1",
        KOMMO_SANDBOX_URL="http://127.0.0.1:9000",
    )
    assert settings.readable_egress == {("intranet", 80)}


def test_where_the_page_can_be_reached_from_outside_registration_is_closed(load):
    assert not load(HOST="192.0.2.7").open_registration
    assert load(HOST="192.0.2.7", REGISTRATION="open").open_registration
    assert not load(REGISTRATION="invite").open_registration


def test_the_first_of_several_keys_comes_first():
    assert decode_keys(f"{OTHER_KEY}, {KEY}") == [OTHER_BYTES, KEY_BYTES]


def test_home_and_files_are_where_the_operator_says(load):
    settings = load(GPTAGENT_HOME="~/agents", FILES_URL="file:///srv/files")
    assert settings.home == Path.home() / "agents" and settings.files_path == Path("/srv/files")


def test_a_child_for_a_trial_inherits_the_machine_but_not_our_settings(load, monkeypatch):
    load(PORT="9999")
    monkeypatch.setenv("LANGUAGE_OF_MACHINE", "xx")
    environment = child_environment()
    assert "PORT" not in environment and environment["LANGUAGE_OF_MACHINE"] == "xx"


def test_a_fresh_start_counts_from_zero(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.delitem(sys.modules, "prometheus_client", raising=False)
    share_metrics(tmp_path)
    left = tmp_path / "run/metrics/counter_1.db"
    left.write_bytes(b"")
    share_metrics(tmp_path)
    assert left.exists()
    share_metrics(tmp_path, fresh=True)
    assert not left.exists()


def test_a_process_that_would_count_for_itself_alone_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", object())
    with pytest.raises(RuntimeError, match="prometheus_client"):
        share_metrics(tmp_path)


@pytest.mark.parametrize(
    "origin",
    ["*", "shop.example", "https://*.example", "https://shop.example/", "https://Shop.example", "null",
     "https://shop.example:443", "https://user@shop.example", "ftp://shop.example", "https://shop.example?x"],
)  # fmt: skip
def test_only_exact_origins_may_call_the_api_from_a_browser(origin, load):
    """SEC-2"""
    with pytest.raises(Misconfigured, match="CORS_ORIGINS"):
        load(CORS_ORIGINS=f"https://first.example, {origin}")


def test_origins_are_read_one_by_one(load):
    settings = load(CORS_ORIGINS="https://shop.example, http://localhost:3000,https://[::1]:8443,")
    assert settings.allowed_origins == {
        "https://shop.example",
        "http://localhost:3000",
        "https://[::1]:8443",
    }
    assert load().allowed_origins == frozenset()


def test_production_lets_no_origin_without_tls_in(load):
    """SEC-2"""
    with pytest.raises(Misconfigured, match="CORS_ORIGINS"):
        load(**SAFE, CORS_ORIGINS="http://shop.example")
    assert load(**SAFE, CORS_ORIGINS="https://shop.example").production


BACKENDS = {"DATABASE_URL": "postgresql://app@db/app?sslmode=verify-full"}
BACKENDS["DATABASE_OWNER_URL"] = "postgresql://owner@db/app?sslmode=verify-full"


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_OWNER_URL"])
@pytest.mark.parametrize(
    "address",
    [
        "postgresql://app@db/app",
        "postgresql://app@db/app?sslmode=require",
        "postgresql://app@db/app?sslmode=prefer&sslmode=verify-full",
        "postgresql://app@db/app?sslmode=VERIFY-FULL",
        "postgresql://app@127.0.0.1,db/app",
        "postgresql://app@127.0.0.1:5432,10.0.0.5:5432/app",
        "postgresql://app@127.0.0.1/app?host=db",
        "postgresql://app@localhost/app?hostaddr=10.0.0.5",
        "postgresql://app@/app?service=far",
        "postgresql://app@localhost.example.com/app",
        "postgresql:///app",
    ],
)
def test_production_talks_to_another_machines_database_over_checked_tls_only(load, name, address):
    """AUTH-18"""
    said = refusal(load, **(BACKENDS | {name: address}))
    assert f"let {name} end in ?sslmode=verify-full" in said and "ALLOW_PLAINTEXT_BACKENDS=1" in said


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://app@db/app?sslmode=verify-full&sslrootcert=/etc/ca.crt",
        "postgresql://app@db/app?sslmode=verify-ca",
        "postgresql://app@127.0.0.1:5432/app",
        "postgresql://app@[::1]:5432/app",
        "postgresql://app@localhost/app",
        "postgresql://app@/app?host=/run/postgresql",
        "postgresql://app@%2Frun%2Fpostgresql/app",
    ],
)
def test_a_database_here_or_over_checked_tls_is_taken_in_production(load, address):
    assert load(**SAFE, DATABASE_URL=address, DATABASE_OWNER_URL=address).plain_backends == []


@pytest.mark.parametrize(
    ("address", "is_safe"),
    [
        ("rediss://:word@redis:6380/0", True),
        ("rediss://:word@redis:6380/0?ssl_cert_reqs=required&ssl_check_hostname=true", True),
        ("redis://:word@127.0.0.1:6379/0", True),
        ("redis+unix://user:word@/run/redis.sock", True),
        ("redis://:word@redis:6379/0", False),
        ("redis://:word@10.0.0.5:6379/0", False),
        ("rediss://:word@redis:6380/0?ssl_cert_reqs=none", False),
        ("rediss://:word@redis:6380/0?ssl_check_hostname=false", False),
        ("rediss://:word@redis:6380/0?ssl_check_hostname=", False),
    ],
)
def test_production_talks_to_another_machines_redis_over_checked_tls_only(load, address, is_safe):
    if is_safe:
        assert load(**{**SAFE, "REDIS_URL": address}).plain_backends == []
    else:
        assert "let REDIS_URL begin with rediss://" in refusal(load, REDIS_URL=address)


def test_an_operator_may_trust_a_network_that_is_all_theirs(load):
    plain = {"REDIS_URL": "redis://:word@redis:6379/0", "DATABASE_URL": "postgresql://app@db/app"}
    owner = {"DATABASE_OWNER_URL": "postgresql://owner@127.0.0.1/app"}
    settings = load(**{**SAFE, **plain, **owner, "ALLOW_PLAINTEXT_BACKENDS": "1"})
    assert settings.plain_backends == ["DATABASE_URL", "REDIS_URL"]


def test_administrators_show_a_second_factor_in_production_always(load):
    assert load(**SAFE).admin_needs_second_factor
    assert not load().admin_needs_second_factor
    assert load(ADMIN_SECOND_FACTOR="1").admin_needs_second_factor
    assert "unset ADMIN_SECOND_FACTOR" in refusal(load, ADMIN_SECOND_FACTOR="0")


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{OTHER_KEY}\n{KEY}\n")
    path.chmod(0o600)
    return path


def test_keys_may_come_from_a_file(load, key_file):
    """AUTH-18"""
    settings = load(**{**SAFE, "SECRET_KEYS": "", "SECRET_KEYS_FILE": str(key_file)})
    assert settings.given_keys == [OTHER_BYTES, KEY_BYTES]


def test_keys_come_from_one_place_only(load, key_file):
    assert "not both" in refusal(load, SECRET_KEYS_FILE=str(key_file))


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644])
def test_production_refuses_a_key_file_that_is_open_to_others(load, key_file, mode):
    """AUTH-18"""
    key_file.chmod(mode)
    text = refusal(load, SECRET_KEYS=None, SECRET_KEYS_FILE=str(key_file))
    assert "SECRET_KEYS_FILE is open to others" in text and KEY not in text
    load(SECRET_KEYS_FILE=str(key_file))  # one machine's own matter elsewhere


@pytest.mark.parametrize("text", ["", "short", "\u043a\u043b\u044e\u0447", "c2hvcnQ="])
def test_a_key_file_without_keys_is_refused_by_its_name(load, key_file, text):
    key_file.write_text(text)
    assert "SECRET_KEYS_FILE" in refusal(load, SECRET_KEYS=None, SECRET_KEYS_FILE=str(key_file))
    key_file.unlink()
    assert "SECRET_KEYS_FILE cannot be read" in refusal(
        load, SECRET_KEYS=None, SECRET_KEYS_FILE=str(key_file)
    )


def test_random_keys_are_never_called_weak():
    assert [weakness(os.urandom(32)) for _ in range(2000)] == [None] * 2000


@pytest.mark.parametrize("contact", ["me@example.com", "http://example.com", "mailto:me", "mailto:a@b c"])
def test_a_contact_nobody_can_use_is_refused(load, contact):
    assert "SECURITY_CONTACT must be" in refusal(load, SECURITY_CONTACT=contact)


@pytest.mark.parametrize("networks", ["example.com", "10.0.0.1/8", "10.0.0.0/33"])
def test_networks_are_written_as_networks(load, networks):
    assert "HOOKS_ALLOW_FROM takes networks" in refusal(load, HOOKS_ALLOW_FROM=networks)
