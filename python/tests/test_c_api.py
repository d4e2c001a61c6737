"""`coati._native._C_API`: extension modules in C and C++ record into the engine that runs here."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path
from typing import Any

import coati
import pytest
from conftest import exemplars, wait_until

NATIVE = Path(__file__).parent / "native"
REPOSITORY = Path(__file__).parents[2]
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def build(name: str, folder: Path, compiler: str, standard: str) -> Path:
    """Compiles an extension module with the compiler that Python was built with."""
    command = shlex.split(
        sysconfig.get_config_var(compiler) or {"CC": "cc", "CXX": "c++"}[compiler]
    )
    source = next(NATIVE.glob(f"{name}.*"))
    out = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    # Python's own headers answer for their warnings themselves.
    include = [f"-I{coati.get_include()}", "-isystem", sysconfig.get_path("include")]
    flags = [f"-std={standard}", "-O1", "-g", "-shared", "-fPIC", "-pthread", *WARNINGS, *include]
    done = subprocess.run(
        [command[0], *flags, str(source), "-o", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def load(path: Path) -> Any:
    """Imports an extension module from a file."""
    spec = importlib.util.spec_from_file_location(path.name.split(".")[0], path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the module in C."""
    return build("extension", tmp_path_factory.mktemp("native"), "CC", "c11")


@pytest.fixture(scope="session")
def native(built: Path) -> Any:
    """The module in C."""
    return load(built)


def test_what_c_records_belongs_to_the_span_that_is_current_in_python(
    engine: Any, native: Any
) -> None:
    tracer = coati.get_tracer("python")
    assert native.log("outside") == "ok"
    with tracer.span("request") as request:
        assert native.log("under Python") == "ok"
        native.work("step")
    assert native.log("after") == "ok"
    records = engine.records()
    lines = {line["message"]: line for line in records if "message" in line}
    spans = {line["span"]: line for line in records if "span" in line}

    assert "trace_id" not in lines["outside"]
    assert "trace_id" not in lines["after"]
    under = lines["under Python"]
    assert (under["trace_id"], under["span_id"]) == (request.trace_id, request.span_id)
    assert (under["logger"], under["level"], under["service"]) == ("native", "info", "tests")
    assert (under["answer"], under["from"]) == (42, "C")

    step = spans["step"]
    assert (step["trace_id"], step["parent_span_id"]) == (request.trace_id, request.span_id)
    assert (step["tracer"], step["attributes"]) == ("native", {"tokens": 12})
    for message in ("inside", "without the GIL"):
        line = lines[message]
        assert (line["trace_id"], line["span_id"]) == (step["trace_id"], step["span_id"])


def test_what_c_attaches_is_current_in_python(engine: Any, native: Any) -> None:
    tracer, log = coati.get_tracer("python"), coati.get_logger("python")

    def callback() -> dict[str, str]:
        log.info("called back")
        with tracer.span("deeper"):
            native.log("deepest")
        headers: dict[str, str] = {}
        coati.inject(headers)
        return headers

    with tracer.span("request") as request, coati.context(user="u1"):
        headers = native.work("step", callback)
        assert coati.current_span() is request
    records = engine.records()
    lines = {line["message"]: line for line in records if "message" in line}
    spans = {line["span"]: line for line in records if "span" in line}
    step, deeper = spans["step"], spans["deeper"]
    assert {line["trace_id"] for line in records} == {request.trace_id}
    assert step["parent_span_id"] == request.span_id
    assert deeper["parent_span_id"] == step["span_id"]
    assert lines["called back"]["span_id"] == step["span_id"]
    assert lines["called back"]["user"] == "u1"
    assert lines["deepest"]["span_id"] == deeper["span_id"]
    assert headers["traceparent"] == f"00-{request.trace_id}-{step['span_id']}-03"


