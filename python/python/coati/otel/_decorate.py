"""``start_as_current_span`` as a decorator: a span around each call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


def decorate(
    again: Callable[[], AbstractContextManager[Any]], function: Callable[..., Any]
) -> Callable[..., Any]:
    """What stands for ``function``: a call enters what ``again`` gives.

    The span of a coroutine function lasts until the coroutine is done.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waits(*args: Any, **kwargs: Any) -> Any:
            with again():
                return await function(*args, **kwargs)

        return waits

    @functools.wraps(function)
    def calls(*args: Any, **kwargs: Any) -> Any:
        with again():
            return function(*args, **kwargs)

    return calls
