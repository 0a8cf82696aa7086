"""What context before a chunk is worth on documents longer than a chunk.

    python -m bench.context

The paragraphs of each article of squad4 are joined into one long document; a question's evidence is its
paragraph. failure@20: none of the first 20 chunks overlaps the evidence. Compiled with chunks of 128 word
pieces, with and without context; questions are of the test split (1,000 by a seeded draw). ``hybrid`` is the
reciprocal rank fusion of dense and lexical, ``search`` adds late interaction and the untrained fusion. With
``--config`` a language model situates the chunks (``compile.situate``) in a third index.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings, load, parse
from fingerpost.evaluate.significance import interval
from fingerpost.index.search.found import Request
from fingerpost.index.search.searching import find
from fingerpost.records import Chunk

QUESTIONS = 1_000
K = 20
DEEP = 100
LEGS = ("dense", "lexical", "hybrid", "search")
Place = tuple[str, int, int]


def fused(*rankings: np.ndarray) -> list[int]:
    """Reciprocal rank fusion, k = 60 (doi:10.1145/1571941.1572114)."""
    scores: dict[int, float] = defaultdict(float)
    for keys in rankings:
        for rank, key in enumerate(keys.tolist(), start=1):
            scores[key] += 1 / (60 + rank)
    return sorted(scores, key=lambda key: (-scores[key], key))


def articles() -> tuple[Path, dict[str, Place]]:
    """The long documents as JSON Lines, and where each paragraph stands: article, start, end."""
    texts: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with (data_folder() / "squad4" / "corpus.jsonl").open() as file:
        for record in map(json.loads, file):
            if record["title"]:
                texts[record["title"]].append((record["_id"], record["text"]))
    places: dict[str, Place] = {}
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


def questions(places: dict[str, Place], splits: tuple[str, ...] = ("test",)) -> list[tuple[str, Place]]:
    """Questions whose paragraph is in an article, of the test split where nothing else is asked for."""
    folder = data_folder() / "squad4"
    texts = {record["_id"]: record["text"] for record in map(json.loads, (folder / "queries.jsonl").open())}
    files = [folder / "qrels" / f"{split}.tsv" for split in splits]
    lines = [line.split("\t") for file in files for line in file.read_text().splitlines()[1:]]
    found = [(texts[query], places[doc]) for query, doc, _ in lines if doc in places]
    order = np.random.default_rng(0).permutation(len(found))[:QUESTIONS]
    return [found[at] for at in order]


def failures(
    settings: Settings, name: str, path: Path, asked: list[tuple[str, Place]], *, k: int = K
) -> dict[str, np.ndarray]:
    """For each leg, which questions fail: float64 [n], 1 where none of the first ``k`` chunks is evidence."""
    missed: dict[str, list[float]] = defaultdict(list)
    with fingerpost.compile(path, to=CACHE / name, settings=settings, announce=print) as index:
        rooms = index._rooms
        for text, place in asked:
            found = find(rooms, Request(text, k=k))
            assert found.asked.encoded is not None
            dense = found.snapshot.dense(found.asked.encoded.vector, k=DEEP)[0]
            lexical = found.snapshot.lexical(found.asked.query, k=DEEP)[0]
            legs = {
                "dense": dense[:k],
                "lexical": lexical[:k],
                "hybrid": np.array(fused(dense, lexical)[:k], np.int64),
                "search": found.keys[:k],
            }
            for leg, keys in legs.items():
                missed[leg].append(float(not _holds(found.snapshot.chunks(keys), place)))
    return {leg: np.array(row) for leg, row in missed.items()}


def _holds(chunks: list[Chunk], place: Place) -> bool:
    doc_id, start, end = place
    return any(chunk.doc_id == doc_id and chunk.start < end and chunk.end > start for chunk in chunks)


def main() -> None:
    """The indexes, one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--config", type=Path, help="settings with [llm]: situate the chunks in a third index"
    )
    options = parser.parse_args()
    path, places = articles()
    asked = questions(places)
    kinds = {
        "plain": parse("[compile]\nchunk_tokens = 128\ncontext = false"),
        "context": parse("[compile]\nchunk_tokens = 128\ncontext = true"),
    }
    if options.config:
        given = load(options.config)
        situated = given.compile.model_copy(update={"chunk_tokens": 128, "situate": True})
        kinds["situated"] = given.model_copy(update={"compile": situated})
    failed = {kind: failures(one, f"context-{kind}", path, asked) for kind, one in kinds.items()}
    base = float(failed["plain"]["dense"].mean())
    rows: list[list[object]] = []
    for kind, legs in failed.items():
        for leg in LEGS:
            mean = float(legs[leg].mean())
            low, high = interval(legs[leg][:, None])[:, 0]
            rows.append([kind, leg, mean, f"[{low:.3f}, {high:.3f}]", f"{mean / base - 1:+.0%}"])
    print(table(["chunks", "leg", "failure@20", "95 %", "against plain dense"], rows))
    means = {kind: {leg: float(row.mean()) for leg, row in legs.items()} for kind, legs in failed.items()}
    write("context", {"questions": len(asked), "failure@20": means})


if __name__ == "__main__":
    main()
