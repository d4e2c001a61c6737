"""Disks, directories, descriptors and clocks that fail: no exception in the caller, every loss
counted and named, and normal again when the cause is gone.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMMON = """
import coati, errno, json, os, resource, shutil, sys, threading, time
from pathlib import Path

FOLDER = Path({folder!r})
OUT = FOLDER / "out.jsonl"
log = coati.get_logger("p")


def start(**sink):
    coati.init("svc", config={{
        "sinks": [{{"type": "file", "path": str(OUT), **sink}}],
        "ring": {{"overflow": "block", "block_ms": 60000}},
    }})


def say(message, count, text="x" * 100):
    for number in range(count):
        log.info(message, number=number, text=text)
    assert coati.flush(120)


def books():
    account = coati.ledger()["logs"]
    account["lost"] = sum(account["dropped"].values())
    assert account["recorded"] == account["delivered"] + account["lost"], account
    assert account["in_flight"] == 0
    assert set(account["dropped"]) <= {{"sink"}}, account
    (sink,) = coati.health()["sinks"]
    assert (sink["delivered"], sink["lost"]) == (account["delivered"], account["lost"])
    return account


def problem(component, reason):
    health = coati.health()
    assert not health["ok"]
    told = [one for one in health["problems"] if one["component"] == component]
    assert len(told) == 1 and reason in told[0]["reason"], health
    return told[0]


def healthy(message="well again"):
    # A problem is solved by the next batch that succeeds.
    before = books()
    say(message, 30)
    after = books()
    assert after["delivered"] == before["delivered"] + 30, (before, after)
    # What a thread that looks after closed files has to tell comes when it comes.
    deadline = time.monotonic() + 120
    while not coati.health()["ok"]:
        assert time.monotonic() < deadline, coati.health()
        say("settling", 1)
"""


class Faulty:
    """A folder with a program that breaks its own surroundings, and what it has written."""

    def __init__(self, program: Any, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.settled = 0

    def run(self, source: str, **env: str) -> list[dict[str, Any]]:
        """All whole lines, oldest first; each has to be valid."""
        common = COMMON.format(folder=str(self.folder))
        self.program.run(common + "\n" + source, **env)
        # A process may end while a closed file is being compressed: it is whole, in one form.
        closed = {path.name.partition(".jsonl")[0] for path in self.folder.glob("out.*.jsonl*")}
        names = [f"{name}.jsonl" for name in sorted(closed)] + ["out.jsonl"]
        read = [line for name in names for line in lines(self.folder / name)]
        kept = [line for line in read if line.get("message") != "settling"]
        self.settled = len(read) - len(kept)
        return kept


def lines(path: Path) -> list[dict[str, Any]]:
    if path.exists():
        text = path.read_bytes()
    else:
        packed = path.with_name(path.name + ".gz")
        text = gzip.decompress(packed.read_bytes()) if packed.exists() else b""
    assert not text or text.endswith(b"\n")
    return [json.loads(line) for line in text.decode().split("\n")[:-1] if line]


@pytest.fixture
def faulty(program: Any, tmp_path: Path) -> Faulty:
    folder = tmp_path / "folder"
    folder.mkdir()
    return Faulty(program, folder)


@pytest.fixture
def small_disk(program: Any, tmp_path: Path) -> Iterator[Faulty]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "coati-test", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Faulty(program, folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


FILL = """
filler = FOLDER / "filler"


def fill():
    with open(filler, "wb", buffering=0) as file:
        for size in (4096, 1):
            while True:
                try:
                    file.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    break
"""


@pytest.mark.parametrize("rotating", [False, True], ids=["one file", "rotating"])
def test_a_full_disk(small_disk: Faulty, rotating: bool) -> None:
    sink = '**{"rotate_bytes": 20000, "gzip": True}' if rotating else ""
    records = small_disk.run(
        FILL
        + f"""
start({sink})
say("before", 30)
for round in range(3):
    fill()
    kept = books()
    say("on a full disk", 1000)
    # A few lines may still fit behind those that did not.
    while coati.health()["ok"]:
        say("on a full disk", 1)
    lost = books()
    assert lost["lost"] > kept["lost"]
    told = problem(f"file {{OUT}}", "No space left on device")
    assert told["lost"] > 0

    os.unlink(filler)
    healthy()
final = books()
coati.shutdown(60)
print(final["delivered"])
""",
    )
    messages = [record["message"] for record in records]
    assert len(messages) + small_disk.settled == int(small_disk.program.stdout)
    assert (messages.count("before"), messages.count("well again")) == (30, 90)


def test_rings_in_files_on_a_full_disk(small_disk: Faulty) -> None:
    records = small_disk.run(
        FILL
        + """
