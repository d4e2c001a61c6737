"""The audit trail: on disk, each entry linked to the one before it by its hash."""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import coati
from coati.compat.kaizen._chain import CHANGED, Chain, Verification, parse
from coati.compat.kaizen._plain import encode
from coati.compat.kaizen.audit import FileAuditStorage
from coati.compat.universal._awaited import Answer, Entries, Text
from coati.compat.universal._trouble import tell, text_of
from coati.compat.universal.pii import PIIDetector

__all__ = ["EnterpriseAuditManager"]

_PATH = ".universal/audit.jsonl"
_AGENT = "agent_execution"


class EnterpriseAuditManager:
    """Writes and reads an audit trail.

    Entries are JSON lines with ``audit_id``, ``timestamp``, ``operation``, ``session_id`` (hashed
    where redaction is on), ``agent_name``, ``success``, ``compliance_flags``, ``metadata``,
    ``pii_redacted``, the current span's ids, and ``sequence``, ``prev_hash``, ``hash``. Several
    threads and processes may write to one file; when it is full it is closed, and the chain goes on
    in the next.

    Args:
        config: the detector's configuration, or a detector (see :class:`PIIDetector`); as a mapping
            it may have an ``audit_path``. A path is taken for that alone.
        audit_path: the file that grows.
        key: secret of HMAC-SHA-256 links; SHA-256 without.
        rotate_bytes: size that a file is closed before. Closed files are never removed.
        fsync: whether an entry is on the disk when it has been logged.
    """

    def __init__(
        self,
        config: Any = None,
        *,
        audit_path: str | os.PathLike[str] | None = None,
        key: bytes | None = None,
        rotate_bytes: int = 64 << 20,
        fsync: bool = False,
    ) -> None:
        if isinstance(config, (str, os.PathLike)):
            config, audit_path = None, audit_path or config
        if audit_path is None and isinstance(config, Mapping):
            audit_path = config.get("audit_path")
        self.detector = config if isinstance(config, PIIDetector) else PIIDetector(config)
        self._key = key
        self._how = {"key": key, "rotate_bytes": rotate_bytes, "fsync": fsync}
        self._path = os.fspath(audit_path or _PATH)
        self._made: FileAuditStorage | None = None

    @property
    def _storage(self) -> FileAuditStorage:
        if self._made is None:
            self._made = FileAuditStorage(self._path, **self._how)  # type: ignore[arg-type]
        return self._made

    async def log_operation(
        self, operation: str, session_id: Any = None, metadata: Any = None, **fields: Any
    ) -> str:
        """Write an entry and return its ``audit_id``.

        ``agent_name``, ``success`` and ``compliance_flags`` may stand in the metadata or beside it.
        Where it cannot be written, that is recorded and told on standard error; nothing is raised.
        """
        return str(self._log(operation, session_id, metadata, fields))

    def track_agent_execution(
        self,
        agent_name: str,
        session_id: Any = None,
        execution_context: Any = None,
        success: bool = True,
        error: Any = None,
        **fields: Any,
    ) -> Text:
        """Write an entry about an agent's execution and return its ``audit_id``."""
        metadata = execution_context if isinstance(execution_context, Mapping) else None
        if metadata is None and execution_context is not None:
            metadata = {"context": execution_context}
        if error is not None:
            metadata = {**(metadata or {}), "error": text_of(error), "error_type": _kind(error)}
        fields |= {"agent_name": agent_name, "success": success}
        return self._log(_AGENT, session_id, metadata, fields)

    def _log(
        self, operation: str, session_id: Any, metadata: Any, fields: Mapping[str, Any]
    ) -> Text:
        audit_id = f"audit_{uuid.uuid4().hex}"
        operation = self.detector.redact_pii(text_of(operation))
        try:
            entry = self._entry(audit_id, operation, session_id, metadata, fields)
            self._storage._write(encode(entry))
        except Exception as error:
            tell("write to the audit trail", error, f"{operation} {audit_id}")
        else:
            coati.get_logger("audit").info(operation, audit_id=audit_id, success=entry["success"])
        return Text(audit_id)

    def _entry(
        self,
        audit_id: str,
        operation: str,
        session_id: Any,
        metadata: Any,
        fields: Mapping[str, Any],
    ) -> dict[str, Any]:
        detector = self.detector
        about = dict(metadata) if isinstance(metadata, Mapping) else {}
        if metadata is not None and not isinstance(metadata, Mapping):
            about["value"] = metadata
        known = {**about, **fields}
        flags = known.get("compliance_flags") or []
        entry = {
            "audit_id": audit_id,
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "operation": operation,
            "session_id": self._session(session_id),
            "agent_name": detector.redact_metadata(known.get("agent_name")),
            "success": bool(known.get("success", True)),
            "compliance_flags": [
                detector.redact_pii(text_of(one))
                for one in ([flags] if isinstance(flags, str) else flags)
            ],
            "metadata": detector.redact_metadata({**about, **_rest(fields)}),
            # What is said here is what was done above.
            "pii_redacted": detector.enabled,
        }
        context = coati.current_span().get_span_context()
        if context.is_valid:
            entry["trace_id"] = context.trace_id
            entry["span_id"] = context.span_id
        return entry

    def _session(self, session_id: Any) -> str | None:
        if session_id is None:
            return None
        text = str(session_id)
        if not self.detector.enabled or text.startswith("session_hash_"):
            return text
        return self.detector.hash_session_id(text)

    def verify_audit_integrity(self, audit_id: str) -> Answer:
        """Whether an entry is there as it was written: the chain holds up to it and behind it."""
        try:
            return Answer(self._holds(str(audit_id)))
        except Exception as error:
            tell("read the audit trail", error)
            return Answer(False)

    def _holds(self, audit_id: str) -> bool:
        chain = Chain(self._key)
        found = False
        for line in self._lines():
            entry, reason = chain.step(line)
            if found and (entry or reason):
                # The next one need not be as it was written, only linked.
                return reason in {"", CHANGED}
            if reason:
                return False
            found = found or (entry is not None and entry.get("audit_id") == audit_id)
        return found

    def verify_chain(self) -> Verification:
        """Check all entries, and tell where the chain breaks."""
        return self._storage.verify()

    def _lines(self) -> Iterator[bytes]:
        """All lines that are not empty, oldest first."""
        with self._storage._files.snapshot() as files:
            yield from (line for _, lines in files for line in lines if line.strip())

    def _entries(self) -> Iterator[dict[str, Any]]:
        """All entries, oldest first; lines that are none are passed over."""
        for line in self._lines():
            try:
                entry = parse(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict):
                yield entry

    def get_audit_trail(
        self,
        session_id: Any = None,
        start_time: Any = None,
        end_time: Any = None,
        agent_names: Iterable[str] | None = None,
        success_only: bool = False,
        compliance_flags: Iterable[str] | None = None,
    ) -> Entries:
        """The entries that match all that is given, oldest first.

        Times are ``datetime`` or ISO 8601, in UTC where they have no zone. Of several names or
        flags an entry needs one.
        """
        try:
            agents, flags = self._masked(agent_names), self._masked(compliance_flags)
            wanted = _Filter(start_time, end_time, agents, success_only, flags)
            session = None if session_id is None else {str(session_id), self._session(session_id)}
            return Entries(
                entry
                for entry in self._entries()
                if (session is None or entry.get("session_id") in session) and wanted.takes(entry)
            )
        except Exception as error:
            tell("read the audit trail", error)
            return Entries()

    def _masked(self, values: Any) -> frozenset[str] | None:
        """What is looked for, and how it stands in an entry."""
        if values is None:
            return None
        texts = [values] if isinstance(values, str) else [str(one) for one in values]
        return frozenset([*texts, *map(self.detector.redact_pii, texts)])

    def export_compliance_report(self, criteria: Any = None, format: str = "json") -> Text:
        """A report on the entries that match ``criteria`` (arguments of :meth:`get_audit_trail`).

        Args:
            criteria: a mapping, or None for all entries.
            format: ``"json"``: totals, whether the chain holds, and the entries; ``"csv"``: the
                entries.

        Raises:
            ValueError: there is no such format or criterion.
        """
        given = dict(criteria or {})
        unknown = set(given) - _CRITERIA
        if unknown:
            raise ValueError(f"no criterion {', '.join(sorted(unknown))}: {sorted(_CRITERIA)}")
        if format not in {"json", "csv"}:
            raise ValueError(f"format must be json or csv, not {format!r}")
        entries = self.get_audit_trail(**given)
        if format == "csv":
            return Text(_csv(entries))
        chain = self.verify_chain()
        flags = sorted({flag for entry in entries for flag in _flags(entry)})
        report = {
            "generated_at": datetime.now(timezone.utc).isoformat(),
            "criteria": {key: str(value) for key, value in given.items()},
            "total_entries": len(entries),
            "successful": sum(bool(entry.get("success")) for entry in entries),
            "failed": sum(not entry.get("success") for entry in entries),
            "compliance_flags": flags,
            "pii_redacted": all(entry.get("pii_redacted") for entry in entries),
            "integrity": {
                "ok": chain.ok,
                "entries": chain.entries,
                # Above 1 where the oldest entries are gone.
                "first": chain.first,
                "unchained": chain.unchained,
                "head": chain.head.hash,
                "breaks": [f"{one.file}:{one.line}: {one.reason}" for one in chain.breaks],
            },
            "entries": entries,
        }
        return Text(json.dumps(report, default=str))