def test_an_exception_passes_through_c_and_ends_what_was_current(engine: Any, native: Any) -> None:
    def fail() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        native.work("fails", fail)
    assert not coati.current_span().is_recording()
    assert coati.current_span().span_id == "0" * 16
    assert engine.span()["status"] == {"code": "error", "description": "callback"}


def test_a_thread_of_c_needs_no_python(engine: Any, native: Any) -> None:
    with coati.get_tracer("python").span("request") as request:
        assert native.thread() == "ok"
    records = engine.records()
    lines = {line["message"]: line for line in records if "message" in line}
    spans = {line["span"]: line for line in records if "span" in line}
    assert spans["starts a thread"]["parent_span_id"] == request.span_id
    assert spans["thread"]["parent_span_id"] == spans["starts a thread"]["span_id"]
    assert "trace_id" not in lines["thread, outside"]
    assert lines["thread, inside"]["span_id"] == spans["thread"]["span_id"]
    assert {span["trace_id"] for span in spans.values()} == {request.trace_id}


def test_threads_of_python_have_contexts_of_their_own(engine: Any, native: Any) -> None:
    tracer = coati.get_tracer("python")

    def work(index: int) -> None:
        for step in range(20):
            with tracer.span(f"{index}.{step}"):
                native.work(f"{index}.{step} in C")

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = {line["span"]: line for line in engine.spans()}
    assert len(spans) == 160
    for name, span in spans.items():
        if name.endswith(" in C"):
            parent = spans[name.removesuffix(" in C")]
            assert span["parent_span_id"] == parent["span_id"]
            assert span["trace_id"] == parent["trace_id"]


def test_a_scope_may_be_left_by_another_thread(engine: Any, native: Any) -> None:
    native.detach_elsewhere()
    # The interpreter does it when this thread has waited for something.
    wait_until(lambda: coati.current_span().span_id == "0" * 16)
    native.log("afterwards")
    assert "trace_id" not in engine.logs()[-1]


def test_metrics_are_the_same_instruments(engine: Any, native: Any) -> None:
    counter, histogram = coati.counter("native_calls"), coati.histogram("native_size")
    before = counter.value(part="core")
    assert native.count(3) == "ok"
    counter.add(4, part="core")
    assert counter.value(part="core") == before + 7
    assert histogram.stats(part="core").max == 3
    assert native.count(-1) == "bad argument"
    recorded, health, metrics = native.told()
    assert recorded == coati.ledger()["logs"]["recorded"]
    assert json.loads(health)["ok"] is True
    assert f'native_calls_total{{part="core"}} {before + 7}' in metrics


def test_what_c_measures_is_an_exemplar_of_the_current_span(engine: Any, native: Any) -> None:
    address = engine.start(metrics={"prometheus": "127.0.0.1:0"}).prometheus_address
    assert native.count(2) == "ok"
    assert exemplars(address, "native") == []
    with coati.get_tracer("c").span("around") as span:
        assert native.count(3) == "ok"
    ids = {"trace_id": span.trace_id, "span_id": span.span_id}
    assert exemplars(address, "native") == [(3.0, ids), (3.0, ids)]


def test_a_configuration_is_pythons_business(engine: Any, native: Any) -> None:
    assert native.init_with("") == ("ok", "")
    said, why = native.init_with('{"service": "other"}')
    assert said == "bad configuration"
    assert why == "the engine belongs to the program, which configures it"


def test_handles_outlive_engines(program: Any, built: Path) -> None:
    program.run(
        f"""
        import sys
        sys.path.insert(0, {str(built.parent)!r})
        import extension, coati
        assert extension.log("too early") == "the engine has been shut down"
        assert extension.told() is None
        for service in ("first", "second"):
            coati.init(service, config={{"sinks": [SINK]}})
            assert extension.log(service) == "ok"
            assert extension.count(1) == "ok"
            assert coati.counter("native_calls").value(part="core") == 1
            assert extension.shutdown() == "ok"
            assert extension.log("too late") == "the engine has been shut down"
        assert coati.shutdown()["logs"]["recorded"] == 1
        """
    )
    assert [(line["message"], line["service"]) for line in program.records()] == [
        ("first", "first"),
        ("second", "second"),
    ]


