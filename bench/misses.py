"""Where every miss of the real sets was lost: one cause each, counted.

    python -m bench.misses [scifact squad4 cosqa spider-tables] [--count 20]

Uses the indexes that ``python -m bench.quality`` left in bench/cache (they are only read). A miss is a
relevant document of a test question that is not among the first ``count``; which those are is found out from
the rankings alone, apart from the attribution, and both must name the same ones, each once.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate.attribute import CAUSES, Miss
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index import Index
from fingerpost.index.search import listing, searching
from fingerpost.index.search.found import Request

SETS = ("scifact", "squad4", "cosqa", "spider-tables")


def lost(index: Index, questions: QuestionSet, count: int) -> set[tuple[str, str]]:
    """The misses as the rankings tell them: (query id, document id)."""
    found = set()
    for query_id, text in questions.queries.items():
        ranked = searching.find(index._rooms, Request(text))
        run = listing.by_document(ranked.snapshot, ranked.keys, ranked.scores, k=count)
        wanted = {doc_id for doc_id, grade in questions.qrels[query_id].items() if grade > 0}
        found |= {(query_id, doc_id) for doc_id in wanted - {doc_id for doc_id, _ in run}}
    return found


def checked(misses: list[Miss], expected: set[tuple[str, str]]) -> None:
    """Every miss has one cause of those that there are, with evidence."""
    named = Counter((miss.query_id, miss.doc_id) for miss in misses)
    if set(named) != expected or set(named.values()) - {1}:
        sys.exit(f"not each miss once: {len(misses):,} attributed, {len(expected):,} in the rankings")
    if not all(miss.cause in CAUSES and miss.evidence for miss in misses):
        sys.exit("a miss without cause or evidence")


def main() -> None:
    """Attribute, check, count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    rows: list[list[object]] = []
    result: dict[str, object] = {}
    for name in options.sets:
        questions = load_beir(data_folder() / name)
        settings = Settings.model_validate({"compile": {"threads": 1}})
        with fingerpost.open(CACHE / "quality" / name, settings=settings) as index:
            misses = index.misses(questions, k=options.count)
            checked(misses, lost(index, questions, options.count))
        wanted = sum(grade > 0 for row in questions.qrels.values() for grade in row.values())
        causes = Counter(miss.cause for miss in misses)
        rows.append([name, len(questions.queries), wanted, len(misses), *(causes[each] for each in CAUSES)])
        result[name] = {"queries": len(questions.queries), "relevant": wanted, "causes": dict(causes)}
        print(table(["set", "queries", "relevant", "missed", *CAUSES], rows), flush=True)
    write("misses", {"count": options.count, "sets": result})


if __name__ == "__main__":
    main()
