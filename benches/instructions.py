"""Instructions of the hottest operations, counted by callgrind and compared with those kept.

``instructions.py [--update] RUST_PROGRAM C_PROGRAM`` counts and compares with
``instructions.toml``; more than 5 % growth fails. With ``--update`` it writes that file anew. Each
operation is a function called ``coati_op_*`` that makes a given number of calls. Needs valgrind,
binutils and Python 3.11.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE / "instructions.toml"
CALLS = 1000
GROWTH = 0.05
# glibc picks its copying and comparing functions by the processor, which would make the counts
# depend on where they were made.
PINNED = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM,-AVX512F,-AVX512VL"}

HEAD = """\
# Instructions of one call, counted by callgrind (`make instructions`); more than 5 % growth fails.
# `make instructions-update` writes this file anew.
"""


def count(command: list[str], folder: Path) -> dict[str, float]:
    """Instructions of one call of each operation that ``command`` runs."""
    for file in folder.glob("callgrind.out*"):
        file.unlink()
    symbols = subprocess.run(["nm", command[0]], capture_output=True, text=True, check=True).stdout
    operations = re.findall(r" [Tt] (coati_op_\w+)$", symbols, re.M)
    callgrind = [
        "valgrind",
        "--tool=callgrind",
        f"--callgrind-out-file={folder}/callgrind.out",
        # What a function costs from its entry to its end, of its own thread alone.
        "--separate-threads=yes",
        *(f"--zero-before={operation}" for operation in operations),
        *(f"--dump-after={operation}" for operation in operations),
        *command,
    ]
    done = subprocess.run(callgrind, capture_output=True, text=True, env=os.environ | PINNED)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed under valgrind:\n{done.stderr[-2000:]}")
    # The last of an operation's runs is the one that counts; dumps are numbered.
    counts: dict[str, float] = {}
    dumps = folder.glob("callgrind.out.*")
    for dump in sorted(dumps, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)]):
        text = dump.read_text()
        trigger = re.search(r"^desc: Trigger: --dump-after=coati_op_(\w+)", text, re.M)
        thread = re.search(r"^thread: (\d+)", text, re.M)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
        if trigger and total and (thread is None or thread[1] == "1"):
            counts[trigger[1]] = int(total[1]) / CALLS
    missed = {operation.removeprefix("coati_op_") for operation in operations} - counts.keys()
    if missed or not counts:
        sys.exit(f"callgrind did not see {missed or 'any operation'} in {command[0]}")
    return counts


def compiler() -> str:
    """The version that the operations depend on."""
    return subprocess.run(
        ["rustc", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def write(counts: dict[str, float]) -> None:
    """Keeps ``counts``."""
    lines = [f"{name} = {instructions:.1f}" for name, instructions in counts.items()]
    KEPT.write_text(
        "\n".join([HEAD, f'rustc = "{compiler()}"', "", "[instructions]", *lines, ""])
    )


def compare(counts: dict[str, float]) -> int:
    """Prints each operation before and after; the number of those that grew too much."""
    kept = tomllib.loads(KEPT.read_text())
    before = kept["instructions"]
    failed = []
    for name in {**before, **counts}:
        old, new = before.get(name), counts.get(name)
        if old is None or new is None:
            failed.append(f"{name}: {'not kept yet' if old is None else 'gone'}")
            continue
        growth = new / old - 1
        print(f"{name:24} {old:9.1f} {new:9.1f} {growth:+7.1%}")
        if growth > GROWTH:
            failed.append(f"{name}: {old:.1f} instructions before, {new:.1f} now ({growth:+.1%})")
    if any(counts.get(name, old) < old * (1 - GROWTH) for name, old in before.items()):
        print("instructions.py: `make instructions-update` keeps what was gained")
    if not failed:
        return 0
    for line in failed:
        print(f"instructions.py: {line}", file=sys.stderr)
    if kept["rustc"] != compiler():
        print(
            f"instructions.py: only a warning, as they were counted with {kept['rustc']}",
            file=sys.stderr,
        )
        return 0
    print(
        "instructions.py: no operation may grow by more than 5 %; if it must,"
        " `make instructions-update` and say why in the commit",
        file=sys.stderr,
    )
    return 1


def main() -> int:
    """Count, then keep or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("rust_program")
    parser.add_argument("c_program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        counts = count([options.rust_program, str(CALLS)], path)
        counts |= count([options.c_program, f"{folder}/all.jsonl", str(CALLS)], path)
    if options.update:
        write(counts)
        print(KEPT.read_text())
        return 0
    return compare(counts)


if __name__ == "__main__":
    sys.exit(main())
