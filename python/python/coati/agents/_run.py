"""One call under way."""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from coati import Span, Token, attach, context, current_span
from coati.agents._configuration import failed, settings
from coati.agents._finished import Finished
from coati.genai import Operation
from coati.genai.operation import _current as _operation
from coati.genai.operation import _shared

if TYPE_CHECKING:
    from coati.agents._observation import Observation

#: Kinds by whose names calls inside are told of.
_NAMED = frozenset({"agent", "workflow"})

#: The innermost call of this task or thread.
_innermost: ContextVar[Run | None] = ContextVar("coati.agents.run", default=None)


def innermost() -> Run | None:
    """The call inside which the caller is."""
    return _innermost.get()


class Run:
    """A call of a component under way: given by ``with``, or by ``Observation.start``.

    Nothing here raises because of what it is told, and all of it may be called from any thread.
    Where the component is switched off nothing is recorded.
    """

    __slots__ = (
        "_attributes",
        "_begun",
        "_entered",
        "_error",
        "_exception",
        "_fields",
        "_observation",
        "_open",
        "_operation",
        "_outer",
        "_within",
        "name",
    )

    def __init__(
        self,
        observation: Observation,
        name: str,
        operation: Operation | None,
        attributes: dict[str, Any],
        fields: dict[str, Any],
    ) -> None:
        #: What is called.
        self.name = name
        self._observation = observation
        self._operation = operation
        self._attributes = attributes
        self._fields = fields
        outer = _innermost.get()
        #: What is around it, until it ends: who begins the next from within the last, without
        #: end, would keep them all.
        self._outer = outer
        #: The innermost agent and workflow, itself included, by kind.
        self._within: dict[str, str] = outer._within if outer is not None else {}
        if observation.kind in _NAMED:
            self._within = {**self._within, observation.kind: name}
        self._open = [True]
        self._error: str | None = None
        self._exception: BaseException | None = None
        self._entered: list[_Current] = []
        self._begun = time.perf_counter()

    @property
    def span(self) -> Span:
        """Its span; the current one where the component is switched off."""
        return self._operation.span if self._operation is not None else current_span()

    @property
    def kind(self) -> str:
        """``agent``, ``tool`` and so on."""
        return self._observation.kind

    def set(self, attributes: dict[str, Any] | None = None, /, **more: Any) -> Run:
        """Set attributes of its span, those that are not None."""
        given = {k: v for k, v in {**(attributes or {}), **more}.items() if v is not None}
        self._attributes.update(given)
        if self._operation is not None:
            self._operation.set(given)
        return self

    def request(self, parameters: dict[str, Any] | None = None, /, **more: Any) -> Run:
        """Tell what a model was asked for, as ``coati.genai``'s operations take it."""
        if self._operation is not None:
            self._operation.request(parameters, **more)
        return self

    def response(self, answer: Any = None, /, *, usage: Any = None, **told: Any) -> Run:
        """Tell of a model's answer: ``model``, ``id``, ``finish_reasons``, ``usage``.

        An ``answer`` of a provider's library is read for its usage, model and id.
        """
        if self._operation is not None:
            if answer is not None:
                usage = usage if usage is not None else answer
                for name in ("model", "id"):
                    found = _text_of(answer, name)
                    if found is not None:
                        told.setdefault(name, found)
            self._operation.response(usage=usage, **told)
        return self

    def input(self, content: Any) -> Run:
        """Keep what it was told: messages, or the arguments of a tool; if contents are kept."""
        if self._operation is not None:
            tool = self.kind == "tool"
            (self._operation.arguments if tool else self._operation.input)(content)
        return self

    def output(self, content: Any) -> Run:
        """Keep what it answered: messages, or the result of a tool; if contents are kept."""
        if self._operation is not None:
            tool = self.kind == "tool"
            (self._operation.result if tool else self._operation.output)(content)
        return self

    def chunk(self) -> None:
        """Tell of a chunk of an answer that comes as a stream."""
        if self._operation is not None:
            self._operation.chunk()

    def results(self, count: int) -> Run:
        """Tell how many results a search has given."""
        return self.set({"coati.memory.results": count})

    def messages(self, count: int) -> Run:
        """Tell how many messages a session has had."""
        return self.set({"coati.session.messages": count})

    def event(self, name: str, /, **attributes: Any) -> Run:
        """Add an event to its span."""
        if self._operation is not None:
            self._operation.span.add_event(name, **attributes)
        return self

    def fail(self, error: BaseException | str, description: str | None = None) -> Run:
        """Tell of an error: an exception, or what kind of error it was and what it said."""
        if self._operation is not None:
            self._operation.fail(error, description)
            if isinstance(error, BaseException):
                self._exception = error
                module, name = type(error).__module__, type(error).__qualname__
                self._error = name if module == "builtins" else f"{module}.{name}"
            else:
                self._error = error
        return self

    def current(self) -> contextlib.AbstractContextManager[Any]:
        """Make it current in a ``with`` statement, without ending it."""
        return _Current(self)

    def end(self, end_time: int | None = None, *, seconds: float | None = None) -> None:
        """End it; later calls do nothing. ``end_time`` in ns since the epoch, for what has been."""
        try:
            self._open.pop()
        except IndexError:
            return
        if not self._entered:
            self._outer = None
        operation = self._operation
        if operation is None:
            return
        if seconds is None:
            seconds = time.perf_counter() - self._begun
        try:
            operation.end(end_time)
            self._tell(operation, seconds)
        except Exception as error:
            failed(f"the end of {self.kind}", error)

    def _tell(self, operation: Operation, seconds: float) -> None:
        if current_span() is operation.span:
            return self._record(operation, seconds)
        with attach(operation.span):
            return self._record(operation, seconds)

    def _record(self, operation: Operation, seconds: float) -> None:
        self._log(operation, seconds)
        names = (*self._observation.metrics, *settings.names)
        if not names:
            return
        finished = Finished(
            self.kind,
            self.name,
            seconds,
            self._error,
            self._attributes,
            operation.usage,
            operation.cost_usd,
            self._within.get("agent"),
        )
        for record in names:
            try:
                record(finished)
            except Exception as error:
                failed(f"a metric of {self.kind}", error)

    def _log(self, operation: Operation, seconds: float) -> None:
        level = settings.level if self._error is None else 40
        if not level:
            return
        fields = {**self._fields, **self._attributes, "duration_s": seconds}
        usage = operation.usage
        if usage is not None:
            fields |= usage.attributes()
        if operation.cost_usd is not None:
            fields["coati.usage.cost_usd"] = operation.cost_usd
        if self._error is not None:
            fields["error.type"] = self._error
        observation = self._observation
        message = observation.message(self.name)
        observation.log._emit(level, message, fields, self._exception)


