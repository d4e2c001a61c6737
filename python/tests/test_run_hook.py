"""The import hook of ``coati run``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import zipfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from coati.run.hook import Hook

NAMES = ("waited", "waited.part", "waited_too")


class World:
    """Packages to import, and what the hook told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.write(
            "waited/__init__.py", "seen = __loader__, __spec__.loader, dict(vars(__loader__))"
        )
        self.write("waited/part/__init__.py", "from waited.part import inner\nVALUE = inner.VALUE")
        self.write("waited/part/inner.py", "VALUE = 7")
        self.write("waited_too.py", "import waited.part\n")
        self.hook = Hook(
            NAMES,
            before=lambda name: self.told.append(f"before {name}"),
            after=lambda name: self.told.append(f"after {name}"),
        )

    def write(self, name: str, source: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        importlib.invalidate_caches()

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.startswith("waited")]:
            del sys.modules[name]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.syspath_prepend(tmp_path)
    world = World(tmp_path)
    world.hook.install()
    yield world
    world.hook.remove()
    world.forget()
    assert world.hook not in sys.meta_path


def test_packages_and_their_modules_are_told_when_they_have_run(world: World) -> None:
    import waited_too  # noqa: F401, PLC0415

    assert world.told == ["after waited", "after waited.part", "after waited_too"]
    import waited.part.inner  # noqa: F401, PLC0415

    assert len(world.told) == 3


def test_a_program_meets_its_own_loaders(world: World) -> None:
    spec = importlib.util.find_spec("waited")
    assert spec is not None
    assert type(spec.loader) is SourceFileLoader
    assert world.told == []
    waited: Any = importlib.import_module("waited")
    plain = PathFinder.find_spec("waited", [str(world.folder)])
    assert plain is not None
    for loader in (waited.__loader__, waited.__spec__.loader, *waited.seen[:2]):
        assert type(loader) is SourceFileLoader
        assert vars(loader) == waited.seen[2] == vars(plain.loader)
    assert waited.__spec__.submodule_search_locations == plain.submodule_search_locations
    assert waited.__spec__.origin == plain.origin
    assert waited.__cached__ == plain.cached


def test_reload(world: World) -> None:
    waited = importlib.import_module("waited")
    world.told.clear()
    assert importlib.reload(waited) is waited
    assert world.told == ["before waited", "after waited"]
    world.write("waited/__init__.py", "1 / 0")
    with pytest.raises(ZeroDivisionError) as caught:
        importlib.reload(waited)
    assert world.told == ["before waited", "after waited", "before waited"]
    names = [entry.path for entry in caught.traceback]
    assert not any(str(name).endswith("run/hook.py") for name in names)
    world.write("waited/__init__.py", "x = 1")
    importlib.reload(waited)
    assert world.told[3:] == ["after waited"]


def test_a_failed_import_is_not_told(world: World) -> None:
    world.write("waited_too.py", "import nowhere_at_all")
    with pytest.raises(ImportError, match="nowhere_at_all"):
        importlib.import_module("waited_too")
    assert world.told == []
    world.write("waited_too.py", "VALUE = 'longer now'")
    importlib.import_module("waited_too")
    assert world.told == ["after waited_too"]


def test_what_is_imported_already_is_told_at_once(world: World) -> None:
    world.hook.remove()
    importlib.import_module("waited.part")
    assert world.told == []
    world.hook.install()
    assert world.told == ["after waited", "after waited.part"]
    world.hook.install()
    assert sys.meta_path.count(world.hook) == 1


def test_nothing_is_told_after_remove(world: World) -> None:
    spec = importlib.util.find_spec("waited")
    assert spec is not None
    assert spec.loader is not None
    world.hook.remove()
    module = importlib.util.module_from_spec(spec)
    sys.modules["waited"] = module
    spec.loader.exec_module(module)
    assert module.__spec__ is spec
    assert world.told == []


def test_copies_beside_the_module_are_not_told(world: World) -> None:
    spec = importlib.util.find_spec("waited")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert hasattr(module, "seen")
    assert world.told == []


def test_lazy_modules_are_told_when_they_run(world: World) -> None:
    spec = importlib.util.find_spec("waited")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["waited"] = module
    spec.loader.exec_module(module)
    assert world.told == []
    assert module.seen
    assert world.told == ["after waited"]


def test_archives_share_a_loader(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = world.folder / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("waited.py", "seen = __loader__, __spec__.loader, vars(__loader__)")
        file.writestr("other.py", "")
    monkeypatch.setattr(sys, "path", [str(archive)])
    waited: Any = importlib.import_module("waited")
    assert world.told == ["after waited"]
    assert {type(loader).__name__ for loader in waited.seen[:2]} == {"zipimporter"}
    assert waited.__loader__ is waited.__spec__.loader
    spec = importlib.util.find_spec("waited_too")
    assert spec is None
    assert importlib.util.find_spec("other").loader is waited.__loader__  # type: ignore[union-attr]


class Asks:
    """Another hook that asks all finders, as some packages have it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not name.startswith("waited") or name in self.asked:
            return None
        self.asked.append(name)
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None


@pytest.mark.parametrize("first", [True, False])
def test_beside_other_hooks(world: World, first: bool) -> None:
    other = Asks()
    sys.meta_path.insert(0 if first else 1, other)
    try:
        importlib.import_module("waited_too")
    finally:
        sys.meta_path.remove(other)
    assert set(NAMES) < set(other.asked)
    assert world.told == ["after waited", "after waited.part", "after waited_too"]


def test_threads_tell_once(world: World) -> None:
    start = threading.Barrier(8)
    found: list[ModuleType] = []

    def work(name: str) -> None:
        start.wait()
        found.append(importlib.import_module(name))

    threads = [threading.Thread(target=work, args=(NAMES[n % 3],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert sorted(world.told) == ["after waited", "after waited.part", "after waited_too"]
