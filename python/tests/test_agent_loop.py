"""The benchmark of an agent loop runs, and counts what arrived from each of its variants."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "benches" / "agent_loop.py"


def test_every_variant_delivers_all_of_its_records() -> None:
    command = [sys.executable, str(BENCH), "--rounds", "1", "--turns", "1", "--concurrent", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (.*?) \| (.*?) \|", done.stdout, re.MULTILINE)[1:]
    rows = [row for row in rows if not row[0].startswith("-")]
    assert [where for _, where in rows] == [
        *("-", "file / file", "file / OTLP", "file / file", "file / OTLP", "file / OTLP")
    ]
