"""``UniversalFrameworkLogger``: one logger under agents, workflows and compliance."""

from __future__ import annotations

import sys
from typing import Any

import coati
from coati.compat.universal._trouble import tell, text_of
from coati.compat.universal.audit import EnterpriseAuditManager
from coati.compat.universal.pii import WITHHELD, PIIDetector

__all__ = ["UniversalFrameworkLogger"]

_LEVELS = {"info": 20, "warning": 30, "error": 40, "critical": 50}
_audits: list[EnterpriseAuditManager] = []


def _shared() -> EnterpriseAuditManager:
    """The trail of all loggers that are given none."""
    if not _audits:
        _audits.append(EnterpriseAuditManager())
    return _audits[0]


class UniversalFrameworkLogger:
    """Records log lines, metrics and audit entries of a component.

    Every line says in ``pii_redacted`` whether it was looked through for personal data; session ids
    are hashed where it was.

    Args:
        component_name: the logger's name.
        config: the detector's configuration, or a detector; redaction is on unless it says no.
        audit: the trail for compliance events; one at ``.universal/audit.jsonl`` by default.
    """

    def __init__(
        self, component_name: str, config: Any = None, audit: EnterpriseAuditManager | None = None
    ) -> None:
        self.component_name = component_name
        self.detector = config if isinstance(config, PIIDetector) else PIIDetector(config)
        self._audit = audit
        self._log = coati.get_logger(component_name)
        self._emit = self._log._emit

    @property
    def audit(self) -> EnterpriseAuditManager:
        """The trail for compliance events."""
        return self._audit if self._audit is not None else _shared()

    def debug(self, message: Any = "", **kwargs: Any) -> None:
        """Record a line at level debug."""
        if self._log.is_enabled("debug"):
            self._record(10, message, kwargs)

    def info(self, message: Any = "", **kwargs: Any) -> None:
        """Record a line at level info."""
        if self._log.is_enabled("info"):
            self._record(20, message, kwargs)

    def warning(self, message: Any = "", **kwargs: Any) -> None:
        """Record a line at level warning."""
        self._record(30, message, kwargs)

    def error(self, message: Any = "", **kwargs: Any) -> None:
        """Record a line at level error."""
        self._record(40, message, kwargs)

    def critical(self, message: Any = "", **kwargs: Any) -> None:
        """Record a line at level critical."""
        self._record(50, message, kwargs)

    def exception(self, message: Any = "", **kwargs: Any) -> None:
        """Record a line at level error with the exception being handled."""
        kwargs.setdefault("exc_info", True)
        self._record(40, message, kwargs)

    def _record(self, level: int, message: Any, fields: dict[str, Any]) -> None:
        try:
            given = fields.pop("exc_info", None)
            message, fields, whole = self._looked_through(message, fields)
            if given is not None:
                fields |= self._exception(given)
            self._emit(level, message, {**fields, "pii_redacted": whole})
        except Exception as error:
            tell("record a line", error)

    def _looked_through(self, message: Any, fields: dict[str, Any]) -> tuple[Any, Any, bool]:
        detector = self.detector
        if not detector.enabled:
            return message, fields, False
        session = fields.pop("session_id", None)
        try:
            fields = detector.redact_metadata(fields)
            message = detector.redact_pii(message)
        except Exception as error:  # of the program's own objects
            tell("look through a line", error)
            message, fields = WITHHELD, {}
        if session is not None:
            fields["session_id"] = detector.hash_session_id(session)
        return message, fields, True

    def _exception(self, given: Any) -> dict[str, Any]:
        """An exception as fields, as its text may hold what is to be masked."""
        if isinstance(given, tuple):
            given = given[1]
        error = given if isinstance(given, BaseException) else sys.exc_info()[1]
        if error is None:
            return {}
        text = self.detector.redact_metadata(error) if self.detector.enabled else text_of(error)
        return {"error_type": type(error).__name__, "error_message": text}

    async def log_agent_execution(
        self,
        agent_name: str,
        session_id: Any,
        execution_context: Any,
        success: bool = True,
        error: Any = None,
    ) -> None:
        """Record that an agent has run, and count it as ``agent_executions``."""
        fields = {
            "event_type": "agent_execution",
            "agent_name": agent_name,
            "session_id": session_id,
            "success": success,
            "execution_context": execution_context,
        }
        if error is not None:
            fields["error_message"] = text_of(error)
            if isinstance(error, BaseException):
                fields["error_type"] = type(error).__name__
        verb = "completed" if success else "failed"
        self._record(20 if success else 40, f"Agent {agent_name} {verb}", fields)
        self._count("agent_executions", agent_name=str(agent_name), success=bool(success))

    async def log_workflow_transition(
        self, from_phase: Any, to_phase: Any, session_id: Any, transition_context: Any = None
    ) -> None:
        """Record that a workflow goes on, and count it as ``workflow_transitions``."""
        fields = {
            "event_type": "workflow_transition",
            "from_phase": from_phase,
            "to_phase": to_phase,
            "session_id": session_id,
            "transition_context": transition_context,
        }
        self._record(20, f"Workflow {from_phase} to {to_phase}", fields)
        phases = {"from_phase": str(from_phase), "to_phase": str(to_phase)}
        self._count("workflow_transitions", **phases)

    async def log_compliance_event(
        self, event_type: str, session_id: Any, compliance_data: Any, **kwargs: Any
    ) -> str:
        """Record a compliance event, whatever the level, and return its ``audit_id``.

        It goes into the audit trail on disk in any case, with the engine off as well; the line is
        at level info, or at the lowest level that is recorded now.
        """
        flags = kwargs.pop("compliance_flags", None) or [event_type]
        about = {"compliance_data": compliance_data, **kwargs}
        audit_id = await self.audit.log_operation(
            f"compliance:{event_type}", session_id, about, compliance_flags=flags
        )
        fields = {
            "event_type": "compliance",
            "compliance_type": event_type,
            "session_id": session_id,
            "audit_id": audit_id,
            **about,
        }
        level = next((name for name in _LEVELS if self._log.is_enabled(name)), "critical")
        self._record(_LEVELS[level], f"Compliance event: {event_type}", fields)
        self._count("compliance_events", event_type=str(event_type))
        return audit_id

    async def log_performance_metric(
        self,
        metric_name: str,
        value: float,
        unit: str = "ms",
        session_id: Any = "default",
        **kwargs: Any,
    ) -> None:
        """Record a value in the histogram ``metric_name``, and a line about it."""
        fields = {"metric_name": metric_name, "value": value, "unit": unit, **kwargs}
        self._record(
            20,
            f"Performance metric: {metric_name}",
            {"event_type": "performance_metric", "session_id": session_id, **fields},
        )
        try:
            metric_name = self.detector.redact_pii(metric_name)
            try:
                histogram = coati.histogram(metric_name, unit=unit)
            except coati.MetricError:
                # The name is another instrument's, or has another unit there.
                histogram = coati.histogram(f"{metric_name}.{unit}", unit=unit)
            histogram.record(value, component=self.component_name)
        except Exception as error:
            tell("record a value", error)

    def _count(self, name: str, **labels: Any) -> None:
        try:
            labels = {key: self.detector.redact_pii(value) for key, value in labels.items()}
            coati.counter(name).add(1, component=self.component_name, **labels)
        except Exception as error:
            tell("count", error)
