"""Where a reply is given to and a file fetched from, with every trick: `return_url`, an attachment's link."""

from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from contract.hostile_hosts import HOSTILE_HOSTS
from contract.kommo_tools import Recorder
from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.crm.model import CrmLink
from gptagent.features.crm.replying.model import is_return_address
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import AppError

HOST = "acme.kommo.com"
PATH = "/api/v4/salesbot/1/continue/2"
MB = 1024 * 1024


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_a_bot_is_answered_at_its_own_account_only(host):
    """What passes is the account itself, once what no address holds is left out."""
    if is_return_address(f"https://{host}{PATH}", HOST):
        assert urlsplit(f"https://{host}{PATH}").hostname == HOST


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}{PATH}",
        f"ftp://{HOST}{PATH}",
        f"https://other.kommo.com{PATH}",
        f"https://acme.amocrm.ru{PATH}",
        f"https://{HOST}:444{PATH}",
        f"https://user@{HOST}{PATH}",
        f"https://{HOST}{PATH}?x=1",
        f"https://{HOST}{PATH}#x",
        f"https://{HOST}/api/v4/leads",
        f"https://{HOST}/api/v4/salesbot/1/continue/../../../leads",
        f"https://{HOST}/api/v4/salesbot/1/continue/%2e%2e",
        f"https://{HOST}{PATH}/x",
        f"//{HOST}{PATH}",
        PATH,
    ],
)
def test_a_bot_is_answered_at_no_other_path_or_port(url):
    assert is_return_address(f"https://{HOST}{PATH}", HOST)
    assert not is_return_address(url, HOST)


@pytest.mark.parametrize("name", [host for host in HOSTILE_HOSTS if not host.startswith("https:")])
async def test_a_file_is_fetched_from_the_vendor_only(name):
    """Nothing else is looked up, let alone called."""
    looked_up = []

    async def nowhere(host, port):
        looked_up.append((host, port))
        raise OSError("nothing there")

    egress = Egress(resolver=nowhere)
    link = CrmLink(uuid4(), uuid4(), HOST, "token")
    for host in (name, f"amojo{name}" if name.startswith((".", "-")) else f"amojo.{name}"):
        with pytest.raises(AppError):
            await KommoCrm(egress, Recorder()).download_attachment(
                link, f"https://{host}/attachments/1", max_bytes=MB
            )
    await egress.aclose()
    assert all(
        host.endswith((".kommo.com", ".amocrm.com", ".amocrm.ru")) and port == 443 for host, port in looked_up
    )
