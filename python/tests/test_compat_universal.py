"""The Universal Framework's classes on coati: what its faults were, each shown absent."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import coati
import coati.logging
import coati.loguru
import coati.structlog
import loguru
import pytest
import structlog
from coati.compat.universal import (
    EnterpriseAuditManager,
    OTLPRouter,
    PIIDetector,
    UniversalFrameworkLogger,
    _trouble,
)

EMAIL, PHONE = "[EMAIL_REDACTED]", "[PHONE_REDACTED]"
SSN, CARD = "[SSN_REDACTED]", "[CC_REDACTED]"


@pytest.fixture(autouse=True)
def _nothing_told_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trouble, "_last", {})


@pytest.fixture
def audit(tmp_path: Path) -> EnterpriseAuditManager:
    """A trail in a folder of its own."""
    return EnterpriseAuditManager(audit_path=tmp_path / "audit.jsonl")


@pytest.fixture
def log(engine: Any, audit: EnterpriseAuditManager) -> UniversalFrameworkLogger:
    """A component's logger."""
    return UniversalFrameworkLogger("planner", audit=audit)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail a.b+c@example.co.uk now", f"mail {EMAIL} now"),
        ("(555) 234-5678 or 555-234-5678", f"{PHONE} or {PHONE}"),
        ("1-800-555-0199, 415.555.2671 and 415 555 2671", f"{PHONE}, {PHONE} and {PHONE}"),
        ("+1 415 555 2671, +442071838750", f"{PHONE}, {PHONE}"),
        ("+49 (30) 1234 5678.", f"{PHONE}."),
        ("ssn 123-45-6789", f"ssn {SSN}"),
        ("4111 1111 1111 1111 and 4111-1111-1111-1111", f"{CARD} and {CARD}"),
        ("card 378282246310005, 3782 822463 10005", f"card {CARD}, {CARD}"),
        ("a@b.io,123-45-6789;4242424242424242", f"{EMAIL},{SSN};{CARD}"),
    ],
)
def test_what_is_personal_is_masked(text: str, masked: str) -> None:
    assert PIIDetector().redact_pii(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567890 of 9876543210",
        "at 1700000000 and 1700000000123",
        "4111 1111 1111 1112",
        "id 4111111111111112",
        "000-12-3456, 666-12-3456, 912-12-3456, 123-00-4567, 123-45-0000",
        "550e8400-e29b-41d4-a716-446655440000",
        "192.168.100.200 on 2026-11-21T12:34:56.789012",
        "0.4111111111111111 and 4111111111111111.5",
        "not@mail and user@host",
        "v1.234.5678.9012",
    ],
)
def test_what_is_not_personal_stays(text: str) -> None:
    assert PIIDetector().redact_pii(text) == text


def test_names_tell_what_numbers_are() -> None:
    given = {
        "phone": "5552345678",
        "homePhone": 5552345678,
        "contacts": {"mobile": ["4155552671", "555-0199"]},
        "phone_count": 1234567890,
        "ssn": "123456789",
        "social_security_number": 123456789,
        "card_number": "4111111111111112",
        "order": "5552345678",
        "balance": 4111111111111111,
    }
    assert PIIDetector().redact_metadata(given) == {
        "phone": PHONE,
        "homePhone": PHONE,
        "contacts": {"mobile": [PHONE, PHONE]},
        "phone_count": 1234567890,
        "ssn": SSN,
        "social_security_number": SSN,
        "card_number": CARD,
        "order": "5552345678",
        "balance": CARD,
    }


