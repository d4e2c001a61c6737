"""One figure of a fresh process: ``python probe.py import|memory MODULES`` or ``series MODULE``.

``import`` prints milliseconds, ``memory`` and ``series`` MB of resident memory more than before;
for this project ``memory`` is taken after `init` and a first line.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import time
from pathlib import Path


def resident() -> float:
    """MB of this process in memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def main() -> None:
    """Prints one number."""
    what, name = sys.argv[1:]
    if what == "series":
        module = importlib.import_module(f"participants.{name}")
        if name == "coati":
            module.start(Path("/dev"), sinks=[])
        gc.collect()
        before = resident()
        module.make_series()
        gc.collect()
        print(resident() - before)
        return
    names = [one.strip() for one in name.split(",") if one]
    before, start = resident(), time.perf_counter_ns()
    for one in names:
        importlib.import_module(one)
    took = time.perf_counter_ns() - start
    if what == "memory" and names == ["coati"]:
        coati = sys.modules["coati"]
        coati.init(config={"sinks": [{"type": "file", "path": "/dev/null"}]})
        coati.get_logger("bench").info("plan ready", steps=4)
        coati.flush()
    print(took / 1e6 if what == "import" else resident() - before)


if __name__ == "__main__":
    main()
