"""What context before a chunk is worth on documents longer than a chunk.

    python -m bench.context

The paragraphs of each article of squad4 are joined into one long document; a question's evidence is its
paragraph. failure@20: none of the first 20 chunks overlaps the evidence. Compiled with chunks of 128 word
pieces, with and without context; questions are of the test split (1,000 by a seeded draw).
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import parse
from fingerpost.index.searching import Request, find

QUESTIONS = 1_000
K = 20


def articles() -> tuple[Path, dict[str, tuple[str, int, int]]]:
    """The long documents as JSON Lines, and where each paragraph stands: article, start, end."""
    texts: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with (data_folder() / "squad4" / "corpus.jsonl").open() as file:
        for record in map(json.loads, file):
            if record["title"]:
                texts[record["title"]].append((record["_id"], record["text"]))
    places: dict[str, tuple[str, int, int]] = {}
    path = CACHE / "articles.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for title, paragraphs in texts.items():
            at = 0
            for paragraph, text in paragraphs:
                places[paragraph] = (title, at, at + len(text))
                at += len(text) + 2
            body = "\n\n".join(text for _, text in paragraphs)
            file.write(json.dumps({"_id": title, "title": title, "text": body}) + "\n")
    return path, places


def questions(places: dict[str, tuple[str, int, int]]) -> list[tuple[str, tuple[str, int, int]]]:
    """Test questions whose paragraph is in an article."""
    folder = data_folder() / "squad4"
    texts = {record["_id"]: record["text"] for record in map(json.loads, (folder / "queries.jsonl").open())}
    lines = [line.split("\t") for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]]
    found = [(texts[query], places[doc]) for query, doc, _ in lines if doc in places]
    order = np.random.default_rng(0).permutation(len(found))[:QUESTIONS]
    return [found[at] for at in order]


def failures(context: bool, path: Path, asked: list[tuple[str, tuple[str, int, int]]]) -> dict[str, float]:
    """failure@20 of each leg."""
    settings = parse(f"[compile]\nchunk_tokens = 128\ncontext = {str(context).lower()}")
    missed: dict[str, int] = defaultdict(int)
    with fingerpost.compile(path, to=CACHE / f"context-{context}", settings=settings) as index:
        rooms = index._rooms
        for text, place in asked:
            found = find(rooms, Request(text))
            legs = {
                "dense": found.snapshot.dense(found.asked.encoded.vector, k=K)[0],
                "lexical": found.snapshot.lexical(found.asked.query, k=K)[0],
                "search": found.keys[:K],
            }
            for leg, keys in legs.items():
                chunks = found.snapshot.chunks(keys)
                missed[leg] += not any(
                    c.doc_id == place[0] and c.start < place[2] and c.end > place[1] for c in chunks
                )
    return {leg: count / len(asked) for leg, count in missed.items()}


def main() -> None:
    """Both indexes, one table."""
    path, places = articles()
    asked = questions(places)
    plain, with_context = (failures(context, path, asked) for context in (False, True))
    base = plain["dense"]
    rows = [[leg, plain[leg], with_context[leg], f"{1 - with_context[leg] / base:+.0%}"] for leg in plain]
    print(table(["leg", "failure@20 plain", "with context", "cut against plain dense"], rows))
    write("context", {"questions": len(asked), "plain": plain, "context": with_context})


if __name__ == "__main__":
    main()
