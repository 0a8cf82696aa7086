"""Learning without anybody's questions: made from documents and replayed as if their words were not there.

They choose the dials of the untrained sum and nothing else. A forest taught with them learns how they were
made, and real questions get worse (bench/LOG.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fingerpost.compiler import questions
from fingerpost.compiler.questions import Made
from fingerpost.errors import FingerpostError, InputError, UsageError
from fingerpost.index.build.situating import Announce, unsaid
from fingerpost.index.epoch import BALANCE, Judges
from fingerpost.index.learn import writing
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, planning, ranking
from fingerpost.index.search.ranking import Asked
from fingerpost.records import Report
from fingerpost.rerank import learn as fusion
from fingerpost.retrieve import weigh
from fingerpost.retrieve.weigh import Example, Weighed
from fingerpost.store.snapshot import Snapshot
from fingerpost.store.withheld import Rewritten, Withheld
from fingerpost.text import query as queries
from fingerpost.text.counts import counted

TITLED = ("title", "heading")
MOST = 20_000
"""Questions; each is a search and an encoding or more."""


@dataclass(frozen=True, slots=True)
class Generating:
    """How many questions, and whether the language model writes as many again; ``announce`` is told what
    that will cost.
    """

    count: int
    written: bool = False
    announce: Announce = unsaid


def learn(rooms: Rooms, asked: Generating, progress: Progress) -> Report:
    """Choose the dials of the untrained sum on made questions; publish what serves documents that did not
    choose it.

    Raises UsageError for an index without an encoder, or one that has learned from real pairs; InputError
    E_PAIRS where the documents give too few questions; ConfigError where none can be written. Nothing is
    changed then.
    """
    snapshot = _ready(rooms, asked.count)
    made = list(drawn(snapshot, asked.count, seed=rooms.settings.compile.seed))
    said: tuple[str, ...] = ()
    if asked.written:
        own, said = writing.write(rooms, asked.count, progress, asked.announce)
        made += own
    examples = []
    for at, (key, one) in enumerate(made):
        example = replayed(rooms, snapshot, key, one)
        if example is not None:
            examples.append(example)
        progress("replay", at + 1, len(made))
    if len(examples) < weigh.LEAST:
        raise InputError(
            "E_PAIRS",
            f"the documents give {counted(len(examples), 'usable question')}, {weigh.LEAST} needed",
            cure="learn from pairs of your own: --pairs",
        )
    progress("weigh", 0, 1)
    result = weigh.fit(examples, partial(fusion.folds, seed=rooms.settings.compile.seed))
    progress("weigh", 1, 1)
    kinds = Counter(one.kind for _, one in made)
    made_of = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
    counts = {"generated": float(len(made))} | {f"sum {n}": v for n, v in result.figures.items()}
    notes = (f"generated questions, easier than real ones: {made_of}", *said, *_said(result))
    if result.balance is None:
        return Report(counts, (), (*notes, "nothing was changed"), snapshot.generation)
    return Report(counts, (), notes, rooms.store.republish({BALANCE: result.balance.to_bytes()}))


def _ready(rooms: Rooms, count: int) -> Snapshot:
    """What the questions are asked of, if this index can be weighed by them."""
    snapshot = rooms.store.snapshot()
    epoch = rooms.epoch(snapshot)
    if rooms.encoder is None:
        raise UsageError(
            "E_USAGE", "an index without an encoder has one leg: nothing to weigh", cure="compile with one"
        )
    if not 1 <= count <= MOST:
        raise UsageError("E_RANGE", f"{count} questions are not from 1 to {MOST:,}", cure="ask for fewer")
    if epoch.judges.forest is not None:
        raise UsageError(
            "E_USAGE",
            "this index has learned from real pairs, which made-up questions must not overrule",
            cure="`fingerpost rollback` first, if that is what you want",
        )
    return snapshot


def drawn(snapshot: Snapshot, count: int, *, seed: int) -> Iterator[tuple[int, Made]]:
    """At most ``count`` questions with the key of their document: one a document and pass, of the kind of
    which there are fewest so far, no kind twice for a document. A title that several documents have asks for
    none of them.
    """
    rng = np.random.default_rng(seed)
    documents = rng.permutation(np.unique(snapshot.doc_keys(snapshot.keys())))
    titles = Counter(about.title for about in snapshot.about(documents.tolist()))
    given: Counter[str] = Counter()
    used: set[tuple[int, str]] = set()
    for _ in questions.KINDS:
        for key in documents.tolist():
            chunks = snapshot.chunks(snapshot.chunk_keys(np.array([key])))
            own = chunks and titles[chunks[0].title] == 1
            found = [
                one
                for one in questions.questions(chunks, rng)
                if (key, one.kind) not in used and (own or one.kind not in TITLED)
            ]
            if found:
                made = min(found, key=lambda one: given[one.kind])
                given[made.kind] += 1
                used.add((key, made.kind))
                yield key, made
            if given.total() >= count:
                return


def replayed(rooms: Rooms, snapshot: Snapshot, key: int, made: Made) -> Example | None:
    """The legs' scores for a question, its words withheld from document ``key``; None where no leg finds the
    document then, or the question cannot be asked.
    """
    encoder, epoch = rooms.encoder, rooms.epoch(snapshot)
    assert encoder is not None
    try:
        query = queries.parse(made.query)
    except FingerpostError:
        return None
    asked = Asked(query, encoder.encode_query(query.text))
    view = Withheld(snapshot, _rewritten(rooms, snapshot, key, made))
    # the sparse leg knows the document with the words that are withheld
    candidates = gathering.replayed(rooms, view, replace(epoch, sparse=None), asked)
    right: NDArray[np.bool_] = candidates.docs == key
    if not right.any():
        return None
    judges = Judges(epoch.judges.codec)
    effort = planning.full(rooms.settings.rerank)
    look = ranking.look_again(view, asked, candidates, judges, effort=effort)
    return Example(ranking.legs_of(look.candidates, look.read), right, str(key), made.kind)


def _rewritten(rooms: Rooms, snapshot: Snapshot, key: int, made: Made) -> dict[int, Rewritten]:
    """The document's chunks that read otherwise, encoded as they read now."""
    codec, encoder = rooms.epoch(snapshot).judges.codec, rooms.encoder
    if encoder is None or not made.without:
        return {}
    keys, chunks = snapshot.chunk_keys(np.array([key])), list(made.without.values())
    encoded = encoder.encode_passages([chunk.passage for chunk in chunks], tokens=codec is not None)
    codes = codec.encode(encoded.tokens, encoded.token_ids) if codec else [b""] * len(chunks)
    return {
        int(keys[place]): Rewritten(chunk, vector, code)
        for place, chunk, vector, code in zip(made.without, chunks, encoded.vectors, codes, strict=True)
    }


def _said(result: Weighed) -> tuple[str, ...]:
    """What the gate saw, in words."""
    lines = [f"sum: {result.reason}"]
    if result.figures:
        before, after, error = (result.figures[name] for name in ("shipped", "weighed", "error"))
        lines.append(f"generated held-out nDCG@10: {before:.3f} → {after:.3f} (± {1.96 * error:.3f})")
    if result.balance is not None:
        dials = ", ".join(f"{leg} {weight:g}" for leg, weight in result.balance.weights.items())
        lines.append(f"weights {dials}; power {result.balance.power:g}")
    return tuple(lines)
