"""Identifiers typed alone: is a passage that holds the identifier first?

    python -m bench.identifiers

Function names, error codes, options, paths, versions and dotted names are taken from the passages by plain
patterns (not by the tokenizer under test), those that at most three passages hold, by a seeded draw of so
many a kind and a corpus. Corpora: cosqa's functions (the index of ``python -m bench.quality cosqa``), pages
of OpenSearch's documentation and of tldr, and packages of Python's library, the last three in one index.
Right is a first span cut out of a passage that holds the identifier in the same letters, nothing
alphanumeric beside it; the passage as names are looked up in it: text, title, headings, the document's id.
The same identifiers are also asked for in sentences: "what does X do?", "error X when the user retries".
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.index.facade import Index

KINDS: Mapping[str, re.Pattern[str]] = {
    "snake": re.compile(r"(?<![\w.\\])_{0,2}[a-z]+(?:_[a-z0-9]+)+(?![\w.(/-])"),
    "camel": re.compile(r"(?<![\w.\\])[a-z]+(?:[A-Z][a-z0-9]+)+(?![\w.])"),
    "class": re.compile(r"(?<![\w.\\])(?:[A-Z][a-z0-9]+){2,}(?![\w.])"),
    "constant": re.compile(r"(?<![\w.])[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+(?![\w.])"),
    "dotted": re.compile(r"(?<![\w./@:-])[a-z_]\w*(?:\.[a-z_]\w+)+(?![\w./@:-])"),
    "option": re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*(?![\w-])"),
    "path": re.compile(r"(?<![\w./:-])/?(?:[\w-]+/)+[\w-]+\.[a-z]{1,5}(?![\w/])"),
    "code": re.compile(r"(?<![\w.-])[A-Z]{1,5}-?\d{3,6}(?![\w-])"),
    "version": re.compile(r"(?<![\w.-])v?\d+\.\d+\.\d+(?![\w.-])"),
}
MOST_HOLDERS = 3
A_KIND = 40
TRIED = 5
"""Identifiers drawn for one that is kept: common ones are left out."""
SENTENCES = ("{}", "what does {} do?", "error {} when the user retries", "why do I get {} after the update?")
LIBRARY = ("asyncio", "http", "json", "logging", "email", "sqlite3", "concurrent", "unittest")


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier as it is written, its kind, and the chunk_ids of all passages that hold it."""

    text: str
    kind: str
    chunks: frozenset[str]


def identifiers(index: Index, *, a_kind: int = A_KIND) -> list[Identifier]:
    """Rare identifiers of the passages of an index, at most ``a_kind`` of each kind."""
    snapshot = index._rooms.store.snapshot()
    passages = {chunk.chunk_id: chunk.own for chunk in snapshot.chunks(snapshot.keys())}
    kinds: dict[str, str] = {}
    for passage in passages.values():
        for kind, pattern in KINDS.items():
            for text in pattern.findall(passage):
                kinds.setdefault(text, kind)
    found: list[Identifier] = []
    for kind in KINDS:
        named = sorted(text for text, known in kinds.items() if known == kind)
        drawn = np.random.default_rng(0).permutation(named)[: TRIED * a_kind].tolist()
        held = holders(passages, drawn)
        rare = [text for text in drawn if len(held[text]) <= MOST_HOLDERS][:a_kind]
        found += [Identifier(text, kind, frozenset(held[text])) for text in rare]
    return found


def holders(passages: Mapping[str, str], texts: Sequence[str]) -> dict[str, set[str]]:
    """For each identifier the passages in which it stands with nothing alphanumeric beside it."""
    held: dict[str, set[str]] = defaultdict(set)
    for chunk_id, passage in passages.items():
        for text in (text for text in texts if text in passage):
            if re.search(rf"(?<![A-Za-z0-9_]){re.escape(text)}(?![A-Za-z0-9_])", passage):
                held[text].add(chunk_id)
    return held


def wrong(index: Index, given: list[Identifier], sentence: str = "{}") -> list[Identifier]:
    """Those whose search does not begin with a passage that holds them, alone or in a sentence."""
    missed = []
    for identifier in given:
        spans = index.search(sentence.format(identifier.text), k=1)
        if not spans or spans[0].chunk_id not in identifier.chunks:
            missed.append(identifier)
    return missed


def documents(folder: Path) -> Path:
    """Pages of two documentations as JSON Lines: the first 300 and 700 that were added."""
    path = CACHE / "identifiers.jsonl"
    with path.open("w") as file:
        for name, most in (("opensearch", 300), ("tldr-english", 700)):
            for record in list(added(folder / "docs-history" / name / "events.jsonl.gz"))[:most]:
                file.write(json.dumps(record) + "\n")
    return path


def added(path: Path) -> Iterator[dict[str, str]]:
    """The documents that a history adds, each once."""
    seen = set()
    with gzip.open(path, "rt") as file:
        for event in map(json.loads, file):
            if event["op"] == "add" and event["_id"] not in seen:
                seen.add(event["_id"])
                yield {key: event[key] for key in ("_id", "title", "text")}


def main() -> None:
    """Both indexes, one table, the misses by name."""
    library = Path(json.__file__).parents[1]
    sources = [documents(data_folder()), *(library / name for name in LIBRARY)]
    with fingerpost.compile(*sources, to=CACHE / "identifiers") as index:
        print(index.status()["chunks"], "chunks", flush=True)
    rows: list[list[object]] = []
    misses: dict[str, dict[str, list[str]]] = {}
    for name, kb in (
        ("cosqa", CACHE / "quality" / "cosqa"),
        ("documentation, library", CACHE / "identifiers"),
    ):
        with fingerpost.open(kb) as index:
            given = identifiers(index)
            missed = {sentence: wrong(index, given, sentence) for sentence in SENTENCES}
        for kind in (*KINDS, "all"):
            asked = sum(kind in (one.kind, "all") for one in given)
            right = [asked - sum(kind in (one.kind, "all") for one in each) for each in missed.values()]
            rows += [[name, kind, asked, *(round(count / asked, 4) for count in right)]] if asked else []
        misses[name] = {sentence: [one.text for one in each] for sentence, each in missed.items()}
    print(table(["corpus", "kind", "asked", *SENTENCES], rows))
    print(misses)
    write("identifiers", {"rows": rows, "misses": misses})


if __name__ == "__main__":
    main()
