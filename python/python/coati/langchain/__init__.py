"""LangChain and LangGraph through coati: a callback handler, and one call for a whole program.

Graphs are ``invoke_workflow`` spans, agents ``invoke_agent``, tools ``execute_tool``, model calls
``chat`` or ``text_completion``, retrievers ``retrieval``; nodes and other chains are spans of their
own names. What a node, a tool or a model logs belongs to its span. Contents are kept only where
``coati.genai`` keeps contents.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from coati import genai
from coati.langchain import _current
from coati.langchain._handler import CallbackHandler

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

    Raises:
        ImportError: LangChain is not installed.
    """
    if _installed.handler is None:
        handler, context = CallbackHandler(), _context()
        _installed.handler = handler
        genai.prepare()
        context.register_configure_hook(_installed, True, CallbackHandler)
        _installed.registered = context._configure_hooks[-1]
    return _installed.handler


def _context() -> Any:
    """Where LangChain keeps who is told of every run: slow to import, for which it waits, too."""
    return import_module("langchain_core.tracers.context")


def uninstall() -> None:
    """Record no more runs, and put back what was there. A second call does nothing."""
    handler, hook = _installed.handler, _installed.registered
    _installed.handler = _installed.registered = None
    if handler is None:
        return
    hooks = _context()._configure_hooks
    if hook in hooks:
        hooks.remove(hook)
    handler.close()
    _current.unhook()
