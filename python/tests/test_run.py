"""``coati run``: a program runs as under plain Python, and is recorded."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import coati
import pytest
from coati.run.table import ADAPTERS
from conftest import wait_until
from run_checks import Run, failed, overlap

RUN = [sys.executable, "-m", "coati", "run"]
SINK = '[[sinks]]\ntype = "file"\npath = "out.jsonl"\n'
Result = tuple[int, str, str]


class Both:
    """The same command under plain Python and under ``coati run``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "coati.toml").write_text(SINK)
        self.summary: list[str] = []

    def write(self, name: str, source: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))

    def call(self, start: list[str], arguments: list[str], stdin: str, **env: str) -> Result:
        done = subprocess.run(
            [*start, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
            env={**os.environ, "COATI_CONFIG_FILE": str(self.folder / "coati.toml"), **env},
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def same(self, *arguments: str, stdin: str = "", **env: str) -> Result:
        """Status, output and errors, the same for both but for the summary."""
        plain = self.call([sys.executable], list(arguments), stdin, **env)
        status, out, err = self.call([*RUN, "--"], list(arguments), stdin, **env)
        lines = err.splitlines(keepends=True)
        self.summary = [line for line in lines if line.startswith("coati: ")]
        err = "".join(line for line in lines if not line.startswith("coati: "))
        assert (status, out, err) == plain
        return plain


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit(-1)", 255),
        ("import sys; sys.exit('text')", 1),
        ("import sys; sys.exit((1, 2))", 1),
        ("raise SystemExit(True)", 1),
        ("import os; print('x', flush=True); os._exit(9)", 9),
        ("def f():\n    raise ValueError('mine')\nf()", 1),
        ("try:\n    1 / 0\nexcept Exception as e:\n    raise OSError(5, 'two') from e", 1),
        ("raise ExceptionGroup('many', [ValueError(1), OSError(2)])", 1),
        ("class Own(BaseException): pass\nraise Own", 1),
        ("def f(:\n", 1),
        ("import nowhere", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT); input()", -signal.SIGINT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM); input()", -signal.SIGTERM),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import sys; sys.excepthook = lambda *e: print('hook', e[0]); 1 / 0", 1),
        ("import atexit, sys\natexit.register(print, 'late')\nsys.exit(3)", 3),
        ("import threading as t\nt.Timer(.1, print, 'x').start()\n1 / 0", 1),
        ("import threading as t\nx = t.Thread(target=lambda: 1 / 0, name='n')\nx.start()", 0),
        ("class A:\n    def __del__(self): print('gone', __name__)\na = A()", 0),
        ("import sys; sys.stderr.close(); sys.stdout.write('x')", 0),
        ("import sys; print(sys.last_value)", 1),
        ("import os\nif os.fork(): os.wait()\nelse: raise SystemExit(4)", 0),
        (
            "import os, threading as t\nstop = t.Event()\nt.Thread(target=stop.wait).start()\n"
            "if os.fork(): os.wait(); stop.set()\nelse: os._exit(0)",
            0,
        ),
    ],
)
def test_ends(both: Both, source: str, status: int) -> None:
    both.write("app.py", source)
    found = both.same("app.py")
    # Without groups the name is unknown, and the status the same.
    assert found[0] == status
    own = {"abort", "_exit", "SIGKILL", "stderr.close"}
    if not any(name in source for name in own):
        assert both.summary[0] == (
            "coati: 0 logs recorded, 0 delivered; 0 spans recorded, 0 delivered\n"
        )


SELF = """
import sys
shown = {k: v for k, v in vars().items() if k not in {"sys", "shown"}}
shown["__builtins__"] = type(shown["__builtins__"])
shown["__loader__"] = getattr(shown["__loader__"], "__name__", 0), type(shown["__loader__"])
shown["__spec__"] = getattr(shown["__spec__"], "name", None)
print(shown, sys.argv, sys.path[:2], sys.modules["__main__"].__dict__ is globals())
print(sys.stdin.read())
"""


