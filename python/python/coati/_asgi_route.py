"""Which route a framework has chosen for a request."""

from __future__ import annotations

from typing import Any

#: Templates of routes by their identity; the routes are kept, so that no other gets it.
_known: dict[int, tuple[Any, str]] = {}
_MOST = 4096


def route_of(scope: Any) -> str | None:
    """The template of the route that handles the request, None where it is not known."""
    told = scope.get("coati.route") or scope.get("path_template")
    if told:
        return str(told)
    # FastAPI's own, where routers have been included under prefixes.
    effective = scope.get("fastapi", {}).get("effective_route_context")
    template = getattr(effective, "path_format", None)
    if isinstance(template, str):
        return template
    if "router" in scope and ("route" in scope or "endpoint" in scope):
        return _starlette(scope)
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else None


def _starlette(scope: Any) -> str | None:
    chosen = scope.get("route") or scope["endpoint"]
    found = _known.get(id(chosen))
    if found is None:
        template = _find(scope["router"], chosen, "", 0)
        if template is None:
            path = getattr(chosen, "path", None)
            template = path if isinstance(path, str) else ""
        if len(_known) >= _MOST:
            _known.clear()
        _known[id(chosen)] = found = (chosen, template)
    return found[1] or None


def _find(router: Any, chosen: Any, prefix: str, depth: int) -> str | None:
    """Where in a tree of routers and mounts a route stands."""
    for route in getattr(router, "routes", None) or ():
        path = getattr(route, "path", None)
        whole = prefix + path if isinstance(path, str) else prefix
        if route is chosen or getattr(route, "endpoint", None) is chosen:
            return whole or "/"
        # A mount has routes, or an application with routes.
        if depth < 16 and getattr(route, "routes", None):
            below = _find(route, chosen, whole, depth + 1)
            if below is not None:
                return below
    return None
