"""The callback handler."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple
from uuid import UUID

from coati import genai
from coati._adapter import Entry, Hidden, Open, harmless
from coati.langchain import _current, _kinds, _read

_Base: Any
try:
    _Base = import_module("langchain_core.callbacks").BaseCallbackHandler
except ImportError:
    _Base = object

_TRACER = "langchain"
_HIDDEN = "langsmith:hidden"


class _Run(NamedTuple):
    """What the start of every run tells."""

    serialized: Any
    id: UUID
    parent_id: UUID | None
    tags: Any
    metadata: Any


class CallbackHandler(_Base):  # type: ignore[misc]
    """Records runs: ``graph.invoke(..., config={"callbacks": [CallbackHandler()]})``.

    One may serve any number of runs at a time. :func:`install` gives one to every run.

    Raises:
        ImportError: LangChain is not installed.
    """

    run_inline = True
    raise_error = False

    def __init__(self) -> None:
        if _Base is object:
            raise ImportError("coati.langchain needs LangChain: pip install langchain-core")
        self._open = Open()

    def close(self) -> None:
        """End what is under way."""
        self._open.clear()

    def _coati_entry(self, run_id: UUID) -> Entry | None:
        return self._open[run_id]

    def __copy__(self) -> CallbackHandler:
        return self

    def __deepcopy__(self, memo: Any) -> CallbackHandler:
        return self

    def _place(self, parent_id: UUID | None) -> dict[str, Any]:
        _current.hook()
        entry = None if parent_id is None else self._open[parent_id]
        return {**_current.place(parent_id, entry), "tracer": _TRACER}

    def _fail(self, error: BaseException, run_id: UUID) -> None:
        entry = self._open.pop(run_id)
        if entry is None:
            return
        try:
            if isinstance(entry, Hidden):
                return
            if isinstance(error, GeneratorExit):
                entry.operation.set({"coati.stream.end": "closed"})
            elif _read.steers(error):
                entry.operation.set({"langgraph.left_by": type(error).__name__})
            else:
                entry.operation.fail(error)
        finally:
            entry.end()

    @harmless
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A chain, a graph or a node begins."""
        outer = None if parent_run_id is None else self._open[parent_run_id]
        if outer is not None and tags and _HIDDEN in tags:
            self._open[run_id] = Hidden(outer)
            return
        if outer is not None and _kinds.is_node(tags):
            _kinds.make_workflow(outer)
        name = _read.name_of(serialized, kwargs.get("name"), "chain")
        attributes = _read.told(run_id, tags, metadata)
        place = self._place(parent_run_id)
        conversation = _read.conversation(metadata)
        kind = _kinds.kind(name, parent_run_id, tags, metadata)
        if kind == "agent":
            operation = genai.agent(
                name, conversation_id=conversation, attributes=attributes, **place
            )
        elif kind == "workflow":
            operation = genai.workflow(
                name, conversation_id=conversation, attributes=attributes, **place
            )
        else:
            operation = genai.step(name, attributes=attributes, **place)
        self._open[run_id] = Entry(operation, kind, name)

    @harmless
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """It ends."""
        self._end(run_id)

    @harmless
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It ends with an error."""
        self._fail(error, run_id)

    @harmless
    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A chat model is asked."""
        operation = self._model(
            "chat", _Run(serialized, run_id, parent_run_id, tags, metadata), kwargs
        )
        operation.input(lambda: _read.messages(each for several in messages for each in several))

    @harmless
    def on_llm_start(
        self,
        serialized: dict[str, Any] | None,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A model is asked to go on with a text."""
        operation = self._model(
            "text_completion", _Run(serialized, run_id, parent_run_id, tags, metadata), kwargs
        )
        operation.input(prompts)

    def _model(self, kind: str, run: _Run, kwargs: dict[str, Any]) -> genai.Operation:
        parameters, metadata = kwargs.get("invocation_params"), run.metadata
        for outer in (run.parent_id, _current.run_id()):
            _kinds.make_passing(self._open[outer])
        provider = (metadata or {}).get("ls_provider") or (parameters or {}).get("_type")
        operation = genai.inference(
            _read.model(metadata, parameters),
            provider=provider,
            operation=kind,
            request=_read.request(metadata, parameters),
            attributes={
                "langchain.name": _read.name_of(run.serialized, kwargs.get("name"), kind),
                "gen_ai.conversation.id": _read.conversation(metadata),
                **_read.told(run.id, run.tags, metadata),
            },
            **self._place(run.parent_id),
        )
        self._open[run.id] = Entry(operation, "model", genai.provider_name(provider))
        return operation

    @harmless
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A chunk of an answer has come."""
        entry = self._open[run_id]
        if entry is not None and not _is_last(kwargs.get("chunk")):
            entry.operation.chunk()

    @harmless
    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A part of an answer has come."""
        entry = self._open[run_id]
        if entry is not None and event.get("event") == "content-block-delta":
            entry.operation.chunk()

    @harmless
    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The model has answered."""
        entry = self._open.pop(run_id)
        if entry is None:
            return
        try:
            _read.answer(entry.operation, response, entry.source)
        finally:
            entry.end()

    @harmless
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """The model has failed, perhaps with a part of its answer."""
        entry, response = self._open[run_id], kwargs.get("response")
        try:
            if entry is not None and response is not None:
                _read.answer(entry.operation, response, entry.source)
        finally:
            self._fail(error, run_id)

    @harmless
    def on_retry(self, retry_state: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """It is tried again."""
        entry = self._open[run_id]
        if entry is None or isinstance(entry, Hidden):
            return
        outcome = retry_state.outcome
        failed = outcome is not None and outcome.failed
        about = {"attempt": retry_state.attempt_number}
        if failed:
            about["error.type"] = type(outcome.exception()).__qualname__
        entry.operation.span.add_event("retry", about)

    @harmless
    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool begins."""
        operation = genai.tool(
            _read.name_of(serialized, kwargs.get("name"), "tool"),
            call_id=kwargs.get("tool_call_id"),
            description=(serialized or {}).get("description"),
            attributes={
                "gen_ai.conversation.id": _read.conversation(metadata),
                **_read.told(run_id, tags, metadata),
            },
            **self._place(parent_run_id),
        )
        operation.arguments(inputs if inputs is not None else input_str)
        self._open[run_id] = Entry(operation, "tool")

    @harmless
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """It ends."""
        entry = self._open.pop(run_id)
        if entry is None:
            return
        try:
            entry.operation.result(lambda: getattr(output, "content", output))
            if getattr(output, "status", None) == "error":
                entry.operation.fail("tool_error")
        finally:
            entry.end()

    @harmless
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It ends with an error."""
        self._fail(error, run_id)

    @harmless
    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Documents are looked for."""
        operation = genai.retrieval(
            _read.name_of(serialized, kwargs.get("name"), "retriever"),
            provider=(metadata or {}).get("ls_vector_store_provider")
            or (metadata or {}).get("ls_retriever_name"),
            attributes={
                "gen_ai.conversation.id": _read.conversation(metadata),
                **_read.told(run_id, tags, metadata),
            },
            **self._place(parent_run_id),
        )
        if genai.captures_content():
            operation.set({"gen_ai.retrieval.query.text": query})
        self._open[run_id] = Entry(operation, "retriever")

    @harmless
    def on_retriever_end(self, documents: Sequence[Any], *, run_id: UUID, **kwargs: Any) -> None:
        """They have been found."""
        entry = self._open.pop(run_id)
        if entry is not None:
            entry.operation.set({"langchain.documents": len(documents)})
            entry.end()

    @harmless
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """They have not."""
        self._fail(error, run_id)

    @harmless
    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The program tells of something of its own."""
        entry = self._open[run_id]
        if entry is not None and not isinstance(entry, Hidden):
            content = {"data": data} if genai.captures_content() else {}
            entry.operation.span.add_event(name, content)

    def _end(self, run_id: UUID) -> None:
        entry = self._open.pop(run_id)
        if entry is not None:
            entry.end()


def _is_last(chunk: Any) -> bool:
    """Whether a chunk only says that there are no more."""
    message: Any = getattr(chunk, "message", None)
    return (
        getattr(message, "chunk_position", None) == "last"
        and not message.content
        and message.usage_metadata is None
    )
