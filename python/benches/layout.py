"""Writes python/layout.ld: which functions stand first in the extension module.

``python layout.py`` runs a small program under callgrind and notes each function of the module
that it enters. Without this order they are strewn over the whole of the code, and the system maps
far more around each of them than the function itself. Only names are noted, without the parts
that change with the compiler. What an earlier run has noted stays as long as there are functions of
that name: the next compilation may put it into its callers or not. Behind them stands the rest of
what programs use at once, where functions are found that came later than the file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "layout.ld"

HEAD = """\
/* The functions that a program enters when it imports the package, starts the engine and records.
 * Written by `make layout`: run again, never edit. */
SECTIONS
{
  .text : {
    *libc_nonshared.a:*(.text)
    *compiler_builtins*(.text .text.*)
    *(
"""
BETWEEN = """\
    )
    *(
"""
TAIL = """\
    )
    *(.text .text.*)
  }
}
INSERT AFTER .fini;
"""

#: What stands behind the functions that are entered at start.
SMALL = ["once_cell", "arc_swap", "pyo3"]
#: What stands behind all that were entered.
MODULES = [
    *(f"coati_export::{part}" for part in ("engine", "config", "sink", "drain", "health")),
    *(f"coati_export::{part}" for part in ("redact", "encode", "durable", "settle")),
    "coati_core",
    "_native",
]

START = """
import coati
coati.init(config={"sinks": [{"type": "file", "path": "/dev/null"}]})
coati.get_logger("layout").info("plan ready", steps=4)
coati.flush()
"""
WORK = """
log, tracer = coati.get_logger("layout"), coati.get_tracer("layout")
counter, histogram = coati.counter("count"), coati.histogram("size", unit="ms")
gauge = coati.gauge("level")
bound = [counter.bind(agent="a1"), histogram.bind(agent="a1")]
work = coati.trace(lambda: None)
for i in range(3):
    log.info("plan ready", steps=i, model="gpt-4o", cost=0.25, ok=True)
    log.debug("off")
    with tracer.span("plan", steps=i, model="gpt-4o", cost=0.25, ok=True) as span:
        span.set_attribute("tokens", i)
        log.warning("inside")
        headers = {}
        coati.inject(headers)
    coati.extract(headers)
    work()
    counter.add(1, agent="a1", ok=True)
    histogram.record(12.5, agent="a1", ok=True)
    gauge.set(i)
    bound[0].add()
    bound[1].record(1.5)
coati.flush()
coati.shutdown()
"""


def entered(profile: str) -> set[str]:
    """The mangled names of the module's functions in callgrind's output."""
    objects: dict[str, str] = {}
    functions: dict[str, str] = {}
    names, inside = set(), False
    for line in profile.splitlines():
        said = re.match(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?", line)
        if not said:
            continue
        called, what, number, name = said.groups()
        known = objects if what == "ob" else functions
        if name:
            known[number] = name.split("'")[0] if what == "fn" else name
        if called:
            continue
        if what == "ob":
            inside = "coati/_native" in known.get(number, "")
        elif inside:
            names.add(known[number])
    return names


class Symbols:
    """The module's functions and their sizes."""

    def __init__(self) -> None:
        import coati._native  # noqa: PLC0415

        nm = ["nm", "-S", coati._native.__file__]
        printed = subprocess.run(nm, stdout=subprocess.PIPE, text=True, check=True).stdout
        found = re.findall(r"^\w+ (\w+) [tTwW] (\S+)$", printed, re.MULTILINE)
        self.sizes = {name: int(size, 16) for size, name in found}
        self.lines = "\n".join(self.sizes)

    def size(self, pattern: str) -> int:
        """Bytes of all functions that the pattern fits."""
        wild = re.escape(pattern).replace(r"\*", r"\S*")
        return sum(self.sizes[name] for name in re.findall(f"^{wild}$", self.lines, re.MULTILINE))


#: Bytes of functions that one pattern may bring along.
MOST = 2048


def pattern(name: str, symbols: Symbols) -> str:
    """The name, with wild cards for what another compiler would call otherwise; as it is where that
    would fit much else, of the same function for other types."""
    wild = re.sub(r"17h[0-9a-f]{16}E$|\.(\d+|llvm\.\d+)$", "*", name)
    wild = re.sub(r"Cs[0-9a-zA-Z]+_", "Cs*_", wild)
    return wild if symbols.size(wild) <= symbols.sizes.get(name, 0) + MOST else name


def earlier(symbols: Symbols) -> set[str]:
    """What the file lists that the module still has."""
    listed = re.findall(r"^ +\.text\*\.(_[ZR]\S+)$", OUT.read_text(), re.MULTILINE)
    return {one for one in listed if 0 < symbols.size(one) <= MOST}


def patterns(module: str) -> list[str]:
    """The sections of a module's functions, and of what is made for its types."""
    crate, _, part = module.partition("::")
    if not part:
        return [f".text*._*{crate}*"]
    return [f".text._*{crate}{len(part)}{part}*", f".text._*{crate}..{part}*"]


def run(program: str) -> set[str]:
    """The functions that a program enters."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--demangle=no"]
        command = [*valgrind, f"--callgrind-out-file={out}", sys.executable, "-c", program]
        subprocess.run(command, env={**os.environ, "PYTHONMALLOC": "malloc"}, check=True)
        names = entered(out.read_text())
    return {name for name in names if name.startswith(("_ZN", "_R", "PyInit"))}


def main() -> None:
    """Runs the programs and writes the file."""
    known = Symbols()
    start = {pattern(name, known) for name in run(START + "import os; os._exit(0)\n")}
    work = {pattern(name, known) for name in run(START + WORK)} | earlier(known)

    def lines(names: set[str]) -> str:
        # `.text.` or `.text.unlikely.`
        return "".join(f"      .text*.{one}\n" for one in sorted(names))

    def behind(modules: list[str]) -> list[str]:
        return ["".join(f"      {one}\n" for one in patterns(module)) for module in modules]

    lists = [lines(start), *behind(SMALL), lines(work - start), *behind(MODULES)]
    OUT.write_text(HEAD + BETWEEN.join(lists) + TAIL)
    print(f"{len(start)} functions at start, {len(work - start)} more in {OUT.name}")


if __name__ == "__main__":
    main()
