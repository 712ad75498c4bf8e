"""The slice of REST v4 that a chat integration uses. The list of routes is the table of contents."""

from collections.abc import Callable, Coroutine

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.kommo.rest import account, bots, entities, events, notes, talks, tasks, webhooks

PREFIX = "/api/v4"
Handler = Callable[[Request], Coroutine[None, None, Response]]


def _on(method: str, path: str, handler: Handler) -> Route:
    return Route(PREFIX + path, handler, methods=[method])


# The busiest stand first: routes are tried in order.
ROUTES = [
    _on("POST", "/talks/{id:int}/send_message", talks.send_message),
    _on("GET", "/talks/{id:int}/messages", talks.list_messages),
    _on("GET", "/leads/{id:int}", entities.get_lead),
    _on("PATCH", "/leads/{id:int}", entities.patch_lead),
    _on("GET", "/contacts/{id:int}", entities.get_contact),
    _on("PATCH", "/contacts/{id:int}", entities.patch_contact),
    _on("POST", "/bots/run", bots.run_many),
    _on("POST", "/salesbot/{bot:int}/continue/{id:int}", bots.continue_run),
    _on("POST", "/marketingbot/{bot:int}/continue/{id:int}", bots.continue_run),
    Route("/api/v2/salesbot/run", bots.run_v2, methods=["POST"]),
    _on("GET", "/bots", bots.list_bots),
    _on("POST", "/bots/{id:int}/run", bots.run_one),
    _on("POST", "/bots/{id:int}/stop", bots.stop_one),
    _on("GET", "/events", events.list_events),
    _on("GET", "/talks/{id:int}", talks.get_talk),
    _on("POST", "/talks/{id:int}/close", talks.close_talk),
    _on("GET", "/talks", talks.list_talks),
    _on("GET", "/tasks", tasks.list_tasks),
    _on("POST", "/tasks", tasks.add_tasks),
    _on("PATCH", "/tasks", tasks.patch_tasks),
    _on("GET", "/tasks/{id:int}", tasks.get_task),
    _on("PATCH", "/tasks/{id:int}", tasks.patch_task),
    _on("GET", "/leads", entities.list_leads),
    _on("POST", "/leads", entities.add_leads),
    _on("PATCH", "/leads", entities.patch_leads),
    _on("GET", "/contacts", entities.list_contacts),
    _on("POST", "/contacts", entities.add_contacts),
    _on("PATCH", "/contacts", entities.patch_contacts),
    _on("GET", "/leads/pipelines", account.list_pipelines),
    _on("GET", "/leads/pipelines/{id:int}", account.get_pipeline),
    _on("GET", "/account", account.get_account),
    _on("GET", "/users", account.list_users),
    _on("GET", "/users/{id:int}", account.get_user),
    _on("GET", "/webhooks", webhooks.list_webhooks),
    _on("POST", "/webhooks", webhooks.put_webhook),
    _on("DELETE", "/webhooks", webhooks.delete_webhook),
    *(
        route
        for kind in ("leads", "contacts")
        for route in (
            _on("GET", f"/{kind}/custom_fields", account.list_fields),
            _on("POST", f"/{kind}/custom_fields", account.add_fields),
            _on("GET", f"/{kind}/{{id:int}}/notes", notes.list_notes),
            _on("POST", f"/{kind}/{{id:int}}/notes", notes.add_notes),
        )
    ),
]
