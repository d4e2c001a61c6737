"""AutoGen through coati: its own OpenTelemetry spans, and those that it has none for.

AutoGen traces messages, agents and tools itself. Added are the runs of teams, ``invoke_workflow``,
which make one trace of their messages, and model calls, ``chat``, with their tokens. What messages
say, which AutoGen has on their spans, is kept only where ``coati.genai`` keeps contents.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

from coati import genai
from coati._adapter import harmless

__all__ = ["install", "is_installed", "uninstall"]

_TRACER = "autogen"
_TEAMS = "autogen_agentchat.teams"
#: What stood in classes before: class, name, function.
_replaced: list[tuple[Any, str, Any]] = []
_installed = False
_set_provider = False
#: A client may call another: the call of the outer one is told of.
_calling: ContextVar[bool] = ContextVar("coati.autogen.calling", default=False)


def install(*, teams: bool = True) -> None:
    """Record AutoGen's teams, agents, tools, messages and model calls.

    Unless the process has a provider of OpenTelemetry's API, coati's becomes the one from which
    AutoGen takes its tracers. A second call adds what the first left out.

    Args:
        teams: whether teams are recorded, for which ``autogen_agentchat`` is imported if it is
            installed.
    """
    global _installed  # noqa: PLW0603 - a process has one AutoGen
    if not _installed:
        _install()
        _installed = True
    if teams and importlib.util.find_spec(_TEAMS.partition(".")[0]) is not None:
        importlib.import_module(_TEAMS)
        team: Any = sys.modules[_TEAMS].BaseGroupChat
        if all(cls is not team for cls, _, _ in _replaced):
            _replace(team, "run_stream", _run_stream)


def _install() -> None:
    global _set_provider  # noqa: PLW0603
    try:
        from autogen_core import SingleThreadedAgentRuntime  # noqa: PLC0415 - who uses it has it
    except ImportError as error:
        raise ImportError("coati.autogen needs AutoGen: pip install autogen-core") from error
    from opentelemetry import trace  # noqa: PLC0415 - AutoGen needs it

    from coati import otel  # noqa: PLC0415

    genai.prepare()
    if trace._TRACER_PROVIDER is None:
        otel.install()
        _set_provider = True
    _replace(SingleThreadedAgentRuntime, "_create_otel_attributes", _attributes)
    client = _client()
    for cls in _below(client):
        _wrap_client(cls)

    def __init_subclass__(cls: Any, **kwargs: Any) -> None:
        super(client, cls).__init_subclass__(**kwargs)
        _wrap_client(cls)

    client.__init_subclass__ = classmethod(__init_subclass__)


def uninstall() -> None:
    """Take back what :func:`install` did."""
    global _installed, _set_provider  # noqa: PLW0603
    if not _installed:
        return
    _installed = False
    del _client().__init_subclass__
    while _replaced:
        cls, name, function = _replaced.pop()
        setattr(cls, name, function)
    if _set_provider:
        from coati import otel  # noqa: PLC0415

        otel.uninstall()
        _set_provider = False


def is_installed() -> bool:
    """Whether AutoGen is recorded."""
    return _installed


def _below(cls: Any) -> list[Any]:
    return [each for child in cls.__subclasses__() for each in (child, *_below(child))]


def _client() -> Any:
    from autogen_core.models import ChatCompletionClient  # noqa: PLC0415

    return ChatCompletionClient


def _wrap_client(cls: Any) -> None:
    for name, wrap in (("create", _create), ("create_stream", _create_stream)):
        if name in vars(cls):
            _replace(cls, name, wrap)


def _replace(cls: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    function = vars(cls).get(name)
    if callable(function) and not getattr(function, "__isabstractmethod__", False):
        _replaced.append((cls, name, function))
        setattr(cls, name, wrap(function))


def _attributes(create: Any) -> Any:
    @functools.wraps(create)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if genai.captures_content():
            return await create(self, *args, **kwargs)
        if kwargs.get("recipient_agent_id") is not None:
            # What is not kept need not be written down.
            kwargs["message"] = None
        given = await create(self, *args, **kwargs)
        return {key: value for key, value in given.items() if key != "message"}

    return call


def _run_stream(run_stream: Any) -> Any:
    @functools.wraps(run_stream)
    async def call(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        team = _team(self)
        stream = run_stream(self, *args, **kwargs)
        async with aclosing(_within(team, stream, lambda item: None)) as items:
            async for item in items:
                yield item

    return call


def _create(create: Any) -> Any:
    @functools.wraps(create)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        operation = None if _calling.get() else _request(self, args, kwargs)
        if operation is None:
            return await create(self, *args, **kwargs)
        token = _calling.set(True)
        try:
            async with operation:
                result = await create(self, *args, **kwargs)
                _answer(operation, result)
                return result
        finally:
            _calling.reset(token)

    return call


def _create_stream(create_stream: Any) -> Any:
    @functools.wraps(create_stream)
    async def call(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        operation = None if _calling.get() else _request(self, args, kwargs, stream=True)
        stream = create_stream(self, *args, **kwargs)
        told = functools.partial(_chunk, operation)
        async with aclosing(_within(operation, stream, told, True)) as items:
            async for item in items:
                yield item

    return call


async def _within(
    operation: genai.Operation | None,
    stream: Any,
    told: Callable[[Any], None],
    calling: bool = False,
) -> AsyncGenerator[Any, None]:
    """The items of a stream that is the work of an operation, current while each is made."""
    items = aiter(stream)
    try:
        while operation is None:
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            yield item
        while True:
            span, inner = operation.attach(), _calling.set(calling or _calling.get())
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            except BaseException as error:
                operation.fail(error)
                raise
            finally:
                _calling.reset(inner)
                span.detach()
            told(item)
            yield item
    finally:
        # Left early, too, it ends with what it stands for.
        close = getattr(items, "aclose", None)
        try:
            if close is not None:
                await close()
        finally:
            if operation is not None:
                operation.end()


@harmless
def _team(team: Any) -> genai.Operation:
    return genai.workflow(
        team.name,
        tracer=_TRACER,
        attributes={"gen_ai.workflow.description": getattr(team, "description", None)},
    )


@harmless
def _request(
    client: Any, args: tuple[Any, ...], kwargs: dict[str, Any], stream: bool | None = None
) -> genai.Operation:
    given = {**_mapping(getattr(client, "_create_args", None))}
    given.update(_mapping(kwargs.get("extra_create_args")))
    given["stream"] = stream
    operation = genai.inference(
        _model(client, given), provider=_provider(client), tracer=_TRACER, request=given
    )
    said = args[0] if args else kwargs.get("messages", ())
    return operation.input(lambda: [_message(message) for message in said])


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _model(client: Any, given: dict[str, Any]) -> str:
    """The model's name, or where the client keeps none its family's, or what the client is."""
    name = given.get("model")
    if isinstance(name, str):
        return name
    family = _mapping(client.model_info).get("family")
    return str(family) if family not in (None, "unknown") else type(client).__name__


def _provider(client: Any) -> str | None:
    """AutoGen's clients are in modules that are called for whose models they call."""
    if type(client).__name__.startswith("Azure"):
        return "azure_openai" if "openai" in type(client).__module__ else "azure"
    before, _, behind = type(client).__module__.partition("autogen_ext.models.")
    return behind.partition(".")[0] if behind and not before else None


