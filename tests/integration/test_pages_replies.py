"""The tab of a connection's replies, and a customer's file, as people with a browser meet them."""

import httpx2
import pytest

from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting.model import NewIntegration
from gptagent.features.crm.connecting.service import Keys, add_integration
from gptagent.features.crm.replying.service import change_setup, get_standing
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.errors import Conflict
from gptagent.kernel.ids import new_id
from gptagent.kernel.settings import Settings
from integration.conftest import serving_here
from members import add_member
from readers import reader_of, texts
from scenes import Scene
from worlds import Account, make_world


@pytest.fixture
async def world(home, database, scope, kommo):
    """As everywhere, but sealed with the keys of the site that shows it."""
    async with httpx2.AsyncClient(timeout=30) as client:
        account = await Account.open(kommo, f"p{new_id().hex[-20:]}", client)
        world = await make_world(database, scope, account, load_vault(Settings(gptagent_home=home)))
        yield world
        await world.egress.aclose()


@pytest.fixture
async def site(home, roles, kommo):
    async with serving_here(home, registration="open", kommo_sandbox_url=kommo) as url:
        yield url


@pytest.fixture
async def owner(site, database, world):
    async with reader_of(site, database, world.scope) as reader:
        yield reader


@pytest.fixture
def connected(world):
    return f"/integrations/{world.hook.connection_id}/replies"


async def test_a_manager_chooses_the_way_and_the_page_says_what_is_missing(owner, world, connected):
    page = await owner.open(connected)
    assert "Replies go straight into the chat." in texts(page)
    saved = await owner.send(connected, {"mode": "salesbot", "widget_step": "1"})
    shown = texts(await owner.follow(saved))
    assert "The Salesbot or its field is not chosen yet" in shown
    made = texts(await owner.follow(await owner.send(f"{connected}/field")))
    assert "AI reply" in made
    bot = await world.account.call("POST", "/bots", {"name": "Sends the reply", "text": "x"})
    listed = await owner.open(f"{connected}?ask=1")
    assert f'value="{bot["bot_id"]}:Sends the reply"' in listed.text
    choice = {"mode": "salesbot", "widget_step": "1", "bot_id": f"{bot['bot_id']}:Sends the reply"}
    async with world.db.session(world.scope) as session:
        field_id = await session.fetchval("select field_id from app.crm_reply_setup")
    done = texts(await owner.follow(await owner.send(connected, {**choice, "field_id": str(field_id)})))
    assert "Replies go by a field and a Salesbot." in done
    assert "Sends the reply" in done
    assert "AI reply" in done, "the field's name stays with its number"


async def test_wrong_values_stay_in_the_form_with_the_reason_beside_them(owner, connected):
    values = {"mode": "magic", "widget_step": "900", "widget_secret": "short"}
    page = await owner.send(connected, values)
    assert page.status_code == 422
    for reason in (
        "Choose one of the offered ways.",
        "Enter a number from 1 to 100.",
        "Paste the secret key exactly as the CRM shows it.",
    ):
        assert reason in texts(page)
    assert "short" not in page.text, "a secret is not sent back"
    page = await owner.send(connected, {"mode": "automatic", "widget_step": "1", "bot_id": "the big one"})
    assert "Enter the number as the CRM shows it." in texts(page)


async def test_the_secret_is_stored_sealed_and_can_be_forgotten(owner, world, connected):
    secret = "a-secret-of-the-integration-1234"
    page = await owner.follow(
        await owner.send(connected, {"mode": "automatic", "widget_step": "2", "widget_secret": secret})
    )
    assert "It is stored." in texts(page)
    assert secret not in page.text
    async with world.db.session(world.scope) as session:
        sealed = await session.fetchval("select widget_secret_sealed from app.crm_reply_setup")
        told = await session.fetchval(
            "select changes::text from app.audit_event where action = 'connection.replies'"
        )
    assert secret.encode() not in sealed
    assert secret not in told
    values = {"mode": "automatic", "widget_step": "2", "forget_secret": "on"}
    page = await owner.follow(await owner.send(connected, values))
    assert "It is stored." not in texts(page)


