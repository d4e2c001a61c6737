"""``coati.compat.kaizen.FileAuditStorage``: what is appended, found again, and proved."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import coati
import pytest
from coati.compat.kaizen import AuditEntry, AuditTrailManager, FileAuditStorage
from conftest import Engine, wait_until

START = datetime(2026, 5, 1, tzinfo=timezone.utc)
KEYS = ["timestamp", "agent_id", "action", "details", "result", "user_id", "metadata"]


def entry(number: int, **other: Any) -> AuditEntry:
    """An entry whose number says when it was."""
    given: dict[str, Any] = {
        "timestamp": START + timedelta(seconds=number),
        "agent_id": f"a{number % 3}",
        "action": "tool_execute",
        "details": {"n": number},
        "result": "success",
        **other,
    }
    return AuditEntry(**given)


def append(storage: FileAuditStorage, *entries: AuditEntry) -> None:
    async def run() -> None:
        for one in entries:
            await storage.append(one)

    asyncio.run(run())


def query(storage: FileAuditStorage, **wanted: Any) -> list[AuditEntry]:
    return asyncio.run(storage.query(**wanted))


def numbers(entries: list[AuditEntry]) -> list[int]:
    return [one.details["n"] for one in entries]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trail" / "audit.jsonl"


@pytest.fixture
def storage(path: Path) -> FileAuditStorage:
    return FileAuditStorage(path)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_line_has_the_keys_first(storage: FileAuditStorage, path: Path) -> None:
    one = entry(1, user_id="u", metadata={"m": [1, None, "ü"]})
    append(storage, one)
    line = json.loads(lines(path)[0])
    assert list(line) == [*KEYS, "sequence", "prev_hash", "hash"]
    assert query(storage) == [one]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert storage.get_file_path() == path


def test_entries_are_found_and_sorted(storage: FileAuditStorage) -> None:
    results = ["success", "failure", "denied"]
    for number in (5, 3, 9, 1, 7, 0, 2):
        append(storage, entry(number, result=results[number % 3], user_id=f"u{number % 2}"))
    assert numbers(query(storage)) == [0, 1, 2, 3, 5, 7, 9]
    assert numbers(query(storage, agent_id="a1")) == [1, 7]
    assert numbers(query(storage, agent_id="a1", user_id="u1")) == [1, 7]
    assert numbers(query(storage, result="denied")) == [2, 5]
    assert query(storage, action="other") == []
    start, end = START + timedelta(seconds=2), START + timedelta(seconds=7)
    assert numbers(query(storage, start_time=start, end_time=end)) == [2, 3, 5, 7]
    naive = start.replace(tzinfo=None)
    assert numbers(query(storage, start_time=naive, agent_id="a0")) == [3, 9]
    assert asyncio.run(storage.count()) == 7


def test_names_that_are_written_with_escapes_are_found(storage: FileAuditStorage) -> None:
    for name in ("münchen", 'quote"d', "back\\slash", "plain"):
        append(storage, entry(1, agent_id=name))
        assert [one.agent_id for one in query(storage, agent_id=name)] == [name]


def test_lines_of_others_are_read(storage: FileAuditStorage, path: Path) -> None:
    append(storage, entry(1))
    other = {"agent_id": "a1", "timestamp": "2026-05-01T00:00:00Z", "extra": 1, "action": "x"}
    odd = {**other, "result": "success", "details": {"n": 0}}
    with path.open("a") as file:
        file.write(json.dumps(odd, separators=(",", ":")) + "\n")
        file.write("not json\n\n[1]\n")
        file.write(json.dumps({"agent_id": "a1"}) + "\n")
    append(storage, entry(2))
    assert numbers(query(storage)) == [0, 1, 2]
    assert numbers(query(storage, agent_id="a1")) == [0, 1]
    assert asyncio.run(storage.count()) == 4
    found = storage.verify()
    assert [(one.line, one.reason) for one in found.breaks] == [
        (2, "not in the chain"),
        (6, "not in the chain"),
    ]
    assert [one.line for one in found.torn] == [3, 5]


def test_a_torn_line_is_passed_over_and_told(storage: FileAuditStorage, path: Path) -> None:
    append(storage, entry(1), entry(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    append(FileAuditStorage(path), entry(3))
    append(storage, entry(4))
    assert numbers(query(storage)) == [1, 3, 4]
    found = storage.verify()
    assert (found.ok, found.entries, found.head.sequence) == (True, 3, 3)
    assert [torn.line for torn in found.torn] == [2]


@pytest.mark.parametrize("key", [None, b"secret"])
def test_the_chain_tells_where_it_breaks(path: Path, key: bytes | None) -> None:
    storage = FileAuditStorage(path, key=key)
    append(storage, *(entry(number) for number in range(6)))
    whole = lines(path)
    assert storage.verify().ok
    assert storage.verify().entries == 6

    def breaks(changed: list[str]) -> list[tuple[int, str]]:
        path.write_text("".join(line + "\n" for line in changed))
        return [(found.line, found.reason.partition(" ")[0]) for found in storage.verify().breaks]

    changed = [*whole]
    changed[2] = changed[2].replace('{"n": 2}', '{"n": 3}')
    assert breaks(changed) == [(3, "was")]
    assert breaks(whole[:2] + whole[3:]) == [(3, "does")]
    assert breaks([*whole[:2], whole[3], whole[2], *whole[4:]]) == [
        (3, "does"),
        (4, "does"),
        (5, "does"),
    ]
    assert breaks([*whole[:3], whole[2], *whole[3:]]) == [(4, "does")]
    assert breaks(whole) == []


@pytest.mark.parametrize("key", [None, b"secret"])
def test_entries_cannot_leave_the_chain_at_its_beginning(path: Path, key: bytes | None) -> None:
    storage = FileAuditStorage(path, key=key)
    append(storage, *(entry(number) for number in range(4)))
    whole = [json.loads(line) for line in lines(path)]
    forged = [{name: one[name] for name in KEYS} for one in whole[:2]]
    forged[1]["result"] = "denied"
    path.write_text("".join(json.dumps(one) + "\n" for one in [*forged, *whole[2:]]))
    found = storage.verify()
    assert [(one.line, one.reason) for one in found.breaks] == [
        (3, "has number 3 behind lines in no chain")
    ]
    assert (found.first, found.unchained) == (3, 2)
    # What a killed process has left is no entry: the files before it may be removed.
    path.write_text("".join(["half\n", *(json.dumps(one) + "\n" for one in whole[2:])]))
    found = storage.verify()
    assert (found.ok, found.first, len(found.torn)) == (True, 3, 1)


@pytest.mark.parametrize("name", ["hash", "prev_hash"])
@pytest.mark.parametrize("bad", ["é", "", "A" * 64, "0" * 63])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_hashes_that_are_none_are_breaks(path: Path, name: str, bad: str, place: int) -> None:
    storage = FileAuditStorage(path, key=b"secret")
    append(storage, *(entry(number) for number in range(3)))
    whole = [json.loads(line) for line in lines(path)]
    whole[place][name] = bad
    if name == "hash" and place < 2:
        whole[place + 1]["prev_hash"] = bad
    path.write_text("".join(json.dumps(one) + "\n" for one in whole))
    assert storage.verify().breaks[0].line == place + 1
    append(storage, entry(3))
    assert storage.verify().breaks[0].line == place + 1
    assert numbers(query(storage)) == [0, 1, 2, 3]


@pytest.mark.parametrize("place", [0, 2])
def test_a_key_that_stands_twice_is_a_break(path: Path, place: int) -> None:
    storage = FileAuditStorage(path, key=b"secret")
    append(storage, *(entry(number) for number in range(3)))
    whole = lines(path)
    whole[place] = '{"timestamp": "2001-01-01T00:00:00+00:00", ' + whole[place][1:]
    path.write_text("".join(line + "\n" for line in whole))
    found = storage.verify().breaks[0]
    assert (found.line, found.reason) == (place + 1, "has a key twice")
    assert len(query(storage)) == 2


def test_a_changed_hash_is_no_way_round(path: Path) -> None:
    storage = FileAuditStorage(path)
    append(storage, *(entry(number) for number in range(3)))
    whole = lines(path)
    forged = FileAuditStorage(path.with_name("forged.jsonl"))
    append(forged, entry(0), entry(77))
    path.write_text("\n".join([whole[0], lines(forged.file_path)[1], whole[2], ""]))
    assert [found.line for found in storage.verify().breaks] == [3]


def test_a_key_is_needed(path: Path) -> None:
    append(FileAuditStorage(path, key=b"secret"), entry(1))
    assert FileAuditStorage(path, key="secret").verify().ok
    for key in (None, b"other"):
        found = FileAuditStorage(path, key=key).verify()
        assert [one.reason for one in found.breaks] == ["was changed, or the key is another"]


def test_what_was_cut_off_is_seen_by_the_head(storage: FileAuditStorage, path: Path) -> None:
    append(storage, *(entry(number) for number in range(3)))
    head = storage.verify().head
    path.write_text("".join(line + "\n" for line in lines(path)[:2]))
    found = storage.verify()
    assert found.ok
    assert found.head != head


def test_a_trail_without_a_chain_goes_on(path: Path) -> None:
    path.parent.mkdir()
    old = [{**dict.fromkeys(KEYS), **vars(entry(n))} for n in range(3)]
    for one in old:
        one["timestamp"] = one["timestamp"].isoformat()
    path.write_text("".join(json.dumps(one) + "\n" for one in old))
    storage = FileAuditStorage(path, rotate_bytes=600)
    append(storage, entry(3), entry(4))
    assert numbers(query(storage)) == [0, 1, 2, 3, 4]
    found = storage.verify()
    assert (found.ok, found.unchained, found.entries) == (True, 3, 2)
    first = path.with_name("audit.jsonl.000001")
    first.write_text(first.read_text().replace('"n": 1', '"n": 8'))
    assert not storage.verify().ok


def test_files_are_closed_at_a_size_and_the_chain_goes_on(path: Path) -> None:
    storage = FileAuditStorage(path, rotate_bytes=2000)
    append(storage, *(entry(number) for number in range(30)))
    closed = sorted(path.parent.glob("audit.jsonl.*"))
    assert [file.name[-6:] for file in closed] == [f"{n:06d}" for n in range(1, len(closed) + 1)]
    assert len(closed) > 3
    assert all(file.stat().st_size <= 2000 for file in [*closed, path])
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in [*closed, path])
    assert numbers(query(storage)) == list(range(30))
    assert asyncio.run(storage.count()) == 30
    # Another one finds where the chain is, though the newest file is empty.
    os.rename(path, path.with_name(f"audit.jsonl.{len(closed) + 1:06d}"))
    another = FileAuditStorage(path, rotate_bytes=2000)
    append(another, entry(30))
    append(storage, entry(31))
    assert (storage.verify().ok, storage.verify().entries) == (True, 32)
    # A whole file is missing: from the middle a break, at the beginning told by the first number.
    closed[0].unlink()
    found = storage.verify()
    assert found.ok
    assert (found.first or 0) > 1
    closed[2].unlink()
    (gap,) = storage.verify().breaks
    assert (gap.file, gap.line) == (str(closed[3]), 1)


def test_any_value_can_be_proved(storage: FileAuditStorage) -> None:
    details: dict[Any, Any] = {1: "a", "1": "b", 2: 1.5e300, "nan": float("nan"), None: {3}}
    append(storage, entry(1, details=details, metadata={"x": object, "lone": "\ud800", "t": (1,)}))
    append(storage, entry(2))
    assert storage.verify().ok
    first, _ = query(storage)
    assert first.details == {"1": "b", "2": 1.5e300, "nan": "NaN", "null": "{3}"}
    append(storage, entry(3, details={1: "a", "1": "b"}))
    assert storage.verify().ok
    assert query(storage)[-1].details == {"1": "b"}


def test_entries_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(sync(file)))
    storage = FileAuditStorage(path, fsync=True)
    append(storage, entry(1), entry(2))
    assert len(synced) == 2
    assert numbers(query(storage)) == [1, 2]
    path.unlink()
    assert query(storage) == []
    append(storage, entry(3))
    assert (storage.verify().ok, numbers(query(storage))) == (True, [3])


def test_an_entry_inside_a_span_has_its_ids(
    engine: Engine, storage: FileAuditStorage, path: Path
) -> None:
    with coati.get_tracer().span("plan") as span:
        append(storage, entry(1))
    line = json.loads(lines(path)[0])
    assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    assert storage.verify().ok


def test_what_cannot_be_written_leaves_nothing(
    storage: FileAuditStorage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(storage, entry(1))
    write, calls = os.write, []

    def full(file: int, data: Any) -> int:
        calls.append(1)
        if len(calls) == 1:
            return write(file, data[:10])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full"):
        append(storage, entry(2))
    monkeypatch.undo()
    append(storage, entry(3))
    assert numbers(query(storage)) == [1, 3]
    assert storage.verify().ok
    assert storage.verify().torn == []
    assert path.read_bytes().endswith(b"\n")


def test_tasks_and_threads_write_to_one_file(path: Path) -> None:
    def work(first: int, storage: FileAuditStorage) -> Callable[[], None]:
        async def run() -> None:
            await asyncio.gather(*(storage.append(entry(first + n)) for n in range(50)))

        return lambda: asyncio.run(run())

    shared = FileAuditStorage(path, rotate_bytes=5000)
    own = FileAuditStorage(path, rotate_bytes=5000)
    jobs = [work(100 * n, one) for n, one in enumerate((shared, shared, own, own))]
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(query(shared))) == [100 * n + m for n in range(4) for m in range(50)]
    assert (own.verify().ok, own.verify().entries) == (True, 200)


WRITER = """
import asyncio, sys
from datetime import datetime, timezone
from coati.compat.kaizen import AuditEntry, FileAuditStorage