def test_texts_in_lists_and_nested_dicts_are_masked() -> None:
    given = {
        "list": ["a@b.io", {"deep": [("c@d.io", 1, None)]}],
        "set": {"e@f.io"},
        "g@h.io": "name",
        "object": SimpleNamespace(mail="i@j.io"),
        "error": ValueError("k@l.io"),
        "bytes": b"m@n.io",
        "fine": [1, 2.5, True, "text"],
    }
    found = PIIDetector().redact_metadata(given)
    assert found["list"] == [EMAIL, {"deep": [(EMAIL, 1, None)]}]
    assert found["set"] == {EMAIL}
    assert found[EMAIL] == "name"
    assert "i@j.io" not in str(found["object"])
    assert (found["error"], found["bytes"]) == (EMAIL, EMAIL)
    assert found["fine"] == [1, 2.5, True, "text"]
    assert given["list"][0] == "a@b.io"


def test_odd_values_and_names_are_masked() -> None:
    class Owner(str, Enum):
        BOB = "b@x.io"
        NONE = "none"

    class Hidden(str):
        def __str__(self) -> str:
            return "hidden"

    given = {
        "owner": Owner.BOB,
        "none": Owner.NONE,
        "hidden": Hidden("b@x.io"),
        "phone": [5552345678.0, Decimal(5552345678), b"5552345678", 0.5],
        ("a@b.io", 1): "tuple",
        Owner.BOB: "enum",
        b"c@d.io": "bytes",
    }
    found = PIIDetector().redact_metadata(given)
    assert found == {
        "owner": EMAIL,
        "none": Owner.NONE,
        "hidden": EMAIL,
        "phone": [PHONE, PHONE, PHONE, 0.5],
        (EMAIL, 1): "tuple",
        EMAIL: "enum",
        f"{EMAIL}_2": "bytes",
    }
    names = {"a@b.io": 1, f"{EMAIL}_2": 2, "c@d.io": 3, "e@f.io": 4}
    assert sorted(PIIDetector().redact_metadata(names).values()) == [1, 2, 3, 4]


def test_circles_and_unprintable_objects_end() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    circle: dict[str, Any] = {"a": "x@y.io"}
    circle["self"], circle["again"] = circle, [circle, circle]
    found = PIIDetector().redact_metadata({"circle": circle, "hostile": Hostile()})
    assert found["circle"]["a"] == EMAIL
    assert found["circle"]["self"] == "[WITHHELD]"


