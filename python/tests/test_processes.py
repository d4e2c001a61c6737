"""Fork, multiprocessing, `os._exit`, interpreter exit: each in processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from conftest import wait_until


def test_a_fork_goes_on_in_both(program: Any) -> None:
    program.run(
        """
        import coati, os
        coati.init("svc", config={"sinks": [SINK]})
        log, tracer = coati.get_logger("p"), coati.get_tracer("p")
        counter = coati.counter("c")
        bound = counter.bind(a=1)
        bound.add(5)
        log.info("before")
        with tracer.span("over the fork") as span:
            pid = os.fork()
            log.info("both", child=pid == 0)
            with tracer.span("inside", child=pid == 0):
                pass
        if pid == 0:
            bound.add()
            assert bound.value() == 1, bound.value()
            assert coati.flush(60)
            assert coati.ledger()["logs"]["recorded"] == 1
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert bound.value() == 5
        print(span.span_id)
        """
    )
    parent = program.stdout.strip()
    records = program.records()
    both = [line for line in records if line.get("message") == "both"]
    assert sorted(line["child"] for line in both) == [False, True]
    assert {line["span_id"] for line in both} == {parent}
    assert [line["span_id"] for line in records if line.get("span") == "over the fork"] == [parent]
    inside = [line for line in records if line.get("span") == "inside"]
    assert len({line["span_id"] for line in inside}) == 2
    assert {line["parent_span_id"] for line in inside} == {parent}
    assert [line.get("message") for line in records].count("before") == 1


def test_a_fork_while_other_threads_record(program: Any) -> None:
    program.run(
        """
        import coati, os, threading
        coati.init("svc", config={"sinks": [SINK]})
        log = coati.get_logger("p")
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                log.info("busy")
                coati.ledger()

        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(20):
            pid = os.fork()
            if pid == 0:
                log.info("child", number=number)
                os._exit(0 if coati.flush(60) else 1)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        books = coati.shutdown(60)["logs"]
        assert books["recorded"] == books["delivered"] + sum(books["dropped"].values())
        """
    )
    children = [line["number"] for line in program.records() if line.get("message") == "child"]
    assert sorted(children) == list(range(20))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("early", [True, False])
def test_children_of_multiprocessing_flush_at_their_exit(
    program: Any, method: str, early: bool
) -> None:
    imports = "import multiprocessing, coati, sys" if early else "import coati, sys"
    program.run(
        f"""
        {imports}
        coati.init("svc", config={{"sinks": [{{**SINK, "per_process": True}}]}})
        log = coati.get_logger("p")

        def work(number):
            log.info("child", number=number)
            with coati.get_tracer("p").span("child"):
                pass
            if number == 2:
                sys.exit(3)

        if __name__ == "__main__":
            import multiprocessing
            context = multiprocessing.get_context({method!r})
            children = [context.Process(target=work, args=(n,)) for n in range(4)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            assert [child.exitcode for child in children] == [0, 0, 3, 0]
            log.info("parent")
        """
    )
    numbers = [line["number"] for line in program.records() if line.get("message") == "child"]
    assert sorted(numbers) == [0, 1, 2, 3]
    assert [line.get("span") for line in program.records()].count("child") == 4
    assert "parent" in program.messages()


def test_pools_and_futures(program: Any) -> None:
    program.run(
        """
        import coati, multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        coati.init("svc", config={"sinks": [SINK]})
        log = coati.get_logger("p")

        def work(number):
            log.info("work", number=number)
            return number

        if __name__ == "__main__":
            fork = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(2, mp_context=fork) as pool:
                assert list(pool.map(work, range(20))) == list(range(20))
            pool = fork.Pool(2)
            assert pool.map(work, range(20, 40)) == list(range(20, 40))
            pool.close()
            pool.join()
        """
    )
    numbers = [line["number"] for line in program.records() if line.get("message") == "work"]
    assert sorted(numbers) == list(range(40))


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "raise SystemExit"])
def test_an_exit_flushes(program: Any, end: str) -> None:
    program.run(
        f"""
        import coati, sys
        coati.init("svc", config={{"sinks": [SINK]}})
        log = coati.get_logger("p")
        for number in range(5000):
            log.info("m", number=number)
        {end}
        """
    )
    assert [line["number"] for line in program.records()] == list(range(5000))


def test_an_exit_by_exception_and_hooks(program: Any) -> None:
    program.run(
        """
        import atexit, coati, sys, threading
        log = coati.get_logger("p")
        atexit.register(lambda: log.info("registered before init"))
        coati.init("svc", config={"sinks": [SINK]})
        atexit.register(lambda: log.info("registered after init"))
        before = sys.excepthook

        def hook(kind, value, trace):
            log.critical("hook", exc_info=value)

        sys.excepthook = hook
        threading.excepthook = lambda args: log.error("thread hook", exc_info=args.exc_value)

        def fails():
            raise KeyError("in thread")

        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()

        class AtTheEnd:
            def __del__(self):
                log.info("destructor")

        kept = AtTheEnd()
        raise ValueError("at the end")
        """,
        status=1,
    )
    messages = program.messages()
    for message in ("thread hook", "hook", "registered before init", "registered after init"):
        assert message in messages
    hook = next(line for line in program.records() if line["message"] == "hook")
    assert hook["exception.type"] == "ValueError"
    assert program.stderr == ""


def test_threads_at_exit(program: Any) -> None:
    program.run(
        """
        import atexit, coati, threading
        coati.init("svc", config={"sinks": [SINK]})
        log = coati.get_logger("p")
        started = threading.Event()

        def daemon():
            while True:
                log.info("daemon", text="x" * 100)
                started.set()

        def late():
            for number in range(100):
                log.info("late", number=number)

        for _ in range(2):
            threading.Thread(target=daemon, daemon=True).start()
        threading.Thread(target=late).start()
        started.wait()
        log.info("main is done")
        """
    )
    messages = program.messages()
    assert messages.count("late") == 100
    assert "main is done" in messages


def test_daemon_threads_that_wait_for_room_do_not_stop_the_exit(program: Any) -> None:
    program.run(
        """
        import coati, threading
        coati.init("svc", config={
            "sinks": [SINK], "ring": {"bytes": 4096, "overflow": "block", "block_ms": 60000},
        })
        log = coati.get_logger("p")
        started = threading.Event()

        def daemon():
            while True:
                log.info("daemon", text="x" * 200)
                started.set()

        for _ in range(3):
            threading.Thread(target=daemon, daemon=True).start()
        started.wait()
        """
    )
    assert "daemon" in program.messages()


def test_observables_and_scrapes_at_exit(program: Any) -> None:
    program.run(
        """
        import coati, threading, urllib.request
        engine = coati.init("svc", config={
            "sinks": [SINK], "metrics": {"prometheus": "127.0.0.1:0"},
        })
        coati.observable_gauge("depth", lambda: sum(range(1000)))
        done = threading.Event()

        def scrape():
            while True:
                urllib.request.urlopen(f"http://{engine.prometheus_address}/metrics").read()
                done.set()

        threading.Thread(target=scrape, daemon=True).start()
        done.wait()
        """
    )


def test_a_killed_process_has_its_records_in_the_file_soon(program: Any) -> None:
    path = program.folder / "program.py"
    out = program.folder / "out.jsonl"
    path.write_text(
        "import coati, sys, time\n"
        f"coati.init('svc', config={{'sinks': [{{'type': 'file', 'path': {str(out)!r}}}]}})\n"
        "coati.get_logger('p').info('soon')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: out.exists() and out.read_text().endswith("\n"))
        process.send_signal(signal.SIGKILL)
    assert json.loads(out.read_text())["message"] == "soon"


def test_import_in_a_sub_interpreter_says_why(program: Any) -> None:
    program.run(
        """
        import coati
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            import _interpreters as interpreters
        code = '''
        try:
            import coati
        except ImportError as error:
            print("ImportError:", error, flush=True)
        '''
        import textwrap
        made = interpreters.create()
        run = getattr(interpreters, "run_string", None) or interpreters.exec
        run(made, textwrap.dedent(code))
        """
    )
    assert "ImportError:" in program.stdout
    assert "interpreter" in program.stdout


def test_a_flush_in_an_at_fork_handler_is_refused(program: Any) -> None:
    program.run(
        """
        import coati, os
        coati.init("svc", config={"sinks": [SINK]})
        log = coati.get_logger("p")
        said = []
        os.register_at_fork(after_in_child=lambda: said.append(coati.flush(60)))
        log.info("parent")
        pid = os.fork()
        if pid == 0:
            log.info("child")
            os._exit(0 if said == [False] and coati.flush(60) else 1)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert sorted(program.messages()) == ["child", "parent"]


def test_the_package_may_be_imported_anew(program: Any) -> None:
    program.run(
        """
        import coati, sys
        coati.init(config={"sinks": [SINK]})
        log = coati.get_logger("p")
        with coati.get_tracer("p").span("s"):
            for name in [name for name in sys.modules if name.split(".")[0] == "coati"]:
                del sys.modules[name]
            import coati as again
            assert again.get_logger("p") is log
            again.get_logger("p").info("m")
        """
    )
    log, span = program.records()
    assert log["span_id"] == span["span_id"]


def test_seeding_random_does_not_repeat_ids(program: Any) -> None:
    source = """
        import coati, random
        random.seed(1)
        coati.init(config={"sinks": [SINK]})
        print(coati.get_tracer("p").start_span("s").trace_id)
        """
    first = program.run(source).stdout
    assert first != program.run(source).stdout