async def main(path, name, count):
    storage = FileAuditStorage(path, rotate_bytes=20_000)
    for number in range(count):
        now = datetime.now(timezone.utc)
        await storage.append(AuditEntry(now, name, "write", {"n": number}, "success"))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, str(count)])


def test_processes_write_to_one_trail(path: Path) -> None:
    writers = [writer(path, f"p{n}", 100) for n in range(3)]
    assert [one.wait(300) for one in writers] == [0, 0, 0]
    storage = FileAuditStorage(path)
    found = storage.verify()
    assert (found.ok, found.entries, found.torn) == (True, 300, [])
    assert list(path.parent.glob("audit.jsonl.*"))
    for n in range(3):
        assert numbers(query(storage, agent_id=f"p{n}")) == list(range(100))


def test_a_killed_process_takes_nothing_along(path: Path) -> None:
    storage = FileAuditStorage(path, rotate_bytes=20_000)
    for _ in range(3):
        before = asyncio.run(storage.count())
        killed = writer(path, "killed", 10**9)
        try:
            wait_until(lambda n=before: asyncio.run(storage.count()) > n + 50)  # type: ignore[misc]
        finally:
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
        append(storage, entry(1, agent_id="survivor"))
    found = storage.verify()
    assert found.ok
    assert len(query(storage, agent_id="survivor")) == 3
    assert len(query(storage)) == found.entries


def test_the_manager_records_and_tells_a_second_store(path: Path) -> None:
    told: list[dict[str, Any]] = []

    class Store:
        def append_sync(self, **given: Any) -> None:
            told.append(given)
            raise RuntimeError("down")

    manager = AuditTrailManager(FileAuditStorage(path), Store())

    async def run() -> list[list[AuditEntry]]:
        await manager.record("a1", "read", {"file": "x"}, "denied", "u1", {"m": 1})
        now = datetime.now(timezone.utc)
        day = timedelta(days=1)
        return [
            await manager.query_by_agent("a1"),
            await manager.query_by_action("read"),
            await manager.query_by_user("u1"),
            await manager.query_by_result("denied"),
            await manager.query_by_timerange(now - day, now + day),
            await manager.query_all(),
        ]

    found = asyncio.run(run())
    assert all(len(one) == 1 and one == found[0] for one in found)
    assert (found[0][0].details, found[0][0].metadata) == ({"file": "x"}, {"m": 1})
    assert told == [
        {
            "actor": "a1",
            "action": "read",
            "resource": "kaizen.observability:a1",
            "details": {"result": "denied", "file": "x", "m": 1},
        }
    ]
