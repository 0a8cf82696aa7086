"""The pairs that somebody gave: read, checked against what is in the index, and those of lessons before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from unicodedata import normalize

from fingerpost.errors import InputError, NotFoundError, UsageError
from fingerpost.evaluate.datasets import load
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import itself
from fingerpost.records import GIVEN, ITSELF, Pair
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as queries
from fingerpost.text.counts import counted


@dataclass(frozen=True, slots=True)
class Given:
    """Pairs, their documents' ids as the index spells them, and what was left out of them, in words; ``ids``
    of the questions by their text, where they were read with ids.
    """

    pairs: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)


def read(source: str | Path | Iterable[Pair] | None) -> Given:
    """Pairs from a BEIR folder (its training split), JSON Lines of query and doc_id, or as they are.

    Raises InputError E_PAIRS for what is no pair or asks nothing, E_QRELS for a file that cannot be used.
    """
    if source is None:
        return Given()
    if not isinstance(source, str | Path):
        return Given(tuple(_checked(pair, at) for at, pair in enumerate(source, start=1)))
    found = load(Path(source), "train")  # which documents exist is the index's to say, not the folder's
    return Given(
        tuple(
            Pair(found.queries[query_id], normalize("NFC", doc_id), weight=1.0)
            for query_id, grades in found.qrels.items()
            for doc_id, grade in grades.items()
            if grade > 0
        ),
        found.notes,
        {text: query_id for query_id, text in found.queries.items()},
    )


def _checked(pair: Pair, number: int) -> Pair:
    if not isinstance(pair, Pair):
        raise _bad(f"pair {number:,} is {type(pair).__name__}", "give fingerpost.Pair(query, doc_id)")
    try:
        queries.parse(pair.query)
    except UsageError as error:
        raise _bad(f"pair {number:,}: {error.message}", "mend its question, or leave the pair out") from error
    return replace(pair, doc_id=normalize("NFC", pair.doc_id))


def marked(snapshot: Snapshot, given: Given) -> Given:
    """The pairs, those of questions that are documents themselves marked by their origin."""
    texts, answers = dict[str, str](), defaultdict[str, set[str]](set)
    for pair in given.pairs:
        if (query_id := given.ids.get(pair.query)) is not None:
            texts[query_id] = pair.query
            answers[query_id].add(pair.doc_id)
    own = {texts[query_id] for query_id in itself.named(snapshot, texts, answers)}
    pairs = (replace(pair, origin=ITSELF) if pair.query in own else pair for pair in given.pairs)
    return replace(given, pairs=tuple(pairs))


def earlier(rooms: Rooms) -> list[Pair]:
    """The pairs that people gave before."""
    return [pair for pair in rooms.store.pairs() if pair.origin in GIVEN]


def usable_of(snapshot: Snapshot, before: list[Pair], given: Given) -> tuple[dict[tuple[str, str], int], int]:
    """The key of the document of each different question and doc_id that can be used, those given before
    first, and how many pairs name a document that is not in the index.

    Raises InputError E_PAIRS where that is most of those that are given now, or nothing is left.
    """
    keys = {doc_id: key_of(snapshot, doc_id) for doc_id in {pair.doc_id for pair in (*before, *given.pairs)}}
    usable: dict[tuple[str, str], int] = {}
    for pair in (*before, *given.pairs):
        if (key := keys[pair.doc_id]) is not None:
            usable[pair.query, pair.doc_id] = key
    new = {(pair.query, pair.doc_id) for pair in given.pairs}
    gone = len(new - set(usable))
    everything = new | {(pair.query, pair.doc_id) for pair in before}
    if not everything:
        raise _bad("no pairs were given, now or before", "give some, or record clicks and learn from the log")
    if not usable:
        raise _bad(
            f"none of the pairs ({len(everything):,}) names a document of this index",
            "check the ids with `fingerpost search --json`, or compile the documents first",
        )
    if gone > len(new) - gone:
        raise _bad(
            f"{gone:,} of {counted(len(new), 'pair names', 'pairs name')} documents that are not "
            "in this index",
            "check the ids with `fingerpost search --json`, or leave these pairs out",
        )
    return usable, len(everything) - len(usable)


def key_of(snapshot: Snapshot, doc_id: str) -> int | None:
    """A document's key; None where there is no such document."""
    try:
        return snapshot.doc_key(doc_id)
    except NotFoundError:
        return None


def _bad(message: str, cure: str) -> InputError:
    return InputError("E_PAIRS", message, cure=cure)
