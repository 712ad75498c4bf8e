"""Routes that are analysed when they are first asked for.

FastAPI takes an endpoint's signature apart and builds its validators as soon as the route is declared, and
again when the router is included. For some six hundred routes, most of which nobody calls, that would be a
third of a start.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, params
from fastapi.routing import APIRoute
from starlette.routing import compile_path, get_name

# What the analysis finds out; all else is known as soon as the route is declared.
_FOUND = frozenset(APIRoute.__annotations__) | {"app"}


class LazyRoute(APIRoute):
    """A route that knows its address, methods and endpoint; the rest it finds out when it is asked.

    An endpoint FastAPI cannot take apart raises then, so a test asks every route.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path, self.endpoint = path, endpoint
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ("GET",)}
        self._options = options
        self._is_asked = False

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there yet."""
        if name not in _FOUND or self._is_asked:
            raise AttributeError(name)
        self._is_asked = True
        try:
            super().__init__(self.path, self.endpoint, **self._options)
        except BaseException:
            self._is_asked = False
            raise
        return getattr(self, name)

    def place(self, app: FastAPI, dependencies: Sequence[params.Depends], *, is_described: bool) -> None:
        """Become a route of the application, behind dependencies that come before its own."""
        own = self._options
        self._options = {
            **own,
            "dependencies": [*dependencies, *own["dependencies"]],
            "include_in_schema": is_described and own["include_in_schema"],
            "generate_unique_id_function": app.router.generate_unique_id_function,
        }
        app.router.routes.append(self)


def page_router(prefix: str = "", *, dependencies: Sequence[params.Depends] = ()) -> APIRouter:
    """Return the router of a feature's pages."""
    return APIRouter(prefix=prefix, dependencies=list(dependencies), route_class=LazyRoute)


def add_routes(
    app: FastAPI, router: APIRouter, *, dependencies: Sequence[params.Depends] = (), is_described: bool = True
) -> None:
    """Let the application answer the router's routes itself: an included one is searched twice per request.

    Raises TypeError for a router that is made by neither `page_router` nor `api_router`.
    """
    for route in router.routes:
        if not isinstance(route, LazyRoute):
            raise TypeError(f"{route}: make its router by page_router or api_router")
        route.place(app, dependencies, is_described=is_described)