async def test_who_may_only_look_sees_the_way_and_no_form(site, database, world, connected):
    viewer = await add_member(database, world.scope, "viewer")
    async with reader_of(site, database, viewer) as dora:
        page = await dora.open(connected)
        assert "Replies go straight into the chat." in texts(page)
        assert "Save" not in texts(page)
        assert (await dora.send(connected, {"mode": "talk"})).status_code == 403


async def test_a_crm_that_does_not_answer_is_said_on_the_page(owner, world, connected):
    await world.account.call("POST", "/faults", {"path": "custom_fields", "action": "status", "status": 403})
    page = await owner.open(f"{connected}?ask=1")
    assert "The token may not read bots and fields." in texts(page)
    page = await owner.send(f"{connected}/field")
    assert page.status_code == 403
    assert "lacks a right" in texts(page)


async def test_the_thread_names_a_file_and_what_became_of_a_reply(owner, site, database, world):
    scene = await Scene.open(world)
    await scene.says("Look")
    await scene.calm()
    async with world.db.session(world.scope) as session:
        await session.execute(
            """insert into app.attachment (id, conversation_id, seq, kind, name, state, size_bytes)
               values (gen_random_uuid(), $1, 1, 'file', 'plan.pdf', 'refused', 5)""",
            scene.conversation_id,
        )
        await session.execute("update app.message set delivery_status = 'failed' where author = 'agent'")
    page = texts(await owner.open(f"/conversations/{scene.conversation_id}"))
    assert "plan.pdf · was not taken over" in page
    assert "Not delivered" in page


async def test_an_account_connected_by_consent_needs_no_key_and_says_so(owner, world, connected):
    """Its integration's key is known. The page shows it, the API too, and neither takes another."""
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set access_kind = 'oauth', client_id = 'ours'")
    page = await owner.open(connected)
    assert "widget_secret" not in page.text
    assert "nothing need be entered" not in texts(page), "the integration's keys are not here"
    async with world.db.session(world.scope) as session:
        keys = NewIntegration("kommo", "ours", "the-key-of-our-integration")
        await add_integration(session, keys, world.vault)
    page = await owner.open(connected)
    assert "nothing need be entered" in texts(page)
    assert "widget_secret" not in page.text
    saved = await owner.send(connected, {"mode": "widget", "widget_step": "1"})
    assert "The secret key is missing" not in texts(await owner.follow(saved))
    async with world.db.session(world.scope) as session:
        standing = await get_standing(session, world.hook.connection_id, Keys(world.vault))
        with pytest.raises(Conflict) as refused:
            await change_setup(
                session, world.hook.connection_id, {"widget_secret": "an-entered-secret-key"}, world.vault
            )
    assert (standing.widget_key, refused.value.code) == ("integration", "crm_widget_key_known")


async def test_general_settings_switch_the_account_off_and_the_pages_say_so(owner, site, database, world):
    """AGT-31, U168"""
    home = f"/integrations/{world.hook.connection_id}"
    page = await owner.open(home)
    assert "General settings" in texts(page) and "Switched off here" not in texts(page)
    page = await owner.follow(await owner.send(f"{home}/settings", {"reads_daily": "on"}))
    assert "Switched off here" in texts(page) and "The connection is switched off." in texts(page)
    for shown in ("/integrations", "/dashboard"):
        assert "Switched off here" in texts(await owner.open(shown)), shown
    assert "Switch it on first." in texts(await owner.open(f"{home}/sync"))
    viewer = await add_member(database, world.scope, "viewer")
    async with reader_of(site, database, viewer) as dora:
        assert "Save changes" not in texts(await dora.open(home))
        assert (await dora.send(f"{home}/settings", {"is_active": "on"})).status_code == 403
    page = await owner.follow(await owner.send(f"{home}/settings", {"is_active": "on"}))
    assert "Switched off here" not in texts(page)
    async with world.db.session(world.scope) as session:
        now = await crm.get_connection(session, world.hook.connection_id)
    assert (now.is_active, now.reads_daily) == (True, False)
