"""What a hook is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from coati.compat.kaizen.hooks.types import HookContext, HookResult

__all__ = ["BaseHook", "HookHandler"]


@runtime_checkable
class HookHandler(Protocol):
    """Anything that handles events."""

    async def handle(self, context: HookContext) -> HookResult:
        """Handle an event."""
        ...


class BaseHook:
    """A hook with a name; ``events`` says what it handles."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def handle(self, context: HookContext) -> HookResult:
        """Handle an event: to be overridden."""
        raise NotImplementedError(f"{type(self).__name__}.handle() must be implemented")

    async def on_error(self, error: Exception, context: HookContext) -> None:
        """Told when :meth:`handle` raised."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"
