"""A base class for components whose operations are to be observed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from coati import Logger, Span, Tracer, attach, counter, current_span, get_logger, get_tracer
from coati import histogram as make_histogram
from coati.agents._configuration import failed, settings
from coati.agents._finished import Finished


class ObservableMixin:
    """Observability for classes that have an ``__init__`` of their own, which need not call this.

    The component is called by ``component_name``, an attribute of class or object, else by its
    class; ``component_id`` tells objects of a class apart. What is in ``logs.disabled`` by that
    name, or by the first part of a dotted one, records nothing at all.
    """

    component_name: str | None = None
    component_id: str | None = None

    @property
    def logger(self) -> Logger:
        """The component's logger."""
        return get_logger(self._name())

    @property
    def tracer(self) -> Tracer:
        """The component's tracer."""
        return get_tracer(self._name())

    @property
    def is_observed(self) -> bool:
        """Whether the component records anything: ``logs.disabled`` can switch it off."""
        return get_logger(self._name()).is_enabled("critical")

    def observe_operation(self, name: str, /, **attributes: Any) -> Operation:
        """Observe an operation in a ``with`` or ``async with`` statement.

        It gets a span ``{component}.{name}``, a line of the component's logger, and counts in
        ``coati.component.operations``, ``coati.component.duration`` (seconds) and
        ``coati.component.errors``, by component and operation.

        Args:
            name: the operation.
            attributes: attributes of its span and fields of its line.
        """
        return Operation(self._name(), self.component_id, name, attributes)

    def _name(self) -> str:
        return self.component_name or type(self).__name__


class Observable(ObservableMixin):
    """A component with a name and an id: a base class.

    Args:
        component_name: unless given, the class's.
        component_id: tells objects of a class apart.
    """

    def __init__(self, component_name: str | None = None, component_id: str | None = None) -> None:
        if component_name is not None:
            self.component_name = component_name
        if component_id is not None:
            self.component_id = component_id


class Operation:
    """One operation of a component, made by ``observe_operation``."""

    __slots__ = (
        "_attributes",
        "_begun",
        "_component",
        "_entered",
        "_error",
        "_name",
        "_observed",
        "_span",
    )

    def __init__(
        self, component: str, id: str | None, name: str, attributes: dict[str, Any]
    ) -> None:
        self._component = component
        self._name = name
        self._attributes = {"coati.component.name": component, "coati.operation.name": name}
        if id is not None:
            self._attributes["coati.component.id"] = id
        self._attributes |= attributes
        self._entered: list[Any] = []
        self._error: str | None = None
        self._span: Span | None = None
        self._begun = 0.0
        self._observed = False

    @property
    def span(self) -> Span:
        """Its span; the current one where the component is switched off."""
        return self._span if self._span is not None else current_span()

    def set(self, **attributes: Any) -> Operation:
        """Set attributes of its span and fields of its line."""
        self._attributes |= attributes
        if self._span is not None:
            self._span.set_attributes(attributes)
        return self

    def event(self, name: str, /, **attributes: Any) -> Operation:
        """Add an event to its span."""
        if self._span is not None:
            self._span.add_event(name, **attributes)
        return self

    def fail(self, kind: str, description: str | None = None) -> Operation:
        """Tell of an error that is no exception."""
        self._error = kind
        if self._span is not None:
            self._span.set_status("error", description)
        return self

    def __enter__(self) -> Operation:
        try:
            self._observed = get_logger(self._component).is_enabled("critical")
            if self._observed:
                self._span = get_tracer(self._component).start_span(
                    f"{self._component}.{self._name}", attributes=self._attributes
                )
                self._entered.append(attach(self._span))
        except Exception as error:
            failed("the start of an operation", error)
        self._begun = time.perf_counter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._observed or not self._entered:
            return
        seconds = time.perf_counter() - self._begun
        token = self._entered.pop()
        try:
            self._tell(seconds, error)
        except Exception as wrong:
            failed("the end of an operation", wrong)
        token.detach()
        self.span.end()

    async def __aenter__(self) -> Operation:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def _tell(self, seconds: float, error: BaseException | None) -> None:
        if error is not None:
            module, name = type(error).__module__, type(error).__qualname__
            self._error = name if module == "builtins" else f"{module}.{name}"
            self.span.record_exception(error)
            self.span.set_status("error", _text(error))
        failure = self._error
        labels = {"coati.component.name": self._component, "coati.operation.name": self._name}
        _OPERATIONS().add(1, **labels)
        if failure is not None:
            self.span.set_attribute("error.type", failure)
            labels["error.type"] = failure
            _ERRORS().add(1, **labels)
        _DURATION().record(seconds, **labels)
        level = settings.level if failure is None else 40
        if level:
            fields = {**self._attributes, "duration_s": seconds}
            if failure is not None:
                fields["error.type"] = failure
            get_logger(self._component)._emit(level, f"{self._name}", fields, error)
        if settings.names:
            finished = Finished("component", self._component, seconds, failure, self._attributes)
            for record in settings.names:
                record(finished)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<unprintable {type(error).__name__}>"


_Instrument = Callable[[], Any]


def _once(make: _Instrument) -> _Instrument:
    made: list[Any] = []

    def instrument() -> Any:
        if not made:
            made.append(make())
        return made[0]

    return instrument


_OPERATIONS = _once(
    lambda: counter("coati.component.operations", "{operation}", "Operations of components")
)
_ERRORS = _once(lambda: counter("coati.component.errors", "{operation}", "Operations that failed"))
_DURATION = _once(
    lambda: make_histogram("coati.component.duration", "s", "Duration of components' operations")
)
