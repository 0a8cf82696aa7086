"""A corpus of real text: the retrieval sets, product documentation, the Python sources installed here.

Each record is a passage of some 80 words, with the title of what it was cut from; for the speed benchmarks,
the text is never committed.
"""

from __future__ import annotations

import gzip
import json
import sysconfig
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from bench.common import CACHE, data_folder

WORDS = 80
SETS = ("scifact", "squad4", "medquad", "cosqa", "spider-tables")

Source = tuple[str, str, str]


def corpus(size: int) -> Path:
    """A JSON Lines file of ``size`` passages, written once."""
    path = CACHE / f"corpus-{size}.jsonl"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("w") as file:
            for record in islice(passages(), size):
                file.write(json.dumps(record) + "\n")
        partial.rename(path)
    return path


def passages() -> Iterator[dict[str, str]]:
    """Passages of every source, each with an id of its own."""
    for name, title, text in chain(_sets(), _documentation(), _sources()):
        for at, piece in enumerate(_pieces(text)):
            yield {"_id": f"{name}#{at}", "title": title, "text": piece}


def _sets() -> Iterator[Source]:
    for name in SETS:
        with (data_folder() / name / "corpus.jsonl").open() as file:
            for line in file:
                record = json.loads(line)
                yield f"{name}/{record['_id']}", record["title"], record["text"]


def _documentation() -> Iterator[Source]:
    """The last state of the dated documentation sets."""
    for folder in sorted((data_folder() / "docs-history").iterdir()):
        state: dict[str, Source] = {}
        with gzip.open(folder / "events.jsonl.gz", "rt") as file:
            for event in map(json.loads, file):
                if event["op"] == "delete":
                    state.pop(event["_id"], None)
                else:
                    state[event["_id"]] = (
                        f"{folder.name}/{event['_id']}",
                        event.get("title", ""),
                        event["text"],
                    )
        yield from state.values()


def _sources() -> Iterator[Source]:
    for root in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")):
        for path in sorted(Path(root).rglob("*.py")):
            text = path.read_text(encoding="utf-8", errors="replace")
            yield str(path.relative_to(root)), path.stem, text


def _pieces(text: str) -> Iterator[str]:
    lines: list[str] = []
    words = 0
    for line in text.splitlines():
        lines.append(line)
        words += len(line.split())
        if words >= WORDS:
            yield "\n".join(lines)
            lines, words = [], 0
    if words:
        yield "\n".join(lines)
