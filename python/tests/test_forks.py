"""Forks in the midst of everything: every record exactly once, however a process ends."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pytest

CHILDREN = 50
LINES = 120
"""Lines of each child: several files of the size below."""

PARENT = """
import coati, os, signal, sys, threading, time

CHILDREN, LINES, SHARED = {children}, {lines}, {shared}
coati.init("svc", config={{
    "sinks": [{{**SINK, "rotate_bytes": 5000, "per_process": not SHARED}}],
    # Nobody loses a line because a machine is slow.
    "ring": {{"overflow": "block", "block_ms": 60000}},
    "metrics": {{"max_series": 100000}},
}})
log, tracer = coati.get_logger("p"), coati.get_tracer("p")
bound = coati.counter("bound").bind(kind="bound")
bound.add(1000)
coati.histogram("before").record(1.0)
stop = threading.Event()
started = threading.Semaphore(0)
counts = [0] * 4


def busy(thread):
    with tracer.span("open over the forks", thread=thread):
        while not stop.is_set():
            if counts[thread] < 20000:
                for _ in range(5):
                    log.info("parent", thread=thread, i=counts[thread])
                    counts[thread] += 1
            if counts[thread] == 5:
                started.release()
            time.sleep(0.002)


def registers():
    n = 0
    while not stop.is_set():
        coati.counter("series").add(1, n=n)
        coati.histogram(f"instrument{{n % 500}}").record(n, n=n % 7)
        coati.get_logger(f"logger{{n % 3000}}").debug("not recorded", **{{f"name{{n % 3000}}": 1}})
        bound.add(1)
        n += 1
        if n == 100:
            started.release()
        if n % 20 == 0:
            time.sleep(0.001)


threads = [threading.Thread(target=busy, args=(n,)) for n in range(4)]
threads.append(threading.Thread(target=registers))
for thread in threads:
    thread.start()
for _ in threads:
    started.acquire()


def child(n, span):
    # The parent's span goes on there; ending it here writes nothing.
    assert coati.current_span().span_id == span.span_id
    span.set_attribute("child", n)
    span.end()
    for i in range(LINES - 1):
        log.info("child", child=n, i=i)
    with tracer.span("in the child", child=n):
        log.info("child", child=n, i=LINES - 1)
    bound.add(2)
    assert bound.value() == 2, bound.value()
    seen = {{m.name: m.value for m in coati.metrics.snapshot()}}
    assert seen == {{"bound": 2}}, seen
    assert coati.flush(60)
    books = coati.ledger()
    assert books["logs"]["recorded"] == books["logs"]["delivered"] == LINES, books
    assert books["spans"]["delivered"] == 1 and books["spans"]["open"] == 0, books


def end(n):
    how = n % 5
    if how == 0:
        return
    if how == 1:
        os._exit(7)
    if how == 2:
        raise RuntimeError("the child's own")
    if how == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    log.info("perhaps", child=n)
    os.kill(os.getpid(), signal.SIGKILL)


pids = {{}}
with tracer.span("main") as main:
    for n in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            break
        pids[pid] = n
    if pid == 0:
        child(n, main)
        if n == 10:
            # A grandchild, by return.
            grandchild = os.fork()
            if grandchild == 0:
                log.info("grandchild")
            else:
                assert os.waitpid(grandchild, 0)[1] == 0
        end(n)
    else:
        expected = [0, 7, 1, -signal.SIGTERM, -signal.SIGKILL]
        for pid, n in pids.items():
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert status == expected[n % 5], (n, status)
if pids and len(pids) == CHILDREN:
    stop.set()
    for thread in threads:
        thread.join()
    books = coati.shutdown(60)
    for signal in ("logs", "spans"):
        account = books[signal]
        assert account["recorded"] == account["delivered"], books
    print(os.getpid(), *counts, flush=True)
