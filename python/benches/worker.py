"""One participant in a process of its own: takes a measurement for each line that it reads.

``python worker.py MODULE PART FOLDER``; it answers in JSON.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Sets up, then measures on demand until there is no more demand."""
    module_name, part, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # What a library prints must not be taken for an answer.

    def answer(**what: object) -> None:
        answers.write(json.dumps(what) + "\n")

    try:
        module = importlib.import_module(f"participants.{module_name}")
        participant = module.PARTS[part](Path(folder))
    except Exception as error:
        answer(failed=f"{type(error).__name__}: {error}")
        os._exit(1)
    answer(rows={row: made.note for row, made in participant.rows.items()})
    gc.collect()
    gc.freeze()
    for demand in sys.stdin:
        what = json.loads(demand)
        if what == "end":
            break
        answer(value=participant.rows[what["row"]].measure(what["calls"]))
    answer(drops=participant.drops())
    answers.flush()
    os._exit(0)  # Nobody's exit handlers are measured, and some never end without their agent.


if __name__ == "__main__":
    main()
