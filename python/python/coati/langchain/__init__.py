"""LangChain and LangGraph through coati: a callback handler, and one call for a whole program.

Graphs are ``invoke_workflow`` spans, agents ``invoke_agent``, tools ``execute_tool``, model calls
``chat`` or ``text_completion``, retrievers ``retrieval``; nodes and other chains are spans of their
own names. What a node, a tool or a model logs belongs to its span. Contents are kept only where
``coati.genai`` keeps contents.
"""

from __future__ import annotations

from typing import Any

try:
    from coati.langchain import _current
    from coati.langchain._handler import CallbackHandler
except ImportError as error:
    raise ImportError("coati.langchain needs LangChain: pip install langchain-core") from error

__all__ = ["CallbackHandler", "install", "uninstall"]


class _Installed:
    """In LangChain's eyes a context variable, which says whom to tell of a run."""

    def __init__(self) -> None:
        self.handler: CallbackHandler | None = None
        self.registered: tuple[Any, ...] | None = None

    def get(self) -> CallbackHandler | None:
        """The handler in force."""
        return self.handler


_installed = _Installed()


def install() -> CallbackHandler:
    """Record every run of the process, without a change to the program.

    A run that is given a ``CallbackHandler`` of its own is told to that one alone. A second call
    does nothing.

    Returns:
        The handler in use.
    """
    from langchain_core.tracers import context  # noqa: PLC0415 - slow: LangChain waits with it, too

    if _installed.handler is None:
        _installed.handler = CallbackHandler()
        context.register_configure_hook(
            _installed,  # type: ignore[arg-type]
            inheritable=True,
            handle_class=CallbackHandler,
        )
        _installed.registered = context._configure_hooks[-1]
    return _installed.handler


def uninstall() -> None:
    """Record no more runs, and put back what was there. A second call does nothing."""
    handler, hook = _installed.handler, _installed.registered
    _installed.handler = _installed.registered = None
    if handler is None:
        return
    from langchain_core.tracers import context  # noqa: PLC0415

    if hook in context._configure_hooks:
        context._configure_hooks.remove(hook)
    handler.close()
    _current.unhook()