def test_a_program_sees_what_it_sees_under_python(both: Both) -> None:
    both.write("app.py", SELF)
    both.write("package/__init__.py", "print('package', __name__)")
    both.write("package/__main__.py", SELF)
    both.write("package/tool.py", SELF)
    (both.folder / "linked.py").symlink_to(both.folder / "package" / "tool.py")
    for arguments in (
        ["app.py"],
        ["app.py", "--", "-x", "--list"],
        ["./package/../app.py", "1"],
        [str(both.folder / "app.py")],
        ["linked.py"],
        ["package"],
        ["-m", "package", "-m"],
        ["-m", "package.tool", "x"],
        ["-mapp", "x"],
        ["-c", SELF, "-c", "x"],
    ):
        assert "'x': " not in both.same(*arguments, stdin="input")[1]
        both.same(
            *arguments, stdin="input", PYTHONSAFEPATH="1", PYTHONPATH=os.pathsep.join(sys.path)
        )
    both.same(
        "-", "a", stdin="import sys; print(sys.argv, sys.path[0], __file__, sys.stdin.read())"
    )
    assert both.same("-m", "nowhere")[0] == 1
    assert both.same("-m", "package.nowhere")[0] == 1
    both.write("empty/other.py", "")
    assert both.same("empty")[0] == 1


def test_compiled_programs_and_archives(both: Both) -> None:
    both.write("app.py", SELF)
    make = "import py_compile, zipfile; py_compile.compile('app.py', cfile='app.pyc'); "
    make += "zipfile.ZipFile('app.zip', 'w').write('app.py', '__main__.py')"
    subprocess.run([sys.executable, "-c", make], cwd=both.folder, check=True)
    assert both.same("app.pyc", "x")[0] == 0
    assert both.same("app.zip", "x")[0] == 0


@pytest.mark.parametrize(
    "source",
    [
        "import logging; logging.getLogger('x').warning('shown %d', 1); logging.info('not')",
        "import logging; logging.lastResort = None; logging.getLogger('x').info('a')\n"
        "logging.getLogger('x').warning('told once'); logging.getLogger('y').error('not again')",
    ],
)
def test_logging_without_handlers(both: Both, source: str) -> None:
    both.write("app.py", source)
    _, _, err = both.same("app.py")
    assert err.count("\n") == 1


def test_loguru_below_the_levels_of_the_programs_sinks(both: Both) -> None:
    both.write(
        "app.py",
        """
        import sys
        from loguru import logger
        logger.trace("json {'a': 1}", 5)
        logger.remove()
        logger.info("json {'a': 1}", 5)
        logger.add(sys.stdout, level="INFO", format="{message}")
        logger.debug("json {'a': 1}", 5)
        logger.opt(lazy=True).debug("{}", lambda: 1 / 0)
        logger.info("shown {}", 1)
        """,
    )
    assert both.same("app.py") == (0, "shown 1\n", "")
    assert both.summary[0].startswith("coati: 1 logs recorded")


def test_a_package_that_is_called_as_another(both: Both) -> None:
    both.write("agents/__init__.py", "")
    both.write("agents/tracing.py", "def start(): print('its own')")
    both.write("app.py", "from agents import tracing; tracing.start()")
    assert both.same("app.py") == (0, "its own\n", "")
    assert both.summary[0].startswith("coati: 0 logs recorded")
    assert not [line for line in both.summary if "openai_agents" in line]


def test_an_exception_shows_nothing_of_ours(both: Both) -> None:
    both.write("broken.py", "def f(): return 1 / 0\nf()\n")
    both.write("prometheus_client.py", "import broken\n")
    both.write("app.py", "def main():\n    import prometheus_client\nmain()\n")
    error = both.same("app.py")[2]
    assert "in f" in error
    assert "importlib" not in error
    assert "coati" not in error


