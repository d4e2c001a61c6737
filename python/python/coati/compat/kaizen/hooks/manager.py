"""Runs hooks: in order, each with a limit of time, none able to harm the program."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import logging
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

from coati.compat.kaizen._scrub import scrub
from coati.compat.kaizen.hooks.protocol import BaseHook, HookHandler
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookPriority, HookResult

_deadline: Callable[[float], AbstractContextManager[Any]] | None
try:
    from anyio import fail_after as _deadline
except ImportError:
    _deadline = None

__all__ = ["FunctionHookAdapter", "HookManager", "safe_handler_name"]

logger = logging.getLogger("kaizen.core.autonomy.hooks.manager")

_Handler = HookHandler | Callable[[HookContext], Awaitable[HookResult]]
_PARTIALS = 8


def safe_handler_name(handler: object) -> str:
    """A name for a handler, from its source alone: its ``repr`` may show secrets bound to it."""
    inner, wrapped = handler, False
    for _ in range(_PARTIALS):
        if not isinstance(inner, functools.partial):
            break
        inner, wrapped = inner.func, True
    name = getattr(inner, "__qualname__", None)
    if not isinstance(name, str):
        name = type(inner).__name__
    return f"partial({name})" if wrapped else name


def _name(handler: object) -> str:
    name: str = getattr(handler, "name", safe_handler_name(handler))
    return name


def _event(event_type: HookEvent | str) -> HookEvent:
    if isinstance(event_type, str):
        try:
            return HookEvent(event_type)
        except ValueError:
            raise ValueError(f"Invalid event type: {event_type}") from None
    return event_type


class FunctionHookAdapter(BaseHook):
    """A hook made of a coroutine function."""

    def __init__(
        self, func: Callable[[HookContext], Awaitable[HookResult]], name: str | None = None
    ) -> None:
        super().__init__(name or func.__name__)
        self._func = func

    async def handle(self, context: HookContext) -> HookResult:
        """Call the function."""
        return await self._func(context)


class HookManager:
    """The hooks of an agent, and how they fared."""

    def __init__(self) -> None:
        self._hooks: dict[HookEvent, list[tuple[HookPriority, HookHandler]]] = defaultdict(list)
        self._hook_stats: dict[str, dict[str, Any]] = {}

    def register(
        self,
        event_type: HookEvent | str,
        handler: _Handler,
        priority: HookPriority = HookPriority.NORMAL,
    ) -> None:
        """Have a hook, or a coroutine function, run at an event.

        Raises:
            ValueError: there is no such event.
        """
        event = _event(event_type)
        hook: Any = handler
        if callable(hook) and not isinstance(hook, HookHandler):
            hook = FunctionHookAdapter(hook)
        # A list of its own: one that is being gone through stays as it is.
        hooks = [*self._hooks[event], (priority, hook)]
        self._hooks[event] = sorted(hooks, key=lambda pair: pair[0].value)
        logger.info(
            "Registered hook for %s: %s (priority=%s)", event.value, _name(hook), priority.name
        )

    def register_hook(self, hook: BaseHook, priority: HookPriority = HookPriority.NORMAL) -> None:
        """Have a hook run at all the events that it names in ``events``.

        Raises:
            ValueError: it names none.
        """
        if not hasattr(hook, "events"):
            raise ValueError(f"Hook {type(hook).__name__} must have 'events' attribute")
        events = hook.events if isinstance(hook.events, list) else [hook.events]
        for event in events:
            self.register(event, hook, priority)
        logger.info("Registered hook %s for %d events", _name(hook), len(events))

    def registered_hook_names(self) -> set[str]:
        """The names of all hooks that may run."""
        return {_name(hook) for hooks in list(self._hooks.values()) for _, hook in hooks}

    def unregister(self, event_type: HookEvent | str, handler: HookHandler | None = None) -> int:
        """Take a hook, or all hooks, from an event, and tell how many there were.

        Raises:
            ValueError: there is no such event.
        """
        event = _event(event_type)
        hooks = self._hooks.get(event, [])
        kept = [] if handler is None else [pair for pair in hooks if pair[1] != handler]
        if event in self._hooks:
            if handler is None:
                del self._hooks[event]
            else:
                self._hooks[event] = kept
        removed = len(hooks) - len(kept)
        logger.info("Unregistered %d hooks for %s", removed, event.value)
        return removed

    async def trigger(
        self,
        event_type: HookEvent | str,
        agent_id: str,
        data: dict[str, Any],
        timeout: float = 0.5,
        metadata: dict[str, Any] | None = None,
        trace_id: str | None = None,
    ) -> list[HookResult]:
        """Run all hooks of an event, those of the lowest priority value first.

        Args:
            event_type: the event.
            agent_id: whose it is.
            data: what hooks are told of it.
            timeout: seconds for each hook.
            metadata: more of it.
            trace_id: what belongs together; made up if there is none.

        Raises:
            ValueError: there is no such event.
        """
        event = _event(event_type)
        hooks = self._hooks.get(event, [])
        if not hooks:
            return []
        trace_id = str(uuid.uuid4()) if trace_id is None else trace_id
        context = HookContext(event, agent_id, time.time(), data, metadata or {}, trace_id)
        return [await self._execute_hook(hook, context, timeout) for _, hook in hooks]

    async def _execute_hook(
        self, handler: HookHandler, context: HookContext, timeout: float
    ) -> HookResult:
        name = _name(handler)
        try:
            start = time.perf_counter()
            if _deadline is not None:
                with _deadline(timeout):
                    result = await handler.handle(context)
            else:
                result = await asyncio.wait_for(handler.handle(context), timeout)
            result.duration_ms = (time.perf_counter() - start) * 1000
            self._update_stats(name, result.duration_ms, success=True)
            return result
        except (TimeoutError, asyncio.TimeoutError):
            told = f"Hook timeout: {name}"
            logger.error(told)
            self._update_stats(name, timeout * 1000, success=False)
            return HookResult(success=False, error=told, duration_ms=timeout * 1000)
        except Exception as error:
            logger.error("Hook failed: %s: %s", name, scrub(error))
            self._update_stats(name, 0, success=False)
            await self._tell(handler, error, context)
            return HookResult(success=False, error=f"Hook error: {scrub(error)}")

    @staticmethod
    async def _tell(handler: HookHandler, error: Exception, context: HookContext) -> None:
        on_error = getattr(handler, "on_error", None)
        if on_error is not None:
            try:
                await on_error(error, context)
            except Exception as another:
                logger.error("Error handler failed: %s", scrub(another))

    def _update_stats(self, handler_name: str, duration_ms: float, success: bool) -> None:
        stats = self._hook_stats.get(handler_name)
        if stats is None:
            counts = {"call_count": 0, "success_count": 0, "failure_count": 0}
            times = {"total_duration_ms": 0.0, "avg_duration_ms": 0.0, "max_duration_ms": 0.0}
            stats = self._hook_stats.setdefault(handler_name, {**counts, **times})
        stats["call_count"] += 1
        stats["success_count" if success else "failure_count"] += 1
        stats["total_duration_ms"] += duration_ms
        stats["avg_duration_ms"] = stats["total_duration_ms"] / stats["call_count"]
        stats["max_duration_ms"] = max(stats["max_duration_ms"], duration_ms)

    def get_stats(self) -> dict[str, dict[str, Any]]:
        """How often each hook ran, failed, and how long it took, by its name."""
        return self._hook_stats.copy()

    async def discover_filesystem_hooks(self, hooks_dir: Path) -> int:
        """Load the hooks defined in a folder's Python files, and tell how many events they handle.

        Raises:
            OSError: there is no such folder.
        """
        if not hooks_dir.exists():
            raise OSError(f"Hooks directory not found: {hooks_dir}")
        if not hooks_dir.is_dir():
            raise OSError(f"Not a directory: {hooks_dir}")
        found = 0
        for file in hooks_dir.glob("*.py"):
            if file.name == "__init__.py":
                continue
            try:
                module = _load(file)
            except Exception as error:
                logger.error("Failed to load hook file %s: %s", file, scrub(error))
                continue
            if module is not None:
                found += self._register_all(module)
        logger.info("Discovered %d hooks from %s", found, hooks_dir)
        return found

    def _register_all(self, module: ModuleType) -> int:
        found = 0
        for name in dir(module):
            one = getattr(module, name)
            if not isinstance(one, type) or not issubclass(one, BaseHook) or one is BaseHook:
                continue
            try:
                hook = one()  # type: ignore[call-arg]
                if not hasattr(hook, "events"):
                    logger.warning("Hook %s missing 'events' attribute, skipping", name)
                    continue
                events = hook.events if isinstance(hook.events, list) else [hook.events]
                for event in events:
                    self.register(event, hook)
                    found += 1
            except Exception as error:
                logger.error("Failed to instantiate hook %s: %s", name, scrub(error))
        return found


def _load(file: Path) -> ModuleType | None:
    name = f"kaizen_hooks_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        logger.warning("Could not load hook file: %s", file)
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