fill()
coati.init("svc", config={
    "durability": "crash", "durability_dir": str(FOLDER / "rings"),
    "sinks": [{"type": "file", "path": str(OUT)}],
})
log.info("in memory")
assert coati.flush(60)
problem("durability", "No space left on device")
os.unlink(filler)
threads = [threading.Thread(target=log.info, args=(f"thread {n}",)) for n in range(3)]
for thread in threads:
    thread.start()
    thread.join()
assert coati.flush(60)
"""
    )
    assert [record["message"] for record in records][-3:] == [f"thread {n}" for n in range(3)]


WITHOUT_PRIVILEGE = """
def give_up_privilege():
    # Root may write anywhere; what it is allowed for that is put down, for this thread and those
    # it starts.
    if os.getuid() == 0:
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        data = (ctypes.c_uint32 * 6)()
        assert libc.capget(header, data) == 0
        data[0] &= ~0b110
        assert libc.capset(header, data) == 0
    try:
        (FOLDER / "closed").mkdir(mode=0o500)
        (FOLDER / "closed" / "file").touch()
    except PermissionError:
        (FOLDER / "closed").rmdir()
        return
    raise AssertionError("a closed directory can still be written to")
"""


def test_an_unwritable_directory(faulty: Faulty) -> None:
    records = faulty.run(
        WITHOUT_PRIVILEGE
        + """
give_up_privilege()
FOLDER.chmod(0o555)
start(rotate_bytes=3000)
say("unwritable", 50)
assert books()["lost"] == 50
problem(f"file {OUT}", "Permission denied")
FOLDER.chmod(0o755)
healthy()

# The file is open, and only beginning another one fails: nothing is lost.
FOLDER.chmod(0o555)
say("cannot rotate", 100)
assert books()["lost"] == 50
problem(f"file {OUT}", "cannot rotate")
FOLDER.chmod(0o755)
healthy()
assert books()["lost"] == 50
"""
    )
    messages = [record["message"] for record in records]
    assert messages == ["well again"] * 30 + ["cannot rotate"] * 100 + ["well again"] * 30


def test_something_else_stands_in_the_way(faulty: Faulty) -> None:
    records = faulty.run(
        """
OUT.mkdir()
start()
say("a directory is there", 20)
problem(f"file {OUT}", "Is a directory")
OUT.rmdir()
healthy()

shutil.rmtree(FOLDER)
FOLDER.touch()
say("a file is there", 20)
told = problem(f"file {OUT}", "Not a directory")
assert told["lost"] == 20
FOLDER.unlink()
healthy("in a new directory")
assert books()["lost"] == 40
"""
    )
    assert [record["message"] for record in records] == ["in a new directory"] * 30


def test_a_directory_removed_while_threads_record(faulty: Faulty) -> None:
    records = faulty.run(
        """
start(rotate_bytes=5000, gzip=True)
stop = threading.Event()
counts = [0] * 3


def busy(thread):
    while not stop.is_set():
        log.info("busy", thread=thread, number=counts[thread])
        counts[thread] += 1
        time.sleep(0.0005)


threads = [threading.Thread(target=busy, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()


def remove():
    while FOLDER.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)


for round in range(10):
    say("in between", 20)
    remove()
stop.set()
for thread in threads:
    thread.join()
assert coati.flush(60)
remove()
say("after", 200)
account = books()
assert account["recorded"] == sum(counts) + 10 * 20 + 200
# Rotation and compression may have met what was being removed; a line is lost with its directory
# and not on its way there.
healthy()
coati.shutdown(60)
"""
    )
    assert [record["message"] for record in records] == ["after"] * 200 + ["well again"] * 30


def test_a_working_directory_that_is_gone(faulty: Faulty) -> None:
    faulty.program.run(
        COMMON.format(folder=str(faulty.folder))
        + """
gone = FOLDER / "gone"
gone.mkdir()
os.chdir(gone)
gone.rmdir()
OUT = Path("relative.jsonl")
start()
say("nowhere", 10)
assert books()["lost"] == 10
problem("file relative.jsonl", "No such file")
os.chdir(FOLDER)
healthy()
"""
    )
    assert len(lines(faulty.folder / "relative.jsonl")) == 30


def test_descriptors_exhausted(faulty: Faulty) -> None:
    records = faulty.run(
        """
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)


def allow(number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))


def exhaust():
    # No number is left below this, whoever closes what.
    allow(3)
    try:
        os.close(os.dup(0))
    except OSError as error:
        assert error.errno == errno.EMFILE
        return
    raise AssertionError("a descriptor is left")


exhaust()
start(rotate_bytes=100_000, gzip=True)
say("at the start", 40)
assert books()["lost"] == 40
problem(f"file {OUT}", "Too many open files")
allow(most)
healthy()

