"""Functions of all four kinds observed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from coati.agents._observation import Observation
    from coati.agents._run import Run

_F = TypeVar("_F", bound=Callable[..., Any])


def wrap(observation: Observation, function: _F) -> _F:
    """The function, each call of it observed."""
    if inspect.isasyncgenfunction(function):
        made = _async_generator(observation, function)
    elif inspect.isgeneratorfunction(function):
        made = _generator(observation, function)
    elif inspect.iscoroutinefunction(function):
        made = _coroutine(observation, function)
    else:
        made = _function(observation, function)
    return functools.wraps(function)(made)  # type: ignore[return-value]


def _asked(run: Run, function: Any, args: Any, kwargs: Any) -> None:
    if run.kind == "tool":
        run.input(lambda: _arguments(function, args, kwargs))


def _arguments(function: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    try:
        return dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        # The call itself will say what is wrong with them.
        return {"args": args, **kwargs}


def _told(run: Run, result: Any) -> Any:
    if run.kind == "model" and result is not None:
        run.response(result)
    elif run.kind == "tool":
        run.output(result)
    return result


def _function(observation: Observation, function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        with observation as run:
            _asked(run, function, args, kwargs)
            return _told(run, function(*args, **kwargs))

    return call


def _coroutine(observation: Observation, function: Any) -> Any:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with observation as run:
            _asked(run, function, args, kwargs)
            return _told(run, await function(*args, **kwargs))

    return call


def _generator(observation: Observation, function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        run = observation.start()
        _asked(run, function, args, kwargs)
        generator = function(*args, **kwargs)
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                with run.current():
                    item = generator.send(value) if error is None else generator.throw(error)
                run.chunk()
                value = error = None
                try:
                    value = yield item
                except GeneratorExit:
                    with run.current():
                        generator.close()
                    run.set({"coati.stream.end": "closed"})
                    raise
                except BaseException as thrown:
                    error = thrown
        except StopIteration as stop:
            return stop.value
        except GeneratorExit:
            raise
        except BaseException as raised:
            run.fail(raised)
            raise
        finally:
            run.end()

    return call


def _async_generator(observation: Observation, function: Any) -> Any:
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = observation.start()
        _asked(run, function, args, kwargs)
        generator = function(*args, **kwargs)
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                with run.current():
                    if error is None:
                        item = await generator.asend(value)
                    else:
                        item = await generator.athrow(error)
                run.chunk()
                value = error = None
                try:
                    value = yield item
                except GeneratorExit:
                    with run.current():
                        await generator.aclose()
                    run.set({"coati.stream.end": "closed"})
                    raise
                except BaseException as thrown:
                    error = thrown
        except StopAsyncIteration:
            return
        except GeneratorExit:
            raise
        except BaseException as raised:
            run.fail(raised)
            raise
        finally:
            run.end()

    return call
