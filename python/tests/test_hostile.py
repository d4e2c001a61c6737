"""Values and names that nobody means well with: no exception, no crash, nothing hidden."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import coati
import pytest
from prometheus_client.parser import text_string_to_metric_families

log = coati.get_logger("hostile")
tracer = coati.get_tracer("hostile")

HUGE = 100_000_000
LIMIT = 16384


class Raises:
    def __str__(self) -> str:
        raise ValueError("no text")


class Recurses:
    def __str__(self) -> str:
        return str(self)


class NoText:
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


class NoAttributes:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Lies:
    """Says that it is of a class of which it is not."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no class")


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError

    def __hash__(self) -> int:
        raise ValueError

    def __eq__(self, other: object) -> bool:
        raise ValueError


class Number(int):
    def __index__(self) -> int:
        raise ValueError

    def __abs__(self) -> int:
        raise ValueError

    def __lt__(self, other: object) -> bool:
        raise ValueError


class Fraction(float):
    def __float__(self) -> float:
        raise ValueError


class Table(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise ValueError

    def __iter__(self) -> Iterator[Any]:
        raise ValueError


class Row(list):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[Any]:
        raise ValueError

    def __len__(self) -> int:
        raise ValueError


def cycle() -> list[Any]:
    made: list[Any] = [1]
    made.append({"again": made})
    return made


HOSTILE: dict[str, Callable[[], Any]] = {
    "raises": Raises,
    "recurses": Recurses,
    "no text": NoText,
    "no attributes": NoAttributes,
    "lies": Lies,
    "a class": lambda: Raises,
    "str": lambda: Text("subclass"),
    "int": lambda: Number(7),
    "big int": lambda: Number(-(10**30)),
    "float": lambda: Fraction(1.5),
    "dict": lambda: Table(a=1),
    "list": lambda: Row([1, 2]),
    "digits": lambda: -(10**10_000) + 1,
    "too many digits": lambda: 10**100_000,
    "cycle": cycle,
    "keys": lambda: {1: "a", "1": "b", None: 2, (1, Raises()): 3, Raises(): 4, b"x": 5},
    "surrogates": lambda: "\ud800 \udfff \ud83d\ude00",
    "surrogate keys": lambda: {"\ud800": 1, "\udfff": 2},  # noqa: F601
    "nul": lambda: "a\0b",
    "controls": lambda: "".join(map(chr, range(32))) + "\x7f\u2028\u2029\ufeff",
    "memoryview": lambda: memoryview(b"abc"),
    "generator": lambda: (number for number in range(3)),
    "module": lambda: json,
    "nested": lambda: {"a": [{"b": (Raises(), {"c": {1, 2}})}]},
    "values": lambda: list(range(200_000)),
}


def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object none of whose keys stand there twice."""
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_anywhere(engine: Any, name: str, tmp_path: Any) -> None:
    path = tmp_path / "out.jsonl"
    engine.start(sinks=[{"type": "file", "path": str(path)}], logs={"level": "debug"})
    make = HOSTILE[name]
    log.info(make())
    log.info("field", value=make(), after=1)
    log.bind(value=make()).info("bound", after=1)
    with coati.context(value=make()):
        log.info("context", after=1)
    with tracer.span("span", value=make(), attributes={"more": make()}) as span:
        span.set_attribute("set", make())
        span.set_attributes({"many": make()})
        span.add_event("event", value=make())
        span.set_status("error", "why")
    counter = coati.counter("hostile_counter")
    before = counter.value(value="other")
    counter.add(1, value=make())
    counter.add(1, value="other")
    assert counter.value(value="other") == before + 1
    coati.gauge("hostile_gauge").set(make())
    counter.add(make(), value="amount")
    coati.histogram("hostile_histogram").record(make())
    try:
        raise KeyError(make())
    except KeyError:
        log.exception("exception")
    assert coati.flush(60)
    lines = path.read_text().split("\n")[:-1]
    records = [json.loads(line, object_pairs_hook=no_repeats, parse_int=str) for line in lines]
    messages = [record["message"] for record in records if "message" in record]
    assert messages[1:] == ["field", "bound", "context", "exception"]
    assert [record["after"] for record in records if "after" in record] == ["1"] * 3
    (span_line,) = (record for record in records if "span" in record)
    kept = span_line["attributes"]
    assert len(kept) + int(span_line.get("dropped_attributes", 0)) == 4
    assert kept.keys() == {"value", "more", "set", "many"} or name == "values"
    assert list(text_string_to_metric_families(coati.metrics.prometheus_text()))
    books = coati.ledger()
    assert books["logs"]["recorded"] == books["logs"]["delivered"] == 5
    assert coati.health()["ok"]


NAMES = ["", "\0", "lone \ud800", "new\nline", '"quoted\\"', "é" * 300, "x" * 100_000, "\ufeff"]


@pytest.mark.parametrize("name", NAMES, ids=[str(number) for number in range(len(NAMES))])
def test_a_hostile_name_anywhere(engine: Any, name: str) -> None:
    logger = coati.get_logger(name)
    logger.info(name, **{name: 1})
    logger.bind(**{name: 2}).info("bound")
    with coati.context(**{name: 3}):
        log.info("context")
    with coati.get_tracer(name).span(name, **{name: 4}) as span:
        span.set_attribute(name, 5)
        span.add_event(name, {name: 6})
        span.set_status("error", name)
        span.update_name(name)
    metric = f"hostile_names_{NAMES.index(name)}"
    coati.counter(metric, unit=name, description=name).add(1, **{name: name})
    coati.gauge("hostile_labels").set(1, **{name: name})
    for metric_name in (name, f"a{name}"):
        with contextlib.suppress(coati.MetricError):
            coati.counter(metric_name)
    assert not coati.current_span().is_recording()
    coati.inject({name: name})
    coati.extract({name: name})
    lines, spans = [], []
    for record in engine.records():
        (spans if "span" in record else lines).append(record)
    shown = name.replace("\ud800", "\ufffd")
    logger_name = shown.encode()[:256].decode(errors="ignore")
    assert [line["logger"] for line in lines] == [logger_name, logger_name, "hostile"]
    assert spans[0]["tracer"] == logger_name
    assert [line["message"][:300] for line in lines] == [shown[:300], "bound", "context"]
    key = shown if len(shown) <= LIMIT else shown[:LIMIT]
    assert [line[key] for line in lines] == [1, 2, 3]
    assert spans[0]["attributes"] == {key: 5}
    assert list(text_string_to_metric_families(coati.metrics.prometheus_text()))


@pytest.mark.parametrize(
    ("character", "width"), [("x", 1), ("é", 2), ("語", 3), ("😀", 4)], ids=["1", "2", "3", "4"]
)
def test_a_string_of_a_hundred_megabytes_is_cut_and_says_so(
    engine: Any, character: str, width: int
) -> None:
    text = character * (HUGE // width)
    size = HUGE // width * width
    kept = character * (LIMIT // width)
    cut = f"{kept}…[+{size - len(kept) * width} bytes]"

    class Long:
        def __str__(self) -> str:
            return text

    log.info(text, value=text)
    log.info("m", value=text, beside=[1], printed=Long(), nested=[text, {"a": text}])
    log.bind(value=text).info("bound")
    with tracer.span(text, value=text) as span:
        span.add_event(text, value=text)
        span.set_status("error", text)
    bound = coati.counter("long").bind(value=text)
    bound.add(2)
    coati.counter("long").add(1, value=text)
    assert bound.value() == 3
    first, second, third, spanned = engine.records()
    assert first["message"] == first["value"] == cut
    assert second["value"] == second["printed"] == third["value"] == cut
    assert second["nested"] == [cut, {"a": cut}]
    assert spanned["attributes"]["value"] == cut
    assert len(spanned["span"].encode()) <= LIMIT
    (family,) = (f for f in coati.metrics.snapshot() if f.name == "long")
    assert family.labels["value"].endswith(" bytes]")
    assert len(family.labels["value"].encode()) < 5000


def test_a_long_string_with_a_lone_surrogate(engine: Any) -> None:
    log.info("m", value="x" * 1_000_000 + "\ud800")
    value = engine.log()["value"]
    assert value.startswith("x" * LIMIT + "…[+")


def test_memory_that_cannot_be_had(program: Any) -> None:
    """Long texts are not copied, and where memory ends the program goes on."""
    program.run(
        """
        import coati, resource
        text, wide = "x" * 200_000_000, "é" * 100_000_000
        coati.init("svc", config={"sinks": [SINK]})
        log, tracer = coati.get_logger("p"), coati.get_tracer("p")
        log.info("first", a=[1])
        counter = coati.counter("c")

        class Long:
            def __init__(self, text): self.text = text
            def __str__(self): return self.text

        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + 60_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for value in (text, wide):
            log.info(value)
            log.info("m", value=value)
            log.info("m", value=[value, {value: value}], other=Long(value))
            log.info("m", value=Long(value))
            log.info(Long(value), b=[1])
            log.bind(a=value).info("bound")
            with tracer.span("s", a=value, b=[value]) as span:
                span.set_attribute("c", Long(value))
                span.add_event("e", value=[value])
            counter.add(1, label=value)
            counter.add(1, label=Long(value))
        log.info("last")
        assert coati.flush(60)
        assert coati.ledger()["logs"]["delivered"] == 14
        """,
    )
    messages = program.messages()
    assert (messages[0], messages[-1], len(messages)) == ("first", "last", 14)
    assert messages[1].endswith(f"…[+{200_000_000 - LIMIT} bytes]")


def test_ten_thousand_fields(engine: Any) -> None:
    fields = {f"field{number}": number for number in range(10_000)}
    log.info("m", **fields)
    log.info("converted", **fields, last=[1])
    log.bind(**fields).info("bound", more=1)
    with coati.context(**fields):
        log.info("context", more=1)
    with tracer.span("s", attributes=fields, **{f"a{key}": 1 for key in fields}) as span:
        span.set_attributes(fields)
        span.add_event("e", fields)
    counter = coati.counter("fields")
    counter.add(1, **fields)
    counter.bind(**fields).add(1)
    assert counter.value(**fields) == 2
    *lines, spanned = engine.records()
    kept = {f"field{number}": number for number in range(128)}
    dropped = [10_000 - 128, 10_001 - 128, 10_001 - 128, 10_001 - 128]
    for line, count in zip(lines, dropped, strict=True):
        assert {key: value for key, value in line.items() if key.startswith("field")} == kept
        assert line["dropped_fields"] == count
    assert len(spanned["attributes"]) == 128
    assert spanned["dropped_attributes"] == 20_000 - 128 + 10_000 - 128
    assert len(spanned["events"][0]["attributes"]) == 128
    (sample,) = (m for m in coati.metrics.snapshot() if m.name == "fields")
    assert len(sample.labels) == 128


def test_keys_of_a_line_never_repeat(engine: Any, tmp_path: Any) -> None:
    path = tmp_path / "out.jsonl"
    engine.start(sinks=[{"type": "file", "path": str(path)}])
    names = ["message", "field.message", "dropped_fields", "\ud800", "\udfff", "span", "trace_id"]
    fields = {name: number for number, name in enumerate(names)}
    log.info("m", **fields)
    log.info("m", **fields, converted=[1])
    log.bind(**fields).info("m", **fields)
    log.info("m", **{f"x{number}": number for number in range(130)}, **fields)
    assert coati.flush(60)
    for text in path.read_text().splitlines()[:3]:
        line = json.loads(text, object_pairs_hook=no_repeats)
        assert (line["message"], line["field.message"], line["field.field.message"]) == ("m", 0, 1)
        assert (line["field.dropped_fields"], line["\ufffd"]) == (2, 4)
    line = json.loads(path.read_text().splitlines()[3], object_pairs_hook=no_repeats)
    assert line["dropped_fields"] == 9


def test_a_value_that_takes_a_lock_another_logging_thread_holds(engine: Any) -> None:
    engine.start(ring={"bytes": 4096, "overflow": "block", "block_ms": 60_000})
    lock = threading.Lock()
    rounds = 200
    inside = threading.Semaphore(0)

    class Locks:
        def __str__(self) -> str:
            inside.release()
            with lock:
                return "unlocked"

    def holds() -> None:
        for number in range(rounds):
            with lock:
                log.info("held", number=number, text="x" * 200)
            inside.acquire()

    thread = threading.Thread(target=holds)
    thread.start()
    for number in range(rounds):
        log.info("locks", number=number, value=Locks())
    thread.join()
    lines = engine.logs()
    assert [line["value"] for line in lines if line["message"] == "locks"] == ["unlocked"] * rounds
    assert sum(line["message"] == "held" for line in lines) == rounds


def test_labels_from_f_strings_that_reuse_addresses(engine: Any) -> None:
    engine.start(metrics={"max_series": 20_000})
    counter, histogram = coati.counter("reused"), coati.histogram("reused_histogram")
    odd = ['"', "\\", "\n", '\\"', "\\n", "}", "{", ",", "=", " ", "", "é", "\t", "\r", "\0"]
    rounds, threads = 3000, 4

    def adds() -> None:
        for number in range(rounds):
            for mark in (odd[number % len(odd)], ""):
                counter.add(1, label=f"{mark}{number % 100}{mark}", other=f"x{number % 3}")
                histogram.record(number, label=f"a{number % 100}{mark}")
            if number % 500 == 0:
                gc.collect()

    workers = [threading.Thread(target=adds) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    expected: dict[tuple[str, str], int] = {}
    for number in range(rounds):
        for mark in (odd[number % len(odd)], ""):
            key = (f"{mark}{number % 100}{mark}", f"x{number % 3}")
            expected[key] = expected.get(key, 0) + threads
    shown = {}
    for family in text_string_to_metric_families(coati.metrics.prometheus_text()):
        if family.name == "reused":
            for sample in family.samples:
                shown[sample.labels["label"], sample.labels["other"]] = sample.value
    assert shown == expected
    for (label, other), count in expected.items():
        assert counter.value(label=f"{label}", other=f"{other}") == count


class BadMapping(Mapping[str, Any]):
    def __init__(self, fails: str) -> None:
        self.fails = fails

    def __getitem__(self, key: str) -> Any:
        if self.fails == "getitem":
            raise ValueError
        return 1

    def __iter__(self) -> Iterator[str]:
        if self.fails == "iter":
            raise ValueError
        yield "first"
        if self.fails == "later":
            raise ValueError

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize("fails", ["getitem", "iter", "later"])
def test_mappings_that_fail(engine: Any, fails: str) -> None:
    with tracer.span("s", attributes=BadMapping(fails)) as span:
        span.set_attributes(BadMapping(fails))
        span.add_event("e", BadMapping(fails))
        span.add_link(span, BadMapping(fails))
    coati.extract(BadMapping(fails))
    attributes = engine.span()["attributes"]
    assert attributes["…"] == "<unprintable BadMapping>"
    assert attributes.get("first") == (1 if fails == "later" else None)


def raise_inside(error: Exception) -> None:
    with tracer.span("s"):
        try:
            raise error
        except Exception:
            log.exception("caught")
            raise


def test_exceptions_that_fail_to_say_what_they_are(engine: Any) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError

        @property
        def __traceback__(self) -> Any:  # type: ignore[override]
            raise RuntimeError

        @property
        def __cause__(self) -> Any:  # type: ignore[override]
            raise RuntimeError

    class Endless(Exception):
        pass

    endless = Endless("x" * 10_000_000)
    endless.__cause__ = endless
    for error in (Silent(), endless, KeyError("\ud800")):
        with pytest.raises(type(error)):
            raise_inside(error)
        log.error("passed", exc_info=error)
        log.error("passed", exc_info=(type(error), error, None))
    kinds = [line["exception.type"].rpartition(".")[2] for line in engine.logs()]
    assert kinds == ["Silent"] * 3 + ["Endless"] * 3 + ["KeyError"] * 3


def test_at_the_end_of_the_stack(engine: Any) -> None:
    """Wherever a deep call stands, logging there adds no exception of its own."""
    recorded = 0

    def deeper(depth: int) -> None:
        nonlocal recorded
        log.info("deep", depth=depth, value=[depth])
        recorded += 1
        deeper(depth + 1)

    with pytest.raises(RecursionError):
        deeper(0)
    try:
        deeper(0)
    except RecursionError:
        log.exception("too deep")
    depths = [line for line in engine.logs() if line["message"] == "deep"]
    assert len(depths) in (recorded, recorded + 1, recorded + 2)


def test_amounts_that_are_no_numbers(engine: Any) -> None:
    counter, histogram = coati.counter("amounts"), coati.histogram("amounts_histogram")
    before = coati.health()["ignored"]
    for amount in (None, "1", [], float("nan"), -1, float("inf"), 10**400, Raises(), object()):
        counter.add(amount)  # type: ignore[arg-type]
        histogram.record(amount)  # type: ignore[arg-type]
    assert counter.value() == 0
    assert coati.health()["ignored"] == before + 9 + 8
    assert histogram.stats().count == 1


def test_more_instruments_than_there_is_room_for(engine: Any) -> None:
    engine.start(metrics={"max_instruments": 5})
    counters = [coati.counter(f"many_counters_{number}") for number in range(20)]
    for counter in counters:
        counter.add(1)
        counter.add(1, label="x")
        counter.bind(a=1).add(1)
    coati.histogram("many_histogram").record(1)
    with coati.histogram("many_histogram").time():
        pass
    coati.gauge("many_gauge").set(1)
    assert coati.histogram("many_histogram").stats().count == 0
    assert counters[-1].value() == 0
    health = coati.health()
    (problem,) = health["problems"]
    assert problem["component"] == "instruments"
    assert "metrics.max_instruments" in problem["reason"]
    names = {metric.name for metric in coati.metrics.snapshot()}
    assert names == {f"many_counters_{number}" for number in range(5)}
    assert health["ignored"] == 15 * 3 + 2 + 1