class _Current:
    """A call made current for a while."""

    __slots__ = ("_context", "_operation", "_reset", "_run", "_shared", "_token")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._token: Token | None = None
        self._operation: Any = None
        self._context: context | None = None
        self._shared: Any = None
        self._reset: Any = None

    def __enter__(self) -> Run:
        run = self._run
        if run._operation is not None:
            self._token = attach(run._operation.span)
            self._operation = _operation.set(run._operation)
        if run._fields:
            self._context = context(**run._fields)
            self._context.__enter__()
            self._shared = _shared.set({**(_shared.get() or {}), **run._fields})
        self._reset = _innermost.set(run)
        return run

    def __exit__(self, *exc_info: object) -> None:
        # It may be left in another context than entered, as by an abandoned generator.
        with contextlib.suppress(ValueError):
            _innermost.reset(self._reset)
        if self._context is not None:
            self._context.__exit__(*exc_info)
            with contextlib.suppress(ValueError):
                _shared.reset(self._shared)
        if self._operation is not None:
            with contextlib.suppress(ValueError):
                _operation.reset(self._operation)
        if self._token is not None:
            self._token.detach()


def _text_of(answer: Any, name: str) -> str | None:
    found = answer.get(name) if isinstance(answer, dict) else getattr(answer, name, None)
    return found if isinstance(found, str) else None
