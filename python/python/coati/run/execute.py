"""Runs a program as the interpreter itself would."""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from coati.run.options import Options

__all__ = ["execute"]


def execute(options: Options) -> None:
    """Run the program; what it raises passes through, shown without our frames."""
    main = _fresh_main()
    _guard(
        {"script": _script, "module": _module, "code": _code, "stdin": _stdin}[options.kind],
        main,
        options,
    )


def _fresh_main() -> ModuleType:
    main = ModuleType("__main__")
    before = vars(sys.modules["__main__"])
    if "__annotations__" in before:
        main.__annotations__ = {}
    namespace: dict[str, Any] = vars(main)
    namespace.update(__builtins__=builtins, __loader__=BuiltinImporter)
    sys.modules["__main__"] = main
    return main


def _first_path(path: str) -> None:
    """Put the program's place where the interpreter has put ours, if it has."""
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path[0] = path


def _script(main: ModuleType, options: Options) -> None:
    path = options.target
    sys.argv = [path, *options.arguments]
    # As the interpreter has it: dots stay.
    full = os.path.join(os.getcwd(), path)
    if pkgutil.get_importer(full) is not None:
        # A folder or an archive with a `__main__`.
        _first_path(full)
        if getattr(sys.flags, "safe_path", sys.flags.isolated):
            sys.path.insert(0, full)
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]
        return
    _first_path(os.path.dirname(os.path.realpath(path)))
    with io.open_code(full) as file:
        code = pkgutil.read_code(file)
    loader: Any = SourcelessFileLoader if code is not None else SourceFileLoader
    vars(main).update(__file__=full, __cached__=None, __loader__=loader("__main__", full))
    if code is None:
        with io.open_code(full) as file:
            code = _compile(file.read(), full)
    exec(code, vars(main))


def _module(main: ModuleType, options: Options) -> None:
    sys.argv = ["-m", *options.arguments]
    _first_path(os.getcwd())
    runpy._run_module_as_main(options.target)  # type: ignore[attr-defined]


def _code(main: ModuleType, options: Options) -> None:
    sys.argv = ["-c", *options.arguments]
    _first_path("")
    exec(_compile(options.target, "<string>"), vars(main))


def _stdin(main: ModuleType, options: Options) -> None:
    sys.argv = ["-", *options.arguments]
    _first_path("")
    vars(main).update(__file__="<stdin>", __cached__=None)
    exec(_compile(sys.stdin.buffer.read(), "<stdin>"), vars(main))


def _compile(source: str | bytes, name: str) -> CodeType:
    code: CodeType = compile(source, name, "exec", dont_inherit=True)
    return code


def _guard(run: Callable[[ModuleType, Options], None], main: ModuleType, options: Options) -> None:
    try:
        run(main, options)
    except SystemExit:
        raise
    except BaseException as error:
        _show_without_us(_behind_us(error.__traceback__))
        raise


def _behind_us(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    return traceback


def _show_without_us(traceback: TracebackType | None) -> None:
    """The interpreter is about to show an exception: by the program's hook, with this traceback."""
    hook = sys.excepthook if callable(sys.excepthook) else sys.__excepthook__

    def show(kind: type[BaseException], error: BaseException, _: Any) -> None:
        sys.excepthook = hook
        error.__traceback__ = sys.last_traceback = traceback
        hook(kind, error, traceback)

    sys.excepthook = show
