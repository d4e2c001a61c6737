"""Runs the tests of each framework in an environment of its own, as their pins exclude each other.

A folder beside this file is a framework: `requirements.txt` says what it needs, an optional
`without-dependencies.txt` what is installed bare, `test_*.py` are its tests.
`python run.py WHEEL FOLDER [NAME ...]` makes the environments in FOLDER, installs the wheel and the
requirements, and runs the tests of all frameworks, or of those that are named.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# What `conftest.py` of all tests imports.
EVERYWHERE = ["pytest>=8.4", "prometheus_client>=0.22"]


def prepare(name: str, wheel: Path, folder: Path) -> Path:
    """Make the framework's environment and return its interpreter."""
    python = folder / name / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        subprocess.run([*uv, "venv", "-q", "-p", sys.executable, folder / name], check=True)
    install = [*uv, "pip", "install", "-q", "-p", python]
    subprocess.run([*install, *EVERYWHERE, "-r", HERE / name / "requirements.txt"], check=True)
    bare = HERE / name / "without-dependencies.txt"
    if bare.exists():
        subprocess.run([*install, "--no-deps", "-r", bare], check=True)
    subprocess.run([*install, "--reinstall", "--no-deps", wheel], check=True)
    return python


def main(wheel: str, folder: str, *names: str) -> int:
    """Run the tests; the names of the frameworks whose tests failed are told at the end."""
    known = sorted(path.parent.name for path in HERE.glob("*/requirements.txt"))
    if unknown := set(names) - set(known):
        sys.exit(f"no framework {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    failed = []
    for name in names or known:
        print(f"--- {name}", flush=True)
        python = prepare(name, Path(wheel).resolve(), Path(folder).resolve())
        if subprocess.run([python, "-m", "pytest", "-q", name], cwd=HERE, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