def test_a_forked_child_records_for_itself(program: Any, built: Path) -> None:
    program.run(
        f"""
        import os, sys
        sys.path.insert(0, {str(built.parent)!r})
        import extension, coati
        coati.init("svc", config={{"sinks": [SINK]}})
        extension.count(5)
        with coati.get_tracer("p").span("request") as span:
            extension.log("before")
            pid = os.fork()
            extension.log("child" if pid == 0 else "parent")
            extension.work("in the child" if pid == 0 else "in the parent")
        if pid == 0:
            assert extension.thread() == "ok"
            # 2 by the thread, 1 here; nothing of the parent's.
            assert extension.count(1) == "ok"
            assert coati.counter("native_calls").value(part="core") == 3
            os._exit(0 if coati.flush(60) else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert coati.counter("native_calls").value(part="core") == 5
        print(span.span_id)
        """
    )
    request = program.stdout.strip()
    records = program.records()
    lines = [line for line in records if line.get("message") in ("before", "child", "parent")]
    assert sorted(line["message"] for line in lines) == ["before", "child", "parent"]
    assert {line["span_id"] for line in lines} == {request}
    spans = {line["span"]: line for line in records if "span" in line}
    for name in ("in the child", "in the parent"):
        assert spans[name]["parent_span_id"] == request
    assert "thread" in spans


def test_the_wrapper_for_cpp_speaks_to_the_same_engine(engine: Any, tmp_path: Path) -> None:
    wrapper = load(build("wrapper", tmp_path, "CXX", "c++17"))
    with coati.get_tracer("python").span("request") as request:
        wrapper.work()
    records = engine.records()
    line = next(line for line in records if "message" in line)
    span = next(line for line in records if line.get("span") == "in C++")
    assert span["parent_span_id"] == request.span_id
    assert line["span_id"] == span["span_id"]
    assert (line["message"], line["steps"], line["model"]) == ("from C++", 4, "gpt-4o")


def test_the_table_is_in_the_order_of_its_header() -> None:
    header = Path(coati.get_include(), "coati_python.h").read_text()
    listed = [f"coati_{name}" for name in re.findall(r"\bFUNCTION\((\w+)\)", header)]
    source = (REPOSITORY / "python/src/capi.rs").read_text()
    assert re.findall(r"\b(coati_\w+) as \*const \(\)", source) == listed
    named = re.findall(r"#define (coati_\w+) \(coati_python->(\w+)\)", header)
    assert [name for name, _ in named] == listed
    assert [f"coati_{member}" for _, member in named] == listed
    exported = (REPOSITORY / "ffi/tests/exported.txt").read_text().split()
    assert sorted(listed) == sorted(exported)


def test_the_headers_are_those_of_the_repository() -> None:
    shipped = Path(coati.get_include())
    for name in ("coati.h", "coati.hpp"):
        assert (shipped / name).read_text() == (REPOSITORY / "include" / name).read_text()


def test_without_the_package_the_import_says_so(built: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(built.parent)!r})
sys.modules["coati"] = None
try:
    import extension
except ImportError as error:
    print(error)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "coati" in done.stdout


def test_what_goes_with_a_trace_goes_through_c(engine: Any, native: Any) -> None:
    sent = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=1", "baggage": "k=v"}
    headers: dict[str, str] = {}
    coati.configure(context={"baggage_fields": ["k"]})
    with coati.get_tracer("python").span("request", parent=coati.extract(sent)):
        native.work("step", lambda: coati.inject(headers))
    assert (headers["tracestate"], headers["baggage"]) == ("a=1", "k=v")
    step = next(line for line in engine.spans() if line["span"] == "step")
    assert step["trace_state"] == "a=1"
    assert step["attributes"]["k"] == "v"
