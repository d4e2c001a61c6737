"""What agents do to files: plain functions that know nothing of agents. They run in threads."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MARKER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
DEFINITION = re.compile(r"^\s*(?:async\s+)?def\s", re.MULTILINE)
BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.comprehension,
    ast.BoolOp,
    ast.match_case,
    ast.Assert,
)
Function = (ast.FunctionDef, ast.AsyncFunctionDef)
Documentable = (*Function, ast.ClassDef, ast.Module)


@dataclass(frozen=True)
class Shape:
    """The measure of a file."""

    functions: int
    classes: int
    complexity: int
    hardest: str


def read(path: Path, encoding: str) -> str:
    """The text of a file; the encoding `declared` is what its own first lines say."""
    data = path.read_bytes()
    if encoding == "declared":
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding)


def parse(source: str, name: str, grammar: tuple[int, int]) -> ast.Module:
    """The syntax tree, by the grammar of some version of Python."""
    version = None if grammar == sys.version_info[:2] else grammar
    return ast.parse(source, name, feature_version=version)


def scan(source: str) -> Shape:
    """A rough measure of what no parser takes."""
    definitions = len(DEFINITION.findall(source))
    return Shape(definitions, len(re.findall(r"^\s*class\s", source, re.MULTILINE)), 0, "")


def measure(tree: ast.Module) -> Shape:
    """Counts definitions and finds the function with the most branches."""
    functions, classes, most, hardest = 0, 0, 0, ""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            classes += 1
        elif isinstance(node, Function):
            functions += 1
            branches = 1 + sum(isinstance(inner, BRANCHES) for inner in ast.walk(node))
            if branches > most:
                most, hardest = branches, node.name
    return Shape(functions, classes, most, hardest)


def docstrings(tree: ast.Module) -> tuple[int, int]:
    """How many public definitions say what they do, and of how many."""
    public = [
        node
        for node in ast.walk(tree)
        if isinstance(node, Documentable) and not getattr(node, "name", "").startswith("_")
    ]
    return sum(ast.get_docstring(node, clean=False) is not None for node in public), len(public)


def imports(tree: ast.Module) -> list[str]:
    """The top-level names of the modules a file imports, each once."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return sorted(found)


def search(source: str) -> int:
    """Counts TODO, FIXME, XXX and HACK: quick, and fooled by strings and names."""
    return len(MARKER.findall(source))


def recount(source: str) -> int:
    """Counts the same in comments only: slow, and right."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments: Iterable[str] = (t.string for t in tokens if t.type == tokenize.COMMENT)
    return sum(len(MARKER.findall(comment)) for comment in comments)


def recompile(tree: ast.Module, name: str) -> int:
    """Compiles a tree to see that it is more than well-formed; gives the number of names used."""
    return len(compile(tree, name, "exec", dont_inherit=True).co_names)


def rank(lists: Iterable[list[str]]) -> Counter[str]:
    """How often each name occurs."""
    return Counter(name for names in lists for name in names)
