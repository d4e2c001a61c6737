"""The Python of the project's README runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    run = subprocess.run(
        [sys.executable, "-c", "".join(blocks)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert '"message":"plan ready"' in run.stderr
    assert 'agent_executions_total{agent="a1",ok="true"} 1' in run.stdout
