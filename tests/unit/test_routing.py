"""Routes that are analysed when they are first asked for answer as FastAPI's own do."""

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import FastAPIError

from gptagent.entrypoints.description import describe
from gptagent.kernel.routing import LazyRoute, add_routes, page_router


async def answer_of(app, path, method="GET"):
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path)


async def double(number: int) -> int:
    return 2 * number


async def test_a_route_finds_out_what_it_takes_when_it_is_called():
    app, router = FastAPI(openapi_url=None), page_router("/some")
    router.get("/double/{number}")(double)
    router.get("/other/{number}")(double)
    add_routes(app, router)
    called, other = [route for route in app.routes if isinstance(route, LazyRoute)]
    assert "dependant" not in vars(called)
    assert (await answer_of(app, "/some/double/21")).json() == 42
    assert (await answer_of(app, "/some/double/x")).status_code == 422
    assert (await answer_of(app, "/some/double/21", "POST")).status_code == 405
    assert "dependant" in vars(called)
    assert "dependant" not in vars(other)


async def test_the_dependencies_of_the_application_come_first():
    passed = []

    def passing(name):
        async def depend() -> None:
            passed.append(name)

        return Depends(depend)

    app, router = FastAPI(), page_router(dependencies=[passing("router")])
    router.get("/double/{number}", dependencies=[passing("route")])(double)
    add_routes(app, router, dependencies=[passing("application")], is_described=False)
    assert (await answer_of(app, "/double/1")).json() == 2
    assert passed == ["application", "router", "route"]
    assert app.openapi()["paths"] == {}


def test_no_page_is_taken_apart_for_the_description_of_the_api():
    app, router = FastAPI(), page_router("/manage")
    router.get("/double/{number}")(double)
    add_routes(app, router, is_described=False)
    assert describe(app)["paths"] == {}
    (page,) = [route for route in app.routes if isinstance(route, LazyRoute)]
    assert "dependant" not in vars(page)


def test_an_endpoint_that_cannot_be_taken_apart_says_so_each_time():
    async def odd(given: LazyRoute) -> None:
        """A class of this code is no field of a request."""

    app, router = FastAPI(), page_router()
    router.get("/odd")(odd)
    add_routes(app, router)
    (route,) = [one for one in app.routes if isinstance(one, LazyRoute)]
    for _ in range(2):
        with pytest.raises(FastAPIError):
            _ = route.dependant


def test_a_router_of_another_making_is_refused():
    router = APIRouter()
    router.get("/double/{number}")(double)
    with pytest.raises(TypeError, match="page_router"):
        add_routes(FastAPI(), router)