exhaust()
# The file is open; what does not begin another one arrives.
say("fits", 1)
assert books()["lost"] == 40
# Of one batch the part up to the rotation arrives, and the rest does not.
say("rotates", 1500)
account = books()
assert 40 < account["lost"] < 1540, account
problem(f"file {OUT}", "Too many open files")
allow(most)
healthy()
healthy("at last")
assert books()["lost"] == account["lost"]
coati.shutdown(60)
print(books()["delivered"], account["lost"])
"""
    )
    delivered, lost = map(int, faulty.program.stdout.split())
    messages = [record["message"] for record in records]
    rotates = messages.count("rotates")
    assert rotates + (lost - 40) == 1500
    assert len(messages) + faulty.settled == delivered
    kept = [record["number"] for record in records if record["message"] == "rotates"]
    assert kept == list(range(rotates)), "the beginning"


def test_a_console_that_goes_away(program: Any) -> None:
    program.run(
        """
        import coati, os
        coati.init("svc", config={"sinks": [
            {"type": "console", "stream": "stdout", "format": "json"}, SINK,
        ]})
        log = coati.get_logger("p")
        kept = os.dup(1)
        reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.close(writing)
        os.close(reading)
        log.info("into a broken pipe")
        assert coati.flush(60)
        os.close(1)
        log.info("into nothing")
        assert coati.flush(60)
        health = coati.health()
        assert [one["component"] for one in health["problems"]] == ["console stdout"], health
        assert coati.ledger()["logs"]["dropped"] == {"sink": 2}
        os.dup2(kept, 1)
        log.info("back")
        assert coati.flush(60)
        assert coati.health()["ok"]
        """
    )
    assert program.messages() == ["into a broken pipe", "into nothing", "back"]
    assert '"message":"back"' in program.stdout.splitlines()[0]


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

/* Seconds by which the wall clock is off. */
volatile long coati_test_shift;

int clock_gettime(clockid_t clock, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, out);
    if (result == 0 && clock == CLOCK_REALTIME) out->tv_sec += coati_test_shift;
    return result;
}
"""


@pytest.fixture
def shim(tmp_path: Path) -> str:
    """A library that sets this program's wall clock, and no one else's."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler for a clock that can be set")
    source, library = tmp_path / "shim.c", tmp_path / "shim.so"
    source.write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return str(library)


def test_a_clock_set_back_and_forward(faulty: Faulty, shim: str) -> None:
    records = faulty.run(
        """
import ctypes, datetime
shift = ctypes.c_long.in_dll(ctypes.CDLL(os.environ["LD_PRELOAD"]), "coati_test_shift")
start(rotate_bytes=10000, rotate_seconds=3600, keep_days=1)
numbers = 0


def line():
    global numbers
    log.info("m", number=numbers)
    with coati.get_tracer("p").span("s", number=numbers):
        pass
    numbers += 1


def last():
    assert coati.flush(60)
    text = OUT.read_text().splitlines()[-1]
    told = json.loads(text)
    at = datetime.datetime.fromisoformat((told.get("timestamp") or told["end"])[:26])
    return at.replace(tzinfo=datetime.timezone.utc).timestamp(), time.monotonic()


def until(condition):
    deadline = time.monotonic() + 120
    before = last()
    while True:
        line()
        time.sleep(0.01)
        now = last()
        if condition(before, now):
            return
        assert time.monotonic() < deadline, (before, now)


real = time.time()
line()
assert abs(last()[0] - real) < 60
shift.value = -7200
assert time.time() < real - 3600
# The clock is approached at half speed: no time runs backwards, and none stands still.


def slowly(before, now):
    shown, passed = now[0] - before[0], now[1] - before[1]
    return passed > 1 and 0 < shown < 0.8 * passed


until(slowly)
shift.value = 7200
until(lambda before, now: now[0] - before[0] > 3600)
shift.value = -200000
for _ in range(300):
    line()
assert coati.flush(60)
assert coati.health()["ok"], coati.health()
account = coati.ledger()
for signal in ("logs", "spans"):
    assert account[signal]["recorded"] == account[signal]["delivered"] == numbers
print(numbers)
coati.shutdown(60)
""",
        LD_PRELOAD=shim,
    )
    count = int(faulty.program.stdout)
    logs = [record for record in records if "message" in record]
    assert [record["number"] for record in logs] == list(range(count)), "closed files keep order"
    times = [record["timestamp"] for record in logs]
    assert times == sorted(times)
    spans = [record for record in records if "span" in record]
    assert all(record["duration_ns"] >= 0 for record in spans)
    assert [record["attributes"]["number"] for record in spans] == list(range(count))
