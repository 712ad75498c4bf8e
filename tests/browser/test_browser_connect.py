"""The wizard in a real browser: over the CRM's consent page to a connected account, and to mending it."""

import re
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import expect

from browser.test_browser_newcomer import register, up
from browsers import CHROMIUM, keep_messages
from gptagent.sandbox.spawn import running

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture
async def page(browser):
    page = await browser.new_page(locale="en-GB")
    await keep_messages(page.context)
    yield page
    await page.context.close()


async def allow(page, answer="Allow"):
    """Answer the CRM's consent page, on which the browser has come to stand by itself."""
    await page.wait_for_url("**/_www/kommo/oauth?**")
    await page.get_by_role("button", name=answer).click()


@pytest.mark.timeout(600)  # the whole platform is started
async def test_the_wizard_ends_in_a_connected_account_and_a_banner_leads_to_mending_it(page):
    """CRM-2, CRM-3, CRM-5, U169"""
    with running("kommo") as kommo, up(KOMMO_SANDBOX_URL=kommo, EGRESS_ALLOW="") as server:
        async with httpx2.AsyncClient(base_url=f"{kommo}/_sandbox", timeout=20) as crm:
            await register(page, re.search(r"http://localhost:\d+/setup/\S+", server.log)[0])
            await crm.post("/accounts", json={"subdomain": "wonderland", "name": "Wonderland CRM"})
            await page.get_by_role("link", name="Kommo").first.click()

            # Step 1: what the screen says is entered in the CRM.
            entered = {
                "redirect_uri": await page.get_by_label("Redirect address").input_value(),
                "disconnect_hook": await page.get_by_label("Address for notice").input_value(),
            }
            integration = (await crm.post("/integrations", json=entered)).json()

            # Step 2: the keys.
            await page.get_by_label("Integration ID").fill(integration["client_id"])
            await page.get_by_label("Secret key").fill(integration["client_secret"])
            await page.get_by_role("button", name="Store the keys").click()
            await expect(page.get_by_text("The keys are stored")).to_be_visible()

            # Step 3: refused at first, then allowed.
            await page.get_by_role("button", name="Connect with Kommo").click()
            await allow(page, "Deny")
            await expect(page.get_by_text("Access was not allowed")).to_be_visible()
            await page.get_by_role("button", name="Connect with Kommo").click()
            await allow(page)
            await expect(page.get_by_role("heading", level=1)).to_have_text("Wonderland CRM")
            await expect(page.get_by_text("Connected", exact=True)).to_be_visible()
            await expect(page.get_by_text("By consent; the token renews itself")).to_be_visible()
            assert "code" not in page.url

            # What happens in the CRM shows on an open page of another part, and leads to mending it.
            await page.get_by_role("link", name="Documents").click()
            removed = {"client_id": integration["client_id"]}
            await crm.post("/accounts/wonderland/integration/remove", json=removed)
            banner = page.locator("#alerts")
            await expect(banner).to_contain_text("Wonderland CRM does not work.", timeout=60_000)
            await banner.get_by_role("link", name="Mend it").click()
            await page.get_by_role("button", name="Connect again").click()
            await allow(page)
            await expect(page.get_by_text("Connected", exact=True)).to_be_visible()
            await expect(banner.locator(".banner")).to_have_count(0)