_CRITERIA = frozenset(
    {"session_id", "start_time", "end_time", "agent_names", "success_only", "compliance_flags"}
)
_COLUMNS = ("audit_id", "timestamp", "operation", "session_id", "agent_name", "success", "hash")


def _rest(fields: Mapping[str, Any]) -> dict[str, Any]:
    own = {"agent_name", "success", "compliance_flags"}
    return {key: value for key, value in fields.items() if key not in own}


def _flags(entry: Mapping[str, Any]) -> list[str]:
    """Of an entry that someone may have changed."""
    given = entry.get("compliance_flags")
    return [str(one) for one in given] if isinstance(given, list) else []


def _kind(error: Any) -> str:
    return type(error).__name__ if isinstance(error, BaseException) else "error"


def _csv(entries: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*_COLUMNS, "compliance_flags"))
    for entry in entries:
        flags = " ".join(_flags(entry))
        writer.writerow((*(entry.get(name) for name in _COLUMNS), flags))
    return out.getvalue()


class _Filter:
    """Which entries are wanted."""

    def __init__(self, start: Any, end: Any, agents: Any, success_only: bool, flags: Any) -> None:
        self._start, self._end = _moment(start), _moment(end)
        self._agents, self._flags = agents, flags
        self._success_only = success_only

    def takes(self, entry: Mapping[str, Any]) -> bool:
        """Whether an entry is wanted."""
        if self._success_only and not entry.get("success"):
            return False
        if self._agents and entry.get("agent_name") not in self._agents:
            return False
        if self._flags and self._flags.isdisjoint(_flags(entry)):
            return False
        if self._start is None and self._end is None:
            return True
        when = _moment(entry.get("timestamp"))
        if when is None:
            return False
        return (self._start is None or when >= self._start) and (
            self._end is None or when <= self._end
        )


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    # Before Python 3.11 there is no Z.
    text = str(value).replace("Z", "+00:00")
    found = value if isinstance(value, datetime) else datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
