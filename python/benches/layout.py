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

#: What stands behind the functions that were entered.
MODULES = [
    "once_cell",
    "arc_swap",
    "pyo3",
    *(f"coati_export::{part}" for part in ("engine", "config", "sink", "drain", "health")),
    *(f"coati_export::{part}" for part in ("redact", "encode", "durable", "settle")),
    "coati_core",
    "_native",
]

PROGRAM = """
import coati
coati.init(config={"sinks": [{"type": "file", "path": "/dev/null"}]})
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


def symbols() -> str:
    """The module's names, one a line."""
    import coati._native  # noqa: PLC0415

    nm = ["nm", "-j", coati._native.__file__]
    return subprocess.run(nm, stdout=subprocess.PIPE, text=True, check=True).stdout


def count(pattern: str, names: str) -> int:
    """How many of the names the pattern fits."""
    wild = re.escape(pattern).replace(r"\*", r"\S*")
    return len(re.findall(f"^{wild}$", names, re.MULTILINE))


def pattern(name: str, names: str) -> str:
    """The name, with wild cards for what another compiler would call otherwise; as it is where that
    would fit others too, of the same function for other types."""
    wild = re.sub(r"17h[0-9a-f]{16}E$|\.(\d+|llvm\.\d+)$", "*", name)
    wild = re.sub(r"Cs[0-9a-zA-Z]+_", "Cs*_", wild)
    return wild if count(wild, names) == 1 else name


def earlier(names: str) -> set[str]:
    """What the file lists that the module still has."""
    listed = re.findall(r"^ +\.text\*\.(\S+)$", OUT.read_text(), re.MULTILINE)
    return {one for one in listed if count(one, names) == 1}


def patterns(module: str) -> list[str]:
    """The sections of a module's functions, and of what is made for its types."""
    crate, _, part = module.partition("::")
    if not part:
        return [f".text._*{crate}*"]
    return [f".text._*{crate}{len(part)}{part}*", f".text._*{crate}..{part}*"]


def main() -> None:
    """Runs the program and writes the file."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--demangle=no"]
        command = [*valgrind, f"--callgrind-out-file={out}", sys.executable, "-c", PROGRAM]
        subprocess.run(command, env={**os.environ, "PYTHONMALLOC": "malloc"}, check=True)
        names = entered(out.read_text())
    known = symbols()
    met = {pattern(name, known) for name in names if name.startswith(("_ZN", "_R", "PyInit"))}
    first = sorted(met | earlier(known))
    # `.text.` or `.text.unlikely.`
    lists = [[f".text*.{one}" for one in first], *(patterns(module) for module in MODULES)]
    lines = ("".join(f"      {one}\n" for one in some) for some in lists)
    OUT.write_text(HEAD + BETWEEN.join(lines) + TAIL)
    print(f"{len(first)} functions in {OUT.name}")


if __name__ == "__main__":
    main()
