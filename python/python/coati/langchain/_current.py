"""Makes a run's span current where the run's own code runs.

LangChain and LangGraph copy the context for what a run calls, and put the run's configuration into
the copy. The span goes there, too: it is current in nothing else, in threads, tasks and streams
alike, and nothing has to be put back. Model calls have no such copy: what asks a model is wrapped.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from coati import Token, attach, current_span
from coati._adapter import Entry, harmless

#: The innermost run whose span has been made current here.
_inside: ContextVar[Any] = ContextVar("coati.langchain.run", default=None)
#: Where the functions are that put a configuration into a context, and those that ask a model.
_CONTEXTS = ("langchain_core.runnables.config", "langgraph._internal._runnable")
_MODELS = "langchain_core.language_models.chat_models"
_hooked: dict[tuple[Any, str], Any] = {}
_ALL = 4


def place(parent_id: Any, entry: Entry | None) -> dict[str, Any]:
    """Where a run belongs whose parent is ``entry``.

    A span that the program has begun inside the parent is nearer.
    """
    if entry is None:
        return {}
    operation = entry.operation
    if _inside.get() == parent_id:
        here = current_span()
        if here.trace_id == operation.span.trace_id:
            return {"parent": here, "within": operation}
    return {"parent": operation}


def run_id() -> Any:
    """The innermost run whose span has been made current here."""
    return _inside.get()


def hook() -> None:
    """Wrap what is there by now: LangGraph's modules may come later."""
    if len(_hooked) == _ALL:
        return
    for name in _CONTEXTS:
        _wrap(sys.modules.get(name), "_set_config_context", _putting)
    model = getattr(sys.modules.get(_MODELS), "BaseChatModel", None)
    _wrap(model, "_generate_with_cache", _asking)
    _wrap(model, "_agenerate_with_cache", _awaiting)


def unhook() -> None:
    """Put back what was there."""
    while _hooked:
        (owner, name), original = _hooked.popitem()
        if getattr(getattr(owner, name, None), "__wrapped__", None) is original:
            setattr(owner, name, original)


def _wrap(owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    if owner is None or (owner, name) in _hooked:
        return
    original = getattr(owner, name, None)
    if original is not None:
        _hooked[owner, name] = original
        setattr(owner, name, functools.wraps(original)(wrapper(original)))


def _putting(original: Any) -> Any:
    def put(config: Any, *args: Any) -> Any:
        result = original(config, *args)
        _enter(config.get("callbacks"))
        return result

    return put


@harmless
def _enter(callbacks: Any) -> None:
    """Make the run current of which a manager's runs are children."""
    run_id = getattr(callbacks, "parent_run_id", None)
    entry = _entry(callbacks, run_id)
    if entry is not None:
        # The context is a copy, which nobody else sees.
        attach(entry.operation.span)
        _inside.set(run_id)


def _asking(original: Any) -> Any:
    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _inside_of(kwargs.get("run_manager")):
            return original(self, *args, **kwargs)

    return ask


def _awaiting(original: Any) -> Any:
    async def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _inside_of(kwargs.get("run_manager")):
            return await original(self, *args, **kwargs)

    return ask


@contextmanager
def _inside_of(manager: Any) -> Iterator[None]:
    made = _make_current(manager)
    try:
        yield
    finally:
        if made is not None:
            _take_back(*made)


@harmless
def _make_current(manager: Any) -> Any:
    run_id = getattr(manager, "run_id", None)
    entry = _entry(manager, run_id)
    return None if entry is None else (attach(entry.operation.span), _inside.set(run_id))


@harmless
def _take_back(token: Token, before: Any) -> None:
    try:
        _inside.reset(before)
    finally:
        token.detach()


def _entry(manager: Any, run_id: Any) -> Entry | None:
    if run_id is None:
        return None
    from coati.langchain._handler import CallbackHandler  # noqa: PLC0415 - it imports this

    for handler in getattr(manager, "handlers", ()):
        if isinstance(handler, CallbackHandler):
            found = handler._coati_entry(run_id)
            if found is not None:
                return found
    return None
