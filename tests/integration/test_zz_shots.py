import asyncio
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit
import pytest
from playwright.async_api import async_playwright
from gptagent.adapters.speech.port import OpenAiSpeech
from gptagent.features.agents import service as agents
from gptagent.kernel.egress import Egress
from gptagent.kernel.files import LocalFiles
from listening import Listening, recording
from scenes import Scene


@pytest.fixture
async def speech(llm, control):
    parts = urlsplit(llm)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    yield OpenAiSpeech(egress, f"{llm}/v1", "whisper-1", "key")
    await egress.aclose()


async def test_shots(world, tmp_path, speech, model, control, alice, web):
    scene = await Scene.open(world)
    await scene.write_article("Delivery", "Delivery to Moscow costs 490 roubles. It takes two days.")
    control.post(
        "/script",
        json=[
            {
                "match": "picture",
                "reply": "A photo of a red desk lamp with a bent arm. On the base stands “Lumo 7, 12 W”. The cable is torn near the plug.",
            }
        ],
    )
    l = Listening(scene, LocalFiles(tmp_path), speech=speech, vision=model)
    await scene.says("Hello")
    await l.sends(
        "voice", recording("Good afternoon, I ordered a lamp last week. What does delivery to Moscow cost?")
    )
    await l.sends("picture", recording("lamp", "picture"))
    await l.sends("file", recording("Order 4711. One lamp, red, 12 W. Paid on Monday. " * 30, "file"))
    await l.sends("video", recording("x", "video"))
    await l.fetch()
    control.delete("/script") if False else None
    await l.hear()
    await scene.calm()
    await l.sends("voice", recording("And how long does it take?"))
    await l.fetch()
    async with world.db.session(world.scope) as s:
        (agent,) = await agents.list_agents(s)
    cookie = alice.http.cookies["session"]
    host = urlsplit(web)
    pages = {
        "thread": f"{alice.base}/conversations/{scene.conversation_id}",
        "agent": f"{alice.base}/ai-agents/{agent.id}/advanced-settings",
    }
    async with async_playwright() as p:
        b = await p.chromium.launch(
            executable_path="/usr/bin/chromium",
            args="--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run".split(),
        )
        for lang, theme, width in (
            ("ru", "light", 375),
            ("en", "dark", 375),
            ("en", "light", 1280),
            ("ru", "dark", 1280),
        ):
            c = await b.new_context(viewport={"width": width, "height": 900})
            await c.add_cookies(
                [
                    {"name": n, "value": v, "url": web}
                    for n, v in (("session", cookie), ("language", lang), ("theme", theme))
                ]
            )
            page = await c.new_page()
            for name, path in pages.items():
                await page.goto(web + path)
                await page.wait_for_timeout(600)
                over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                print("OVER", name, lang, width, over)
                await page.screenshot(
                    path=f"/tmp/media/{name}-{lang}-{theme}-{width}.png", full_page=(name == "agent")
                )
            await c.close()
        await b.close()