def _message(message: Any) -> dict[str, Any]:
    kind = type(message).__name__
    content = message.content
    if kind == "FunctionExecutionResultMessage":
        results = [
            {"type": "tool_call_response", "id": each.call_id, "response": each.content}
            for each in content
        ]
        return {"role": "tool", "parts": results}
    role = {"SystemMessage": "system", "AssistantMessage": "assistant"}.get(kind, "user")
    return {"role": role, "parts": _parts(content)}


def _parts(content: Any) -> list[dict[str, Any]]:
    parts = []
    several: list[Any] = [content] if isinstance(content, str) else content
    for part in several:
        if hasattr(part, "arguments"):
            call = {"id": part.id, "name": part.name, "arguments": part.arguments}
            parts.append({"type": "tool_call", **call})
        else:
            text = part if isinstance(part, str) else f"<{type(part).__name__}>"
            parts.append({"type": "text", "content": text})
    return parts


@harmless
def _chunk(operation: genai.Operation, item: Any) -> None:
    if hasattr(item, "finish_reason"):
        _answer(operation, item)
    else:
        operation.chunk()


@harmless
def _answer(operation: genai.Operation, result: Any) -> None:
    usage = genai.Usage(result.usage.prompt_tokens, result.usage.completion_tokens)
    operation.output(lambda: [{"role": "assistant", "parts": _parts(result.content)}])
    if result.cached:
        # It was kept from an earlier call, and costs nothing now.
        operation.set({"autogen.cached": True, **usage.attributes()})
    operation.response(
        finish_reasons=str(result.finish_reason), usage=None if result.cached else usage
    )
