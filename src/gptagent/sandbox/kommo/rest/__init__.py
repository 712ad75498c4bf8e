"""The slice of REST v4 that a chat integration uses. The list of routes is the table of contents."""

from collections.abc import Callable, Coroutine

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.kommo.rest import (
    account,
    archive,
    bots,
    entities,
    notes,
    talks,
    tasks,
    unsorted,
    webhooks,
)

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
    _on("POST", "/bots/{id:int}/run", bots.run_one),
    _on("POST", "/bots/{id:int}/stop", bots.stop_one),
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
    _on("GET", "/companies", entities.list_companies),
    _on("POST", "/companies", entities.add_companies),
    _on("PATCH", "/companies", entities.patch_companies),
    _on("GET", "/companies/{id:int}", entities.get_company),
    _on("PATCH", "/companies/{id:int}", entities.patch_company),
    _on("POST", "/leads/{id:int}/link", archive.link_contacts),
    _on("GET", "/leads/unsorted", archive.list_unsorted),
    _on("POST", "/leads/unsorted/{uid}/accept", unsorted.accept),
    _on("DELETE", "/leads/unsorted/{uid}/decline", unsorted.decline),
    _on("GET", "/leads/loss_reasons", account.list_loss_reasons),
    _on("GET", "/events", archive.list_events),
    _on("GET", "/catalogs", archive.list_catalogs),
    _on("GET", "/catalogs/{id:int}", archive.get_catalog),
    _on("GET", "/catalogs/{id:int}/elements", archive.list_elements),
    _on("GET", "/catalogs/{id:int}/custom_fields", archive.list_catalog_fields),
    _on("GET", "/bots", account.list_bots),
    _on("GET", "/account", account.get_account),
    _on("GET", "/users", account.list_users),
    _on("GET", "/users/{id:int}", account.get_user),
    _on("GET", "/webhooks", webhooks.list_webhooks),
    _on("POST", "/webhooks", webhooks.put_webhook),
    _on("DELETE", "/webhooks", webhooks.delete_webhook),
    *(
        route
        for kind in ("leads", "contacts", "companies")
        for route in (
            _on("GET", f"/{kind}/custom_fields", account.list_fields),
            _on("POST", f"/{kind}/custom_fields", account.add_fields),
            _on("GET", f"/{kind}/custom_fields/{{id:int}}", account.get_field),
            _on("GET", f"/{kind}/tags", account.list_tags),
            _on("POST", f"/{kind}/tags", account.add_tags),
            _on("GET", f"/{kind}/{{id:int}}/links", archive.list_links),
            _on("GET", f"/{kind}/{{id:int}}/notes", notes.list_notes),
            _on("POST", f"/{kind}/{{id:int}}/notes", notes.add_notes),
            _on("GET", f"/{kind}/{{id:int}}/notes/{{note:int}}", notes.get_note),
        )
    ),
]