def test_pickles_and_processes_find_the_program(both: Both) -> None:
    both.write(
        "app.py",
        """
        import multiprocessing, pickle, sys
        from concurrent.futures import ProcessPoolExecutor

        class Thing:
            def __init__(self, n): self.n = n

        def work(thing):
            print(__name__, sys.argv, flush=True)
            return Thing(thing.n + 1)

        if __name__ == "__main__":
            assert pickle.loads(pickle.dumps(Thing(3))).n == 3
            for method in ("fork", "spawn", "forkserver"):
                context = multiprocessing.get_context(method)
                with ProcessPoolExecutor(1, mp_context=context) as pool:
                    print(method, pool.submit(work, Thing(1)).result().n, flush=True)
                child = context.Process(target=sys.exit, args=(5,))
                child.start()
                child.join()
                print(child.exitcode, flush=True)
                child = context.Process(target=__import__("time").sleep, args=(600,))
                child.start()
                child.terminate()
                child.join()
                print(child.exitcode, flush=True)
        """,
    )
    assert both.same("app.py")[0] == 0
    assert both.same("-m", "app")[0] == 0


def test_spawned_children_are_recorded(program: Any) -> None:
    (program.folder / "coati.toml").write_text(SINK)
    (program.folder / "app.py").write_text(
        "import logging, multiprocessing, os, sys, time\n"
        "def work(ready):\n"
        "    logging.getLogger('child').warning('in %s', multiprocessing.current_process().name)\n"
        "    if ready is not None:\n"
        "        ready.set()\n"
        "        time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    for method in ('fork', 'spawn', 'forkserver'):\n"
        "        context = multiprocessing.get_context(method)\n"
        "        child = context.Process(target=work, args=(None,), name=method)\n"
        "        child.start()\n"
        "        child.join()\n"
        "        ready = context.Event()\n"
        "        child = context.Process(target=work, args=(ready,), name=method + ' ended')\n"
        "        child.start()\n"
        "        ready.wait()\n"
        "        child.terminate()\n"
        "        child.join()\n"
        "        print(child.exitcode)\n"
    )
    program.call([*RUN, "--service", "shop", "app.py"], COATI_CONFIG_FILE="coati.toml")
    assert program.stdout.split() == ["-15"] * 3
    assert program.stderr.count("logs recorded") == 1
    assert "coati: attached to logging, multiprocessing\n" in program.stderr
    methods = ("fork", "spawn", "forkserver")
    expected = [f"in {method}{end}" for method in methods for end in ("", " ended")]
    assert sorted(program.messages()) == sorted(expected)
    assert {record["service"] for record in program.records()} == {"shop"}
    for file in program.folder.glob("out*.jsonl"):
        file.unlink()
    program.call([*RUN, "--without", "multiprocessing", "--config", "coati.toml", "app.py"])
    assert sorted(program.messages()) == ["in fork", "in fork ended"]


def test_handlers_of_the_program(both: Both) -> None:
    both.write(
        "app.py",
        """
        import os, signal, sys
        def end(number, frame):
            print("got", number)
            sys.exit(6)
        for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
            signal.signal(getattr(signal, name), end)
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        signal.pause()
        """,
    )
    for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
        assert both.same("app.py", name)[0] == 6
        assert len(both.summary) > 1


