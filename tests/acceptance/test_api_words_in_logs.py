"""The web process's log holds ids, never what people wrote or who they are."""

import json

from acceptance.test_api_hooks import hooked
from gptagent.kernel.ids import new_id

__all__ = ["hooked"]

MESSAGE = "My card number is 4000 0000 0000 0002"
UNKNOWN = "dormouse@wonderland.test"
FORGED = "forged.token.of-nobody"
NAME = "Queen of Hearts"


async def test_nothing_personal_and_no_secret_is_logged(door, alice, hooked, web, new_email):
    """SEC-5"""
    email = new_email()
    registered = await door.register(email, given_name=NAME)
    door.used |= {registered.json()["access_token"], UNKNOWN, FORGED, MESSAGE, NAME}
    await door.register(email)
    await door.log_in(email, "a wrong one, tried in vain")
    await door.log_in(UNKNOWN, "a wrong one, tried in vain")
    await door("GET", f"/api/v1/articles?search={email}", headers={"authorization": f"Bearer {FORGED}"})
    await alice("GET", "/api/v1/articles", params={"search": MESSAGE})
    await alice("POST", "/api/v1/agents", json={"name": NAME, "odd": MESSAGE})
    await alice("POST", "/api/v1/articles", json={"title": NAME, "content": MESSAGE})
    await alice("POST", "/api/v1/documents", files={"file": (f"{NAME}.txt", MESSAGE.encode())})
    await hooked.deliver(MESSAGE)
    await hooked.deliver(MESSAGE, path=f"/hooks/kommo/{FORGED}/")
    await door("GET", f"/api/v1/agents/{new_id()}?token={FORGED}")
    log = web.log
    words = {*door.used, "a wrong one, tried in vain", "4000 0000"}
    assert not [word for word in words if word in log]
    lines = [json.loads(line) for line in log.splitlines()]
    assert len(lines) > 10 and all(line["request_id"] for line in lines if line["event"] == "request")
