"""Secrets at rest."""

import os
import stat
from base64 import b64encode

import pytest

from gptagent.kernel.crypto import Vault, load_vault
from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.ids import new_id
from gptagent.kernel.settings import Settings

OLD, NEW = os.urandom(32), os.urandom(32)
ORG = new_id()


def code_of(vault, sealed, org_id=ORG, purpose="crm-token"):
    with pytest.raises(Misconfigured) as refused:
        vault.open(sealed, org_id=org_id, purpose=purpose)
    return refused.value.code


def test_what_is_sealed_opens_again_and_is_not_readable():
    vault = Vault([NEW])
    sealed = vault.seal("тайна", org_id=ORG, purpose="crm-token")
    assert vault.open(sealed, org_id=ORG, purpose="crm-token") == "тайна"
    assert "тайна".encode() not in sealed


def test_the_same_secret_is_sealed_differently_each_time():
    vault = Vault([NEW])
    assert len({vault.seal("x", org_id=ORG, purpose="p") for _ in range(50)}) == 50


def test_after_a_rotation_old_secrets_open_and_new_ones_need_the_new_key():
    sealed = Vault([OLD]).seal("x", org_id=ORG, purpose="crm-token")
    rotated = Vault([NEW, OLD])
    assert rotated.open(sealed, org_id=ORG, purpose="crm-token") == "x"
    assert code_of(Vault([OLD]), rotated.seal("x", org_id=ORG, purpose="crm-token")) == "secret_key_missing"


def test_a_secret_moved_to_another_tenant_or_purpose_does_not_open():
    vault = Vault([NEW])
    sealed = vault.seal("x", org_id=ORG, purpose="crm-token")
    assert code_of(vault, sealed, org_id=new_id()) == "secret_damaged"
    assert code_of(vault, sealed, purpose="crm-hook") == "secret_damaged"


def test_every_changed_byte_is_noticed():
    vault = Vault([NEW])
    sealed = vault.seal("x", org_id=ORG, purpose="crm-token")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        assert code_of(vault, changed) in {"secret_damaged", "secret_key_missing"}


@pytest.mark.parametrize("length", [0, 1, 5, 6, 30, 65, 77, 80])
def test_a_cut_secret_does_not_open(length):
    sealed = Vault([NEW]).seal("x", org_id=ORG, purpose="crm-token")
    assert code_of(Vault([NEW]), sealed[:length]) in {"secret_damaged", "secret_key_missing"}


def test_derived_keys_differ_by_purpose_and_from_the_key_itself():
    vault = Vault([NEW])
    derived = {vault.derive("access-token"), vault.derive("other"), Vault([OLD]).derive("access-token")}
    assert len(derived) == 3 and NEW not in derived and vault.derive("other") in derived


def test_the_fingerprint_names_the_first_key_without_showing_it():
    vault = Vault([NEW, OLD])
    assert vault.fingerprint == Vault([NEW]).fingerprint != Vault([OLD]).fingerprint
    assert vault.fingerprint not in NEW.hex()


def test_a_home_gets_a_key_file_of_its_own_that_only_its_owner_reads(tmp_path):
    settings = Settings(gptagent_home=tmp_path, secret_keys=None)
    vault = load_vault(settings)
    path = tmp_path / "keys/secret.keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_vault(settings).fingerprint == vault.fingerprint
    assert [file.name for file in path.parent.iterdir()] == ["secret.keys"]


def test_of_two_first_starts_at_once_one_key_counts(tmp_path, monkeypatch):
    settings = Settings(gptagent_home=tmp_path, secret_keys=None)
    winner = b64encode(OLD) + b"\n"
    real = os.link

    def beaten(part, path):
        path.write_bytes(winner)
        real(part, path)

    monkeypatch.setattr(os, "link", beaten)
    assert load_vault(settings).fingerprint == Vault([OLD]).fingerprint
    assert (tmp_path / "keys/secret.keys").read_bytes() == winner


def test_keys_from_the_environment_leave_no_file(tmp_path):
    settings = Settings(gptagent_home=tmp_path, secret_keys=b64encode(NEW).decode())
    assert load_vault(settings).fingerprint == Vault([NEW]).fingerprint
    assert list(tmp_path.iterdir()) == []