def test_a_signal_from_outside_ends_it_with_its_records(both: Both) -> None:
    both.write(
        "app.py",
        """
        import logging, sys, time
        logging.getLogger("app").warning("last words")
        open("ready", "w").close()
        time.sleep(600)
        """,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        env = {**os.environ, "COATI_CONFIG_FILE": "coati.toml"}
        child = subprocess.Popen(
            [*RUN, "app.py"], cwd=both.folder, env=env, stderr=subprocess.PIPE, text=True
        )
        wait_until((both.folder / "ready").exists)
        child.send_signal(number)
        error = child.communicate(timeout=120)[1]
        assert child.returncode == -number
        assert "coati: 1 logs recorded, 1 delivered; 0 spans recorded, 0 delivered\n" in error
        assert (both.folder / "out.jsonl").read_text().count("last words") == 1
        (both.folder / "out.jsonl").unlink()
        (both.folder / "ready").unlink()


def test_an_ignored_signal_stays_ignored(both: Both) -> None:
    both.write(
        "app.py",
        """
        import os, signal
        print(signal.getsignal(signal.SIGTERM) == signal.SIG_IGN)
        os.kill(os.getpid(), signal.SIGTERM)
        """,
    )
    both.write(
        "start.py",
        """
        import os, signal, sys
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
        """,
    )
    command = [sys.executable, "start.py", "-m", "coati", "run", "--quiet", "app.py"]
    done = subprocess.run(
        command, cwd=both.folder, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "True\n"
    assert done.stderr == ""


def test_loggers_are_recorded_beside_what_the_program_does(program: Any) -> None:
    (program.folder / "coati.toml").write_text(SINK)
    (program.folder / "app.py").write_text(
        "import logging\n"
        "from loguru import logger\n"
        "logging.basicConfig(level='INFO', format='std %(message)s')\n"
        "logging.getLogger('app').info('hello %s', 'you', extra={'user': 1})\n"
        "logger.remove()\n"
        "logger.add(lambda m: print('guru', m, end=''), format='{message} {extra}')\n"
        "logger.info('there')\n"
    )
    program.call([*RUN, "--config", "coati.toml", "--service", "shop", "app.py"])
    assert program.stdout == "guru there {}\n"
    lines = program.stderr.splitlines()
    assert lines[:2] == [
        "std hello you",
        "coati: 2 logs recorded, 2 delivered; 0 spans recorded, 0 delivered",
    ]
    assert lines[2] == "coati: attached to logging, loguru"
    assert lines[3].startswith("coati: written to file ")
    first, second = program.records()
    assert (first["message"], first["user"], first["service"]) == ("hello you", 1, "shop")
    assert (second["message"], second["logger"]) == ("there", "__main__")
    program.call([*RUN, "--only", "loguru", "--quiet", "app.py"], COATI_CONFIG_FILE="coati.toml")
    assert program.stderr == "std hello you\n"
    program.call([*RUN, "--without=loguru,logging", "app.py"], COATI_CONFIG_FILE="coati.toml")
    assert program.stderr.splitlines()[1].startswith("coati: 0 logs recorded")


def test_the_program_may_start_coati_itself(program: Any) -> None:
    (program.folder / "coati.toml").write_text(SINK)
    (program.folder / "app.py").write_text(
        "import coati\n"
        "log = coati.get_logger('app')\n"
        "log.info('early')\n"
        "assert coati.init() is coati.init()\n"
        "log.info('still')\n"
        "try:\n"
        "    coati.init('own', config={'nonsense': 1})\n"
        "except coati.ConfigError as error:\n"
        "    print('nonsense' in str(error))\n"
        "log.info('again')\n"
        "sink = {'type': 'file', 'path': 'out-own.jsonl'}\n"
        "coati.init('own', config={'sinks': [sink]})\n"
        "coati.init('own', config={'sinks': [sink]})\n"
        "log.info('late')\n"
        "with coati.get_tracer('app').span('one') as span:\n"
        "    span.set_status('error', '')\n"
        "try:\n"
        "    coati.init('third')\n"
        "except coati.ConfigError as error:\n"
        "    print('another' in str(error))\n"
        "coati.shutdown()\n"
        "coati.init('third', config={'sinks': [sink]})\n"
        "log.info('last')\n"
        "with coati.get_tracer('app').span('two'), coati.get_tracer('app').span('three'):\n"
        "    pass\n"
    )
    program.call([*RUN, "--config", "coati.toml", "app.py"])
    assert program.stdout == "True\nTrue\n"
    assert program.stderr.splitlines()[:2] == [
        "coati: 5 logs recorded, 5 delivered; 3 spans recorded, 3 delivered",
        "coati: traces: 2, failed spans: 1",
    ]
    assert program.stderr.splitlines()[-1].endswith("out-own.jsonl")
    lines = [record for record in program.records() if "message" in record]
    written = {(record["message"], record["service"]) for record in lines}
    ours = {record["service"] for record in lines if record["message"] == "early"}
    assert {service for _, service in written} == {"own", "third", *ours}
    assert {message for message, _ in written} == {"early", "still", "again", "late", "last"}


def test_a_bad_configuration_is_one_line(program: Any) -> None:
    (program.folder / "app.py").write_text("print('runs')\n")
    program.call([*RUN, "app.py"], status=2, COATI_LOGS_LEVEL="loud")
    assert program.stdout == ""
    (line,) = program.stderr.splitlines()
    assert "loud" in line
    for arguments in (["--nonsense", "app.py"], ["--only", "xyz", "app.py"], ["-m"], ["--"]):
        program.call([*RUN, *arguments], status=2)
        (line,) = program.stderr.splitlines()
        assert line.startswith("coati run: ")


def test_an_adapter_that_fails_is_told(program: Any) -> None:
    (program.folder / "coati.toml").write_text(SINK)
    (program.folder / "app.py").write_text(
        "import os\n"
        "os.environ['PROMETHEUS_MULTIPROC_DIR'] = os.getcwd()\n"
        "import prometheus_client\n"
        "prometheus_client.Counter('x', 'x').inc()\n"
        "print('runs')\n"
    )
    program.call([*RUN, "app.py"], COATI_CONFIG_FILE="coati.toml")
    assert program.stdout == "runs\n"
    assert "coati: not attached to prometheus_client: RuntimeError: " in program.stderr
    (line,) = program.records()
    assert (line["level"], line["logger"]) == ("warning", "coati.run")
    assert (line["adapter"], line["exception.type"]) == ("prometheus_client", "RuntimeError")
    (program.folder / "out.jsonl").unlink()
    program.call([*RUN, "--quiet", "app.py"], COATI_CONFIG_FILE="coati.toml")
    assert program.stderr == ""
    assert program.messages() == ["an adapter failed"]


def test_what_is_not_imported_costs_nothing(program: Any) -> None:
    (program.folder / "app.py").write_text("import json, sys\nprint(json.dumps([*sys.modules]))\n")
    program.call([*RUN, "--quiet", "app.py"])
    imported = set(json.loads(program.stdout))
    assert not {row.module for row in ADAPTERS} & imported
    for name in ("logging", "asyncio", "multiprocessing", "opentelemetry", "importlib.metadata"):
        assert name not in imported


@pytest.mark.parametrize("options", [["-X", "importtime"], ["-W", "error"], ["-O"], ["-I"], ["-v"]])
def test_options_of_the_interpreter(both: Both, options: list[str]) -> None:
    both.write(
        "app.py", "import logging, sys\nassert False\nprint(sys.flags.optimize, __debug__)\n"
    )
    plain = both.call([sys.executable, *options], ["app.py"], "")
    code = "import sys; sys.path[:0] = {!r}; from coati.cli import main; sys.exit(main())"
    start = [sys.executable, *options, "-c", code.format(sys.path), "run", "--quiet"]
    status, out, err = both.call(start, ["app.py"], "")
    assert (status, out) == plain[:2]
    errors = [line for line in err.splitlines() if line.startswith(("Assertion", "coati"))]
    assert errors == [line for line in plain[2].splitlines() if line.startswith("Assertion")]


TRACED = """
import json, logging, sys
from opentelemetry import metrics, trace
exporter = None
if sys.argv[1:]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    assert trace.get_tracer_provider() is provider
tracer = trace.get_tracer("app", "1.0")
with tracer.start_as_current_span("outer", attributes={"a": 1}) as outer:
    logging.warning("in outer")
    with tracer.start_as_current_span("inner", kind=trace.SpanKind.CLIENT) as span:
        span.add_event("tick", {"n": 2})
        metrics.get_meter("app").create_counter("ticks").add(3)
    try:
        with tracer.start_as_current_span("broken"):
            raise KeyError("x")
    except KeyError:
        pass
ids = f"{outer.get_span_context().trace_id:032x} {outer.get_span_context().span_id:016x}"
print(ids, len(exporter.get_finished_spans()) if exporter else None)
"""


@pytest.mark.parametrize("own", [[], ["own provider"]])
def test_opentelemetry_with_and_without_a_provider_of_the_programs(
    tmp_path: Path, own: list[str]
) -> None:
    source = tmp_path / "app.py"
    source.write_text(TRACED)
    run = Run(tmp_path, source, *own)
    assert "Overriding" not in run.stderr
    root = run.root()
    assert run.tree() == "outer\nouter > broken\nouter > inner"
    assert run.stdout.split() == [root["trace_id"], root["span_id"], "3" if own else "None"]
    assert root["attributes"] == {"a": 1}
    assert root["tracer"] == "app"
    inner = run.one("inner")
    assert inner["kind"] == "client"
    assert [(e["name"], e["attributes"]) for e in inner["events"]] == [("tick", {"n": 2})]
    assert failed(run.one("broken")) == "KeyError"
    assert run.logged_in("in outer") == root
    assert run.summary[2] == "attached to logging, opentelemetry"


EARLY = """
import sys
from opentelemetry import _logs, metrics, trace

provider = trace.get_tracer_provider()
tracer, unused = trace.get_tracer("lib", "1"), trace.get_tracer("unused")
meter, used = metrics.get_meter("lib", "1"), "used" in sys.argv
counter, histogram = meter.create_counter("runs"), meter.create_histogram("took")
asked = []
meter.create_observable_gauge("level", [lambda _: asked.append(1) or [metrics.Observation(4)]])
loggers = [_logs.get_logger("lib", "1"), _logs.get_logger("lib", "1", attributes={"a": 1})]
if used:
    with tracer.start_as_current_span("before"):
        counter.add(100)
        for logger in loggers:
            logger.emit(_logs.LogRecord(body="before"))

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, reader, lines = InMemorySpanExporter(), InMemoryMetricReader(), InMemoryLogRecordExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
metrics.set_meter_provider(MeterProvider([reader]))
_logs.set_logger_provider(LoggerProvider())
_logs.get_logger_provider().add_log_record_processor(SimpleLogRecordProcessor(lines))
link = trace.Link(trace.SpanContext(1, 2, True))
with tracer.start_as_current_span("early", kind=trace.SpanKind.CLIENT, links=[link]) as span:
    with trace.get_tracer("app").start_as_current_span("late"):
        tracer.start_span("alone", attributes={"a": 1}, start_time=5).end(9)
    try:
        with tracer.start_as_current_span("broken"):
            raise KeyError("x")
    except KeyError:
        pass
    for logger in loggers:
        logger.emit(_logs.LogRecord(body="early"))
    _logs.get_logger("app").emit(_logs.LogRecord(body="late"))
@tracer.start_as_current_span("decorated")
def decorated():
    counter.add(2, {"a": "b"})
decorated()
provider.get_tracer("kept").start_span("by the kept provider").end()
histogram.record(2.5)
meter.create_up_down_counter("afterwards").add(3)
metrics.get_meter("app").create_counter("late").add(1)
names = {s.context.span_id: s.name for s in spans.get_finished_spans()}
for s in spans.get_finished_spans():
    scope = s.instrumentation_scope
    print(s.name, s.parent and names[s.parent.span_id], s.kind, dict(s.attributes), len(s.links))
    print(scope.name, scope.version, s.status.status_code, [e.name for e in s.events])
for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics:
    for metric in scope.metrics:
        for point in metric.data.data_points:
            value = getattr(point, "value", None) or point.sum
            print(scope.scope.name, scope.scope.version, metric.name, dict(point.attributes), value)
for line in lines.get_finished_logs():
    scope, record = line.instrumentation_scope, line.log_record
    print(scope.name, scope.version, dict(scope.attributes or {}), record.body)
    print(names.get(record.span_id))
print(len(asked))
"""


@pytest.mark.parametrize("used", [[], ["used"]])
def test_what_was_asked_for_before_the_programs_providers_follows_them(
    both: Both, used: list[str]
) -> None:
    both.write("app.py", EARLY)
    _, out, _ = both.same("app.py", *used)
    for line in ("early None SpanKind.CLIENT {} 1", "lib 1 runs {'a': 'b'} 2", "lib 1 {} early"):
        assert line in out.splitlines()
    records = [json.loads(line) for line in (both.folder / "out.jsonl").read_text().splitlines()]
    spans = [record["span"] for record in records if "span" in record]
    assert {"early", "late", "alone", "broken", "decorated"} <= set(spans)
    assert len(spans) == len(set(spans))
    assert ("before" in spans) == bool(used)


def test_every_adapter_is_in_the_table() -> None:
    modules = [name for _, name, _ in pkgutil.iter_modules(coati.__path__)]
    sources = {name: importlib.util.find_spec(f"coati.{name}") for name in modules}
    adapters = set()
    for name, spec in sources.items():
        if name.startswith("_") or spec is None or not str(spec.origin).endswith(".py"):
            continue
        text = Path(str(spec.origin)).read_text(encoding="utf-8")
        exported = re.search(r"^__all__ = \[(.*?)\]", text, re.DOTALL | re.MULTILINE)
        if exported and {'"install"', '"uninstall"'} <= set(re.split(r"[,\s]+", exported[1])):
            adapters.add(f"coati.{name}")
    assert "coati.logging" in adapters
    assert adapters == {row.module for row in ADAPTERS} - {
        "coati.run.children",
        "coati.compat.kaizen",
        "coati.compat.langswarm",
    }


def test_list(program: Any) -> None:
    program.call([*RUN, "--list", "--only", "logging,prometheus-client"])
    lines = program.stdout.splitlines()
    assert lines[0] == "logging: standard library, attached by coati.logging when imported"
    assert lines[1].startswith("prometheus_client: ")
    assert len(lines) == 2


def test_checks_of_runs_see_what_is_wrong(tmp_path: Path) -> None:
    source = tmp_path / "app.py"
    source.write_text(
        "import coati, logging, sys, time\n"
        "tracer = coati.get_tracer('app')\n"
        "with tracer.span('turn') as turn:\n"
        "    with tracer.span('chat', **{'gen_ai.operation.name': 'chat'}) as chat:\n"
        "        chat.set_attribute('gen_ai.usage.input_tokens', 3)\n"
        "        logging.warning('inside')\n"
        "    try:\n"
        "        with tracer.span('tool'):\n"
        "            raise KeyError('x')\n"
        "    except KeyError:\n"
        "        pass\n"
        "if sys.argv[1:]:\n"
        "    span = tracer.start_span('more', parent=turn if 'late' in sys.argv else None)\n"
        "    time.sleep(0.01)\n"
        "    span.end()\n"
    )
    run = Run(tmp_path, source)
    assert run.root()["span"] == "turn"
    assert run.children(run.root()) == ["chat", "tool"]
    assert run.tree() == "turn\nturn > chat\nturn > tool"
    assert run.logged_in("inside") == run.one("chat")
    assert run.tokens() == (3, 0)
    assert failed(run.one("tool")) == "KeyError"
    assert not overlap(run.one("chat"), run.one("tool"))
    for more in ("late", "apart"):
        (tmp_path / "out.jsonl").unlink()
        with pytest.raises(AssertionError):
            Run(tmp_path, source, more).root()