def test_long_and_hostile_texts_are_looked_through_at_once() -> None:
    pieces = ["a" * 100, "1" * 100, "+1 1 1 1 1 ", "a@a.a.", "4111 ", "(555) ", "123-45-", "@"]
    for piece in pieces:
        PIIDetector().redact_pii(piece * (200_000 // len(piece)))


def test_session_hashes() -> None:
    detector = PIIDetector()
    one = detector.hash_session_id("s1")
    assert one.startswith("session_hash_")
    assert len(one) == len("session_hash_") + 16
    assert int(one.removeprefix("session_hash_"), 16) >= 0
    assert detector.hash_session_id("s1") == one != detector.hash_session_id("s2")
    assert PIIDetector({"salt": "x"}).hash_session_id("s1") != one


def test_patterns_of_one_s_own() -> None:
    detector = PIIDetector({"patterns": {r"EMP-\d+": "[EMPLOYEE]"}})
    assert detector.redact_pii("by EMP-42") == "by [EMPLOYEE]"


def test_redaction_is_on_by_default_and_records_say_so(log: Any, engine: Any) -> None:
    log.info("mail a@b.io", session_id="s1", data=["c@d.io"], card={"no": "4111111111111111"})
    line = engine.log()
    assert line["message"] == f"mail {EMAIL}"
    assert line["data"] == [EMAIL]
    assert line["card"] == {"no": CARD}
    assert line["session_id"] == PIIDetector().hash_session_id("s1")
    assert line["pii_redacted"] is True


@pytest.mark.parametrize(
    "config",
    [{"enabled": False}, {"redaction_enabled": False}, SimpleNamespace(enabled=False)],
)
def test_records_say_so_when_redaction_is_off(engine: Any, audit: Any, config: Any) -> None:
    UniversalFrameworkLogger("planner", config).info("mail a@b.io", session_id="s1")
    line = engine.log()
    assert (line["message"], line["session_id"]) == ("mail a@b.io", "s1")
    assert line["pii_redacted"] is False


def test_exceptions_are_looked_through(log: Any, engine: Any) -> None:
    try:
        raise ValueError("no user a@b.io")
    except ValueError:
        log.exception("failed", step=1)
    line = engine.log()
    assert (line["error_type"], line["error_message"]) == ("ValueError", f"no user {EMAIL}")
    assert "a@b.io" not in json.dumps(line)


def test_what_agents_and_workflows_do(log: Any, engine: Any) -> None:
    async def main() -> None:
        await log.log_agent_execution("ada", "s1", {"prompt": "a@b.io"})
        await log.log_agent_execution("ada", "s1", {}, success=False, error=ValueError("x@y.io"))
        await log.log_workflow_transition("plan", "act", "s1", {"by": ["a@b.io"]})
        await log.log_performance_metric("universal.wait", 12.5, "ms", "s1", model="m")
        await log.log_performance_metric("universal.wait", 2.5, "s")

    asyncio.run(main())
    good, bad, moved, measured, other = engine.logs()
    assert (good["level"], bad["level"]) == ("info", "error")
    assert good["execution_context"] == {"prompt": EMAIL}
    assert (bad["success"], bad["error_type"], bad["error_message"]) == (False, "ValueError", EMAIL)
    assert (moved["from_phase"], moved["to_phase"]) == ("plan", "act")
    assert moved["transition_context"] == {"by": [EMAIL]}
    assert (measured["metric_name"], measured["value"]) == ("universal.wait", 12.5)
    assert (measured["unit"], other["unit"]) == ("ms", "s")
    labels = {"component": "planner", "agent_name": "ada", "success": True}
    assert coati.counter("agent_executions").value(**labels) == 1
    assert coati.histogram("universal.wait", unit="ms").stats(component="planner").max == 12.5
    assert coati.histogram("universal.wait.s", unit="s").stats(component="planner").max == 2.5
    assert all(line["pii_redacted"] is True for line in (good, bad, moved, measured))


@pytest.mark.parametrize("level", ["debug", "warning", "critical"])
def test_compliance_events_are_written_whatever_the_level(
    engine: Any, audit: Any, level: str
) -> None:
    engine.start(logs={"level": level})
    log = UniversalFrameworkLogger("planner", audit=audit)
    log.info("an ordinary line")
    audit_id = asyncio.run(
        log.log_compliance_event("gdpr_access", "s1", {"subject": "a@b.io"}, officer="x")
    )
    (line,) = [line for line in engine.logs() if line.get("event_type") == "compliance"]
    assert line["level"] == ("info" if level == "debug" else level)
    assert (line["audit_id"], line["compliance_data"]) == (audit_id, {"subject": EMAIL})
    (entry,) = audit.get_audit_trail(session_id="s1", compliance_flags=["gdpr_access"])
    assert entry["audit_id"] == audit_id
    assert entry["metadata"] == {"compliance_data": {"subject": EMAIL}, "officer": "x"}
    assert audit.verify_audit_integrity(audit_id)


def test_operations_flags_and_labels_are_masked(
    log: Any, engine: Any, audit: Any, tmp_path: Path, capsys: Any
) -> None:
    async def main() -> None:
        await log.log_compliance_event("deletion bob@x.com", "s1", {})
        await log.log_agent_execution("bob@x.com", "s1", {})
        await log.log_workflow_transition("bob@x.com", "act", "s1")
        await log.log_performance_metric("wait bob@x.com", 1.0)
        await audit.log_operation("read bob@x.com", "s1", agent_name="bob@x.com")

    asyncio.run(main())
    assert "bob@x.com" not in (tmp_path / "audit.jsonl").read_text()
    assert "bob@x.com" not in json.dumps(engine.logs())
    assert "bob@x.com" not in coati.metrics.prometheus_text()
    assert coati.counter("agent_executions").value(
        component="planner", agent_name=EMAIL, success=True
    )
    assert len(audit.get_audit_trail(compliance_flags="deletion bob@x.com")) == 1
    assert len(audit.get_audit_trail(agent_names=["bob@x.com"])) == 1
    (tmp_path / "file").write_text("")
    EnterpriseAuditManager(tmp_path / "file" / "a.jsonl").track_agent_execution("ada")
    asyncio.run(EnterpriseAuditManager(tmp_path / "file" / "a").log_operation("read bob@x.com"))
    assert "bob@x.com" not in capsys.readouterr().err
    assert "bob@x.com" not in json.dumps(engine.logs())


class Unprintable(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("enabled", [True, False])
def test_errors_without_a_text_are_recorded(engine: Any, audit: Any, enabled: bool) -> None:
    log = UniversalFrameworkLogger("planner", {"enabled": enabled}, audit)
    asyncio.run(log.log_agent_execution("ada", "s1", {}, success=False, error=Unprintable()))
    try:
        raise Unprintable
    except Unprintable:
        log.exception("failed")
    audit.track_agent_execution("ada", error=Unprintable())
    (entry,) = audit.get_audit_trail()
    assert entry["metadata"]["error"] == "<unprintable Unprintable>"
    told = [line["error_message"] for line in engine.logs() if "error_message" in line]
    assert told == ["<unprintable Unprintable>"] * 2


def test_compliance_events_are_written_without_an_engine(program: Any) -> None:
    program.run(
        """
        import asyncio, coati
        from coati.compat.universal import UniversalFrameworkLogger
        log = UniversalFrameworkLogger("planner")
        asyncio.run(log.log_compliance_event("before", "s1", {}))
        coati.init(config={"sinks": [SINK]})
        coati.shutdown()
        asyncio.run(log.log_compliance_event("after", "s1", {}))
        trail = log.audit.get_audit_trail()
        print([entry["operation"] for entry in trail], log.audit.verify_chain().ok)
        """
    )
    assert program.stdout == "['compliance:before', 'compliance:after'] True\n"


def test_compliance_events_that_cannot_be_written_are_told(
    engine: Any, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "file").write_text("")
    audit = EnterpriseAuditManager(audit_path=tmp_path / "file" / "audit.jsonl")
    log = UniversalFrameworkLogger("planner", audit=audit)
    asyncio.run(log.log_compliance_event("gdpr_access", "s1", {"a": 1}))
    told, event = engine.logs()
    assert told["message"] == "could not write to the audit trail"
    assert event["compliance_type"] == "gdpr_access"
    assert "gdpr_access" in capsys.readouterr().err


def test_the_trail_is_on_disk_and_linked(engine: Any, audit: Any, tmp_path: Path) -> None:
    async def main() -> list[str]:
        with coati.get_tracer("t").span("work") as span:
            first = await audit.log_operation("read", "s1", {"who": "a@b.io", "tags": ["c@d.io"]})
            assert span.is_recording()
        return [first, *[await audit.log_operation("write", "s2", {"n": n}) for n in range(3)]]

    ids = asyncio.run(main())
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["audit_id"] for line in lines] == ids
    assert [line["sequence"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["prev_hash"] == "0" * 64
    assert [line["prev_hash"] for line in lines[1:]] == [line["hash"] for line in lines[:-1]]
    assert lines[0]["metadata"] == {"who": EMAIL, "tags": [EMAIL]}
    assert lines[0]["pii_redacted"] is True
    assert (span := next(one for one in engine.records() if "span" in one))
    assert (lines[0]["trace_id"], lines[0]["span_id"]) == (span["trace_id"], span["span_id"])
    again = EnterpriseAuditManager(audit_path=tmp_path / "audit.jsonl")
    assert all(again.verify_audit_integrity(one) for one in ids)
    assert not again.verify_audit_integrity("none")


@pytest.mark.parametrize("harm", ["change", "rehash", "remove", "swap"])
def test_changes_of_the_trail_are_seen(engine: Any, audit: Any, tmp_path: Path, harm: str) -> None:
    path = tmp_path / "audit.jsonl"
    ids = [str(audit.track_agent_execution("ada", "s1", {"n": number})) for number in range(4)]
    lines = path.read_text().splitlines()
    if harm == "change":
        lines[1] = lines[1].replace('"success": true', '"success": false')
    elif harm == "rehash":
        entry = json.loads(lines[1])
        lines[1] = lines[1].replace(entry["hash"], "f" * 64)
    elif harm == "remove":
        del lines[1]
    else:
        lines[1], lines[2] = lines[2], lines[1]
    path.write_text("\n".join(lines) + "\n")
    assert not audit.verify_audit_integrity(ids[1])
    assert not audit.verify_audit_integrity(ids[3])
    assert not audit.verify_chain().ok
    report = json.loads(audit.export_compliance_report())
    assert report["integrity"]["ok"] is False


def test_a_trail_may_begin_with_lines_in_no_chain(engine: Any, audit: Any, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text('{"audit_id": "old", "operation": "read"}\n')
    ids = [str(audit.track_agent_execution("ada", "s1", {"n": number})) for number in range(3)]
    assert all(map(audit.verify_audit_integrity, ids))
    assert not audit.verify_audit_integrity("old")
    report = json.loads(audit.export_compliance_report())
    assert (report["integrity"]["first"], report["integrity"]["unchained"]) == (1, 1)
    assert report["integrity"]["ok"] is True
    path.write_text(path.read_text().replace('"read"', '"none"'))
    assert not any(map(audit.verify_audit_integrity, ids))
    # Without its first entry the trail tells that it begins at the second, and with loose lines
    # before that it does not hold.
    loose, _, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rest))
    report = json.loads(audit.export_compliance_report())
    assert (report["integrity"]["ok"], report["integrity"]["first"]) == (True, 2)
    assert audit.verify_audit_integrity(ids[1])
    path.write_text("".join([loose, *rest]))
    assert json.loads(audit.export_compliance_report())["integrity"]["ok"] is False
    assert not audit.verify_audit_integrity(ids[1])


@pytest.mark.parametrize("flags", [1, [[1]], {"a": 1}])
def test_flags_that_were_changed_are_reported(
    engine: Any, audit: Any, tmp_path: Path, flags: Any
) -> None:
    path = tmp_path / "audit.jsonl"
    audit.track_agent_execution("ada")
    path.write_text(json.dumps({**json.loads(path.read_text()), "compliance_flags": flags}) + "\n")
    report = json.loads(audit.export_compliance_report())
    assert (report["integrity"]["ok"], report["total_entries"]) == (False, 1)
    assert len(audit.export_compliance_report(format="csv").splitlines()) == 2
    assert audit.get_audit_trail(compliance_flags=["gdpr"]) == []


@pytest.mark.parametrize("name", ["hash", "prev_hash"])
def test_a_hash_that_is_none_is_reported(
    engine: Any, audit: Any, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "audit.jsonl"
    audit_id = str(audit.track_agent_execution("ada"))
    entry = json.loads(path.read_text())
    path.write_text(json.dumps({**entry, name: "é"}) + "\n")
    assert json.loads(audit.export_compliance_report())["integrity"]["ok"] is False
    assert not audit.verify_audit_integrity(audit_id)
    assert not audit.verify_audit_integrity(str(audit.track_agent_execution("bob")))


def test_a_torn_line_does_not_end_the_trail(engine: Any, audit: Any, tmp_path: Path) -> None:
    first = str(audit.track_agent_execution("ada"))
    with (tmp_path / "audit.jsonl").open("a") as file:
        file.write('{"audit_id": "half')
    second = str(audit.track_agent_execution("ada"))
    assert [entry["audit_id"] for entry in audit.get_audit_trail()] == [first, second]
    assert audit.verify_audit_integrity(second)


def test_the_trail_goes_on_in_new_files(engine: Any, tmp_path: Path) -> None:
    audit = EnterpriseAuditManager(audit_path=tmp_path / "audit.jsonl", rotate_bytes=2000)
    ids = [str(audit.track_agent_execution("ada", "s1", {"n": number})) for number in range(12)]
    assert len(list(tmp_path.iterdir())) > 2
    assert [entry["audit_id"] for entry in audit.get_audit_trail()] == ids
    assert all(map(audit.verify_audit_integrity, ids))


def test_where_the_trail_is(engine: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    ways = {
        "a.jsonl": EnterpriseAuditManager(tmp_path / "a.jsonl"),
        "b.jsonl": EnterpriseAuditManager({"audit_path": "b.jsonl", "enabled": False}),
        ".universal/audit.jsonl": EnterpriseAuditManager(),
    }
    for name, audit in ways.items():
        audit.track_agent_execution("ada", "s1")
        (line,) = (tmp_path / name).read_text().splitlines()
        assert json.loads(line)["pii_redacted"] is (name != "b.jsonl")


def test_threads_write_one_chain(engine: Any, audit: Any) -> None:
    def work() -> None:
        for _ in range(25):
            asyncio.run(audit.log_operation("work", "s1", {}))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(audit.get_audit_trail()) == 100
    assert audit.verify_chain().ok


def test_filters_of_the_trail(engine: Any, audit: Any) -> None:
    async def main() -> None:
        await audit.log_operation("a", "s1", {"agent_name": "ada", "compliance_flags": ["gdpr"]})
        await audit.log_operation("b", "s2", {"agent_name": "bob"}, success=False)
        audit.track_agent_execution("ada", "s2", {"x": 1}, False, ValueError("a@b.io"))
        await audit.track_agent_execution("cyd", "s1", "plain", compliance_flags=["sox", "gdpr"])

    asyncio.run(main())

    def found(**filters: Any) -> list[str]:
        return [f"{e['operation']}/{e['agent_name']}" for e in audit.get_audit_trail(**filters)]

    now = datetime.now(timezone.utc)
    assert found() == ["a/ada", "b/bob", "agent_execution/ada", "agent_execution/cyd"]
    assert found(session_id="s1") == ["a/ada", "agent_execution/cyd"]
    assert found(session_id=PIIDetector().hash_session_id("s1")) == found(session_id="s1")
    assert found(agent_names=["ada", "bob"]) == ["a/ada", "b/bob", "agent_execution/ada"]
    assert found(success_only=True) == ["a/ada", "agent_execution/cyd"]
    assert found(compliance_flags=["gdpr"]) == ["a/ada", "agent_execution/cyd"]
    assert found(start_time=now + timedelta(hours=1)) == []
    assert len(found(start_time=now - timedelta(hours=1), end_time=now.isoformat())) == 4
    assert found(end_time="2020-01-01T00:00:00Z") == []
    failed = audit.get_audit_trail(agent_names="ada")[1]
    assert failed["metadata"] == {"x": 1, "error": EMAIL, "error_type": "ValueError"}
    assert asyncio.run(_awaited(audit.get_audit_trail())) == audit.get_audit_trail()


async def _awaited(value: Any) -> Any:
    return await value


def test_a_compliance_report(engine: Any, audit: Any) -> None:
    audit_id = str(audit.track_agent_execution("ada", "s1", {}, compliance_flags=["gdpr"]))
    audit.track_agent_execution("bob", "s1", {}, success=False)
    report = json.loads(audit.export_compliance_report({"compliance_flags": ["gdpr"]}))
    assert (report["total_entries"], report["successful"], report["failed"]) == (1, 1, 0)
    assert report["entries"][0]["audit_id"] == audit_id
    assert report["integrity"]["ok"] is True
    assert report["integrity"]["entries"] == 2
    assert report["pii_redacted"] is True
    table = audit.export_compliance_report(format="csv").splitlines()
    assert len(table) == 3
    assert table[1].startswith(audit_id)
    with pytest.raises(ValueError, match="format"):
        audit.export_compliance_report(format="pdf")
    with pytest.raises(ValueError, match="criterion"):
        audit.export_compliance_report({"colour": "red"})
    assert asyncio.run(_awaited(audit.verify_audit_integrity(audit_id))) is True


def test_events_are_routed_whatever_they_lack(engine: Any) -> None:
    router = OTLPRouter()
    assert router.is_enabled() is False
    for event in (
        {"message": "mail a@b.io", "level": "ERROR", "component": "planner", "n": ["c@d.io"]},
        {"event": "no timestamp"},
        {"message": "old", "timestamp": "2020-01-01T00:00:00Z", "level": 30},
        SimpleNamespace(message="object", level=SimpleNamespace(value="warning")),
        "text",
        {},
    ):
        assert router.route_log_event(event) is False
    first, *rest = engine.logs()
    assert (first["message"], first["level"], first["logger"]) == (
        f"mail {EMAIL}",
        "error",
        "planner",
    )
    assert first["n"] == [EMAIL]
    assert [line["message"] for line in rest] == ["no timestamp", "old", "object", "text", ""]
    assert rest[1]["event_timestamp"] == "2020-01-01T00:00:00Z"
    assert rest[1]["timestamp"] > "2026"
    assert all(line["pii_redacted"] is True for line in (first, *rest))


def test_events_are_sent_on_where_there_is_a_receiver(engine: Any) -> None:
    endpoint = "http://127.0.0.1:9"
    # Nobody listens there, and nothing is severe enough to be sent.
    sink = {"type": "otlp", "endpoint": endpoint, "signals": ["logs"], "level": "critical"}
    engine.start(sinks=[sink])
    router = OTLPRouter()
    info = router.get_backend_info()
    assert (info["backend"], info["enabled"], info["endpoint"]) == ("otlp", True, endpoint)
    assert router.route_log_event({"message": "hello"}) is True


@pytest.fixture
def libraries(engine: Any) -> Iterator[Any]:
    """Every logging library at once, on coati."""
    coati.logging.install(level="INFO", only=True)
    structlog.configure(
        [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level],
        logger_factory=coati.structlog.LoggerFactory(),
    )
    coati.loguru.install()
    yield engine
    coati.loguru.uninstall()
    structlog.reset_defaults()
    coati.logging.uninstall()


def test_several_logging_libraries_at_once(libraries: Any, audit: Any, capsys: Any) -> None:
    # What broke such a system: a formatter that asks for a key which other libraries do not give.
    picky = logging.StreamHandler()
    picky.setFormatter(logging.Formatter("%(timestamp)s %(message)s"))
    logging.getLogger().addHandler(picky)
    universal = UniversalFrameworkLogger("planner", audit=audit)
    with coati.get_tracer("agent").span("turn") as span:
        logging.getLogger("std").info("one %s", "a", extra={"step": 1})
        structlog.get_logger("struct").info("two", step=2)
        loguru.logger.bind(step=3).info("three {}", "c")
        universal.info("four", step=4)
        # With and without the key that each of them has under another name.
        logging.getLogger("std").info("five", extra={"timestamp": "then"})
        structlog.get_logger("struct").info("six", timestamp="then")
        loguru.logger.bind(timestamp="then").info("seven")
        universal.info("eight", timestamp="then")
        OTLPRouter().route_log_event({"event": "nine"})
        record = {"name": "std", "msg": "ten", "levelno": 20}
        logging.getLogger("std").handle(logging.makeLogRecord(record))
    logging.getLogger().removeHandler(picky)
    assert "KeyError" not in capsys.readouterr().err
    lines = libraries.logs()
    said = [line["message"].split()[0] for line in lines]
    assert said == ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    for line in lines:
        assert datetime.fromisoformat(line["timestamp"][:26])
        assert line["trace_id"] == span.trace_id
    assert [line.get("step") for line in lines[:4]] == [1, 2, 3, 4]