"""


def process_of(path: Path) -> str:
    """The process in `out.<pid>.jsonl` and its closed files; nothing for the first process."""
    part = path.name.split(".")[1]
    return part if part.isdigit() else ""


@pytest.mark.parametrize("shared", [False, True], ids=["a file for each", "one file"])
def test_every_record_of_parent_and_children_is_there_once(program: Any, shared: bool) -> None:
    source = PARENT.format(children=CHILDREN, lines=LINES, shared=shared)
    program.run(source)
    _pid, *counts = map(int, program.stdout.split())
    records = program.records()

    def times(message: str, *keys: str) -> collections.Counter[tuple[Any, ...]]:
        lines = (line for line in records if line.get("message") == message)
        return collections.Counter(tuple(line[key] for key in keys) for line in lines)

    parents = times("parent", "thread", "i")
    assert parents == {(t, i): 1 for t, count in enumerate(counts) for i in range(count)}
    children = times("child", "child", "i")
    assert children == {(n, i): 1 for n in range(CHILDREN) for i in range(LINES)}
    assert times("grandchild") == {(): 1}
    assert all(count == 1 for count in times("perhaps", "child").values())

    spans = [line for line in records if "span" in line]
    names = collections.Counter(line["span"] for line in spans)
    assert names == {"open over the forks": 4, "main": 1, "in the child": CHILDREN}
    (main,) = (line for line in spans if line["span"] == "main")
    assert "child" not in main.get("attributes", {}), "nobody else writes into a span"
    inside = [line for line in spans if line["span"] == "in the child"]
    assert {line["parent_span_id"] for line in inside} == {main["span_id"]}
    assert len({line["span_id"] for line in spans}) == len(spans)

    files = list(program.folder.glob("out*.jsonl"))
    assert len(files) > CHILDREN
    if not shared:
        by_process = collections.Counter(process_of(path) for path in files)
        assert len(by_process) == 1 + CHILDREN + 1
        # The grandchild has one line.
        assert sorted(by_process.values())[1] > 2, "all others have begun several files"


PROCESSES = """
import coati, multiprocessing, os, sys, threading, time

coati.init("svc", config={{
    "sinks": [{{**SINK, "rotate_bytes": 8192, "per_process": {per_process}}}],
    "ring": {{"overflow": "block", "block_ms": 60000}},
}})
log, tracer = coati.get_logger("p"), coati.get_tracer("p")
bound = coati.counter("bound").bind(kind="bound")


def work(number, ready):
    bound.add(3)
    assert bound.value() == 3, bound.value()
    with tracer.span("child", number=number):
        for i in range(60):
            log.info("child", number=number, i=i)
    if number == 3:
        # To be terminated: what is flushed is there.
        assert coati.flush(60)
        ready.set()
        time.sleep(600)
    if number == 4:
        raise SystemExit(4)
    if number == 5:
        raise RuntimeError("in a child")


def main():
    context = multiprocessing.get_context({method!r})
    stop, counts = threading.Event(), [0, 0]

    def busy(thread):
        while not stop.is_set() and counts[thread] < 20000:
            log.info("parent", thread=thread, i=counts[thread])
            counts[thread] += 1
            time.sleep(0.002)

    threads = [threading.Thread(target=busy, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    bound.add(100)
    ready = context.Event()
    children = [context.Process(target=work, args=(n, ready)) for n in range(6)]
    for child in children:
        child.start()
    assert ready.wait(240)
    children[3].terminate()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0, -15, 4, 1]
    stop.set()
    for thread in threads:
        thread.join()
    assert bound.value() == 100
    print(*counts, flush=True)


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("per_process", [True, False], ids=["a file for each", "one file"])
def test_children_of_multiprocessing_beside_a_busy_parent(
    program: Any, method: str, per_process: bool
) -> None:
    program.run(PROCESSES.format(method=method, per_process=per_process))
    counts = list(map(int, program.stdout.split()))
    records = program.records()
    lines = [line for line in records if "message" in line]
    seen = collections.Counter(
        (line["message"], line.get("thread", line.get("number")), line["i"]) for line in lines
    )
    expected = [("child", number, i) for number in range(6) for i in range(60)]
    expected += [("parent", thread, i) for thread in range(2) for i in range(counts[thread])]
    assert seen == dict.fromkeys(expected, 1)
    spans = collections.Counter(line["attributes"]["number"] for line in records if "span" in line)
    assert spans == dict.fromkeys(range(6), 1)
    assert len(list(program.folder.glob("out*.jsonl"))) > 6
