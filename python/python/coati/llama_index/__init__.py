"""LlamaIndex through coati: a span handler and event handler of its instrumentation.

Each span of LlamaIndex is one here, current while its function runs. Model calls are ``chat`` or
``text_completion``, embeddings ``embeddings``, retrievers ``retrieval``, tools ``execute_tool``,
agents ``invoke_agent``, other workflows ``invoke_workflow``; all else has LlamaIndex' own name.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Mapping
from typing import Any

import coati
from coati import genai
from coati._adapter import Open, around, harmless, scalars
from coati.llama_index._events import EVENTS, LAST, OF_MODELS, complete_answer
from coati.llama_index._kinds import TRACER, Call, begin

__all__ = ["Handler", "install", "uninstall"]

#: LlamaIndex' own tags; others, which repeat contents, are left out.
_OWN_TAGS = frozenset({"llamaindex.run_id", "llamaindex.step.input_event"})
#: What they are about.
_STEPS = frozenset({"", "agent", "turn", "workflow"})


class Handler:
    """Span handler and event handler in one, which :func:`install` adds to the root dispatcher."""

    #: What the dispatcher looks at when it is shut down; spans are kept elsewhere.
    open_spans: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self._open = Open()
        #: Asynchronous streams that have not been read from, by what they may be made of: another
        #: call of the same model.
        self._unread: dict[tuple[int, str], str] = {}

    @classmethod
    def class_name(cls) -> str:
        """LlamaIndex' name for it."""
        return "CoatiHandler"

    @harmless
    def span_enter(
        self,
        id_: str,
        bound_args: Any,
        instance: Any = None,
        parent_id: str | None = None,
        tags: Any = None,
        **_: Any,
    ) -> None:
        """A function is entered."""
        outer: Any = self._open[parent_id]
        where: dict[str, Any] = around(outer)
        name = id_[:-37] if len(id_) > 37 else id_
        if self._unread:
            stream = self._stream_made_of(instance, name, parent_id)
            if stream is not None:
                outer, where = stream, around(stream, False)
        operation, kind = begin(name, bound_args, instance, outer, {**where, "tracer": TRACER})
        call = Call(operation, kind, instance, parent_id)
        self._open[id_] = call
        call.attach()
        if tags:
            operation.set(_shown(tags, kind in _STEPS))

    def _stream_made_of(self, instance: Any, name: str, parent: str | None) -> Any:
        """The stream that is about to be read by this call, as far as can be known."""
        id_ = self._unread.get((id(instance), name.rpartition(".")[2]))
        stream: Any = self._open[id_] if id_ is not None else None
        if stream is None or (stream.parent != parent and self._open[stream.parent] is not None):
            return None
        return stream

    @harmless
    def span_exit(
        self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **_: Any
    ) -> None:
        """A function has returned."""
        call: Any = self._open[id_]
        if call is None:
            return
        name = id_[:-37].rpartition(".")[2]
        if call.kind == "llm" and (hasattr(result, "__anext__") or hasattr(result, "__next__")):
            # Its events go on; where none comes, it ends when nobody has the stream any more.
            call.detach()
            if name.startswith("a"):
                call.made_of = (id(instance), name[1:])
                self._unread[call.made_of] = id_
            # What cannot be watched ends by its events alone.
            with contextlib.suppress(TypeError):
                weakref.finalize(result, self._finish, id_).atexit = False
            return
        try:
            if call.kind == "llm" and not call.answered and result is not None:
                complete_answer(call, result)
            elif call.kind == "tool":
                _tool_result(call, result)
        finally:
            self._finish(id_)

    @harmless
    def span_drop(
        self, id_: str, bound_args: Any, instance: Any = None, err: Any = None, **_: Any
    ) -> None:
        """A function has raised."""
        call = self._open[id_]
        if call is not None and isinstance(err, BaseException):
            call.operation.fail(err)
        self._finish(id_)

    @harmless
    def handle(self, event: Any, **_: Any) -> None:
        """Something has happened inside a span."""
        name = type(event).__name__
        tell = EVENTS.get(name)
        if tell is None:
            return
        call: Any = self._open[event.span_id]
        if call is None or (name in OF_MODELS and call.kind != "llm"):
            return
        tell(call, event)
        if call.kind == "llm" and call.token is None:
            # A stream, whose function has returned.
            self._unread.pop(call.made_of, None)
            if name in LAST:
                self._finish(event.span_id)

    async def ahandle(self, event: Any, **_: Any) -> None:
        """As :meth:`handle`."""
        self.handle(event)

    @harmless
    def _finish(self, id_: str) -> None:
        call: Any = self._open.pop(id_)
        if call is not None:
            self._unread.pop(call.made_of, None)
            call.end()

    def capture_propagation_context(self) -> dict[str, Any]:
        """The current span, for a workflow that goes on in another task or process."""
        headers: dict[str, str] = {}
        coati.inject(headers)
        return {"coati": headers} if headers else {}

    @harmless
    def restore_propagation_context(self, context: dict[str, Any]) -> None:
        """Go on under the span that was current there, unless one of its trace is so already."""
        headers = context.get("coati")
        if headers:
            remote = coati.extract(headers)
            if coati.current_span().trace_id != remote.trace_id:
                coati.attach(remote)

    def close(self) -> None:
        """End what is under way."""
        self._open.clear()


def _shown(tags: Mapping[str, Any], own: bool) -> dict[str, Any]:
    given = {key: tags[key] for key in tags if not key.startswith("llamaindex.")}
    found = scalars("llama_index.tags.", given)
    return {**found, **{key: tags[key] for key in _OWN_TAGS & tags.keys()}} if own else found


def _tool_result(call: Call, output: Any) -> None:
    call.operation.result(lambda: str(output))
    if getattr(output, "is_error", False):
        error = getattr(output, "exception", None)
        call.operation.fail(error if error is not None else "tool_error")


_installed: tuple[Handler, Any] | None = None


def install() -> Handler:
    """Record what LlamaIndex' instrumentation tells. Other handlers stay.

    Returns:
        The handler in use; a second call gives the same one.

    Raises:
        ImportError: there is no LlamaIndex.
    """
    global _installed  # noqa: PLW0603 - LlamaIndex has one root dispatcher
    if _installed is not None:
        return _installed[0]
    try:
        from llama_index_instrumentation import get_dispatcher  # noqa: PLC0415 - where wanted
    except ImportError as error:
        needs = "coati.llama_index needs LlamaIndex: pip install llama-index-core"
        raise ImportError(needs) from error
    genai.prepare()
    handler = Handler()
    root = get_dispatcher()
    root.add_span_handler(handler)
    root.add_event_handler(handler)
    _installed = (handler, root)
    return handler


def uninstall() -> None:
    """Take the handler away."""
    global _installed  # noqa: PLW0603
    if _installed is None:
        return
    handler, root = _installed
    _installed = None
    root.span_handlers = [each for each in root.span_handlers if each is not handler]
    root.event_handlers = [each for each in root.event_handlers if each is not handler]
    handler.close()
