"""Checks what codestats wrote against the tree it counted: verify.py TREE OUT < what it printed."""

import json
import os
import re
import sys
from collections import Counter


def count_tree(tree):
    """Files, lines and words by extension, counted once more."""
    files, lines, words = Counter(), Counter(), Counter()
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                text = file.read()
            if b"\0" in text:
                continue
            extension = os.path.splitext(name)[1] or "(none)"
            files[extension] += 1
            lines[extension] += text.count(b"\n")
            words[extension] += len(text.split())
    return files, lines, words


def check(condition, what):
    if not condition:
        sys.exit(f"verify.py: {what}")


def main():
    tree, out = sys.argv[1:]
    printed = sys.stdin.read()
    with open(os.path.join(out, "codestats.jsonl"), encoding="utf-8", errors="strict") as file:
        text = file.read()
    check(text.endswith("\n"), "the last line is not whole")
    records = [json.loads(line) for line in text.splitlines()]
    spans = {r["span_id"]: r for r in records if "span" in r}
    logs = [r for r in records if "span" not in r]
    check(len(spans) + len(logs) == len(records), "a span id occurs twice")

    for signal, found in (("logs", len(logs)), ("spans", len(spans))):
        books = re.search(rf"^{signal} +(\d+) recorded, (\d+) delivered, 0 dropped$", printed, re.M)
        check(books and int(books[1]) == int(books[2]) == found, f"{found} {signal}: {books}")

    roots = [s for s in spans.values() if "parent_span_id" not in s]
    check([root["span"] for root in roots] == ["codestats"], f"roots: {roots}")
    for span in spans.values():
        check(span["trace_id"] == roots[0]["trace_id"], f"another trace: {span}")
        parent = spans.get(span.get("parent_span_id"))
        check(span is roots[0] or parent is not None, f"no parent: {span}")
        if parent:
            check(parent["start"] <= span["start"], f"starts before its parent: {span}")
            check(span["end"] <= parent["end"], f"outlives its parent: {span}")
        if span["span"] == "read file":
            directory = parent["attributes"]["path"]
            check(os.path.dirname(span["attributes"]["path"]) == directory, f"parent of {span}")
    for log in logs:
        if "path" in log:
            check(spans[log["span_id"]]["attributes"]["path"] == log["path"], f"span of {log}")

    files, lines, words = count_tree(tree)
    read = [log for log in logs if log["message"] == "counted"]
    check(len(read) == sum(files.values()), f"{len(read)} files counted")
    check(sum(log["lines"] for log in read) == sum(lines.values()), "lines in the log")
    check(sum(log["words"] for log in read) == sum(words.values()), "words in the log")
    with open(os.path.join(out, "metrics.prom"), encoding="utf-8") as file:
        metrics = file.read()
    for name, counts in (("files", files), ("lines", lines), ("words", words)):
        found = re.findall(rf'^codestats_{name}_total{{extension="(.*)"}} (\d+)$', metrics, re.M)
        check({k: int(v) for k, v in found} == dict(counts), f"{name} in the metrics")
        for extension, n in counts.items():
            column = {"files": 1, "lines": 2, "words": 3}[name]
            rows = [row.split() for row in printed.splitlines() if row.startswith(extension + " ")]
            check(rows and int(rows[0][column]) == n, f"{name} of {extension} in the table")
    with open(os.path.join(out, "health.json"), encoding="utf-8") as file:
        check(json.load(file)["ok"], "health")
    print(f"{len(logs)} logs, {len(spans)} spans and {sum(files.values())} files agree")


if __name__ == "__main__":
    main()
