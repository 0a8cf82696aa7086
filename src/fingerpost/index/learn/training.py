"""Deep training: what torch trains for an index, put to use only where held-out questions become better.

Two gates. The first compares vectors alone, documents without training questions apart. The second compares
the whole search with everything it learns from the same pairs: with what was trained, and without. Both
judge questions that neither the trained part nor the fusion has seen.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import UsageError
from fingerpost.index.epoch import CONFIDENCE, DSI, FOREST, MEMORY, PLAN, QUERIES
from fingerpost.index.learn import learning, promoting, surety
from fingerpost.index.learn.given import Given, earlier, key_of, read
from fingerpost.index.learn.learning import Taught
from fingerpost.index.learn.lesson import Lesson, prepare
from fingerpost.index.learn.reverting import keep_pairs
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering
from fingerpost.models.base import load_base
from fingerpost.models.encoder import EncodedQuery
from fingerpost.records import Pair, Report
from fingerpost.route.deep import dsi, seq2seq, towers, tune
from fingerpost.route.deep import queries as deep
from fingerpost.route.deep.artifact import Tuned, names_of
from fingerpost.route.deep.decoder import memory
from fingerpost.route.deep.held import Verdict
from fingerpost.route.deep.lazy import require
from fingerpost.route.deep.served import Generative
from fingerpost.route.deep.steps import Watch, nobody
from fingerpost.route.succession import GONE
from fingerpost.store.snapshot import Snapshot

KINDS = ("query", "both", "dsi")
TITLES = ("title", "heading", "docstring", "faq")
TITLES_EACH = 2
"""What a document calls itself, at most so often, that a DSI is trained on."""
MOST_TITLES = 20_000
FOLDER = "training"
"""Where checkpoints lie inside an index folder until a training ends."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Held-out nDCG@10 of the whole search without and with what was trained, and the error of the gain."""

    before: float
    after: float
    error: float

    @property
    def accepted(self) -> bool:
        """Better by more than the error."""
        return self.after - self.before > self.error


@dataclass(frozen=True)
class Request:
    """What to train on (None: the pairs given before), who is told of every step, and with which dials;
    ``to`` is the model folder that the kind ``both`` writes.
    """

    pairs: str | Path | Iterable[Pair] | None
    kind: str = "query"
    watch: Watch = nobody
    dials: tune.Dials | seq2seq.Dials | towers.Dials | None = None
    to: Path | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """What passed both gates: its artifacts, what learned with it, and the gates' tables."""

    trained: Mapping[str, bytes]
    taught: Taught
    notes: tuple[str, ...]


def train(rooms: Rooms, request: Request, progress: Progress) -> Report:
    """Train on all pairs, the new and the earlier ones; publish only what passes both gates and, beside the
    lesson that serves, loses nothing. New pairs are kept only then: they are what a lesson was taught.

    ``counts["kept"]`` is 1 where it did. Raises InputError E_PAIRS, MissingExtraError without the extra
    ``train``, UsageError for another kind; nothing is changed then.
    """
    if request.kind not in KINDS:
        said = f"no training of kind {request.kind!r}"
        raise UsageError("E_USAGE", said, cure=f"name one of {', '.join(KINDS)}")
    require()
    given = read(request.pairs)
    if not given.pairs and not earlier(rooms):
        raise UsageError("E_USAGE", "no pairs to train on", cure="name a folder or file with --pairs")
    snapshot = rooms.store.snapshot()
    lesson = prepare(rooms, snapshot, given, progress)
    do = {"query": _queries, "both": _both, "dsi": _dsi}[request.kind]
    found = do(rooms, snapshot, lesson, request, progress)
    report = found if isinstance(found, Report) else _promoted(rooms, snapshot, lesson, given, found)
    shutil.rmtree(rooms.path / FOLDER, ignore_errors=True)
    return report


def _promoted(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, given: Given, passed: Passed) -> Report:
    """Published as one generation, and its pairs kept before it, so that a rollback takes both back; or
    refused where the lesson that serves does better.
    """
    beside = promoting.compare(rooms, snapshot, lesson, passed.taught.marks)
    notes = (*passed.notes, *beside.notes)
    if beside.refused:
        return _refused(_counts(lesson), notes, snapshot)
    keep_pairs(rooms, given)
    generation = _publish(rooms, passed.taught, passed.trained)
    return Report({**_counts(lesson), "kept": 1.0}, (), (*notes, *passed.taught.notes), generation)


def _queries(
    rooms: Rooms, snapshot: Snapshot, lesson: Lesson, request: Request, progress: Progress
) -> Passed | Report:
    lesson = _untouched(lesson)
    texts, counts = _texts(lesson), _counts(lesson)
    outcome = _trained(rooms, texts, lesson, request)
    if outcome.graph is None:
        return _refused(counts, (*lesson.notes, *_table("vectors", outcome.verdict, None)), snapshot)
    plain = learning.teach(rooms, snapshot, lesson, progress)
    moved = _moved(lesson, outcome.queries)
    tuned = learning.teach(rooms, snapshot, moved, progress)
    sure = surety.Sure(None, tuned.result.values)
    if tuned.result.forest is None:
        sure = surety.choose(rooms, snapshot, moved)
    judged = judge(plain.result.values, sure.values)
    notes = (*lesson.notes, *_table("vectors", outcome.verdict, judged))
    if not judged.accepted:
        return _refused(counts, notes, snapshot)
    encoder = Tuned(outcome.graph, rooms.store.fingerprint, names_of(texts), outcome.queries, sure.cosine)
    return Passed({QUERIES: encoder.to_bytes()}, tuned, notes)


def _trained(rooms: Rooms, texts: list[str], lesson: Lesson, request: Request) -> deep.Outcome:
    standing, seed = rooms.store.live(), rooms.settings.compile.seed
    task = deep.Task(texts, lesson.pairs, rooms.store.vectors(standing.keys), standing.docs, seed)
    base, dials = load_base(rooms.settings.models), request.dials
    own = dials if isinstance(dials, tune.Dials) else None
    return deep.train(task, base, dials=own, folder=rooms.path / FOLDER, watch=request.watch)


def _dsi(
    rooms: Rooms, snapshot: Snapshot, lesson: Lesson, request: Request, progress: Progress
) -> Passed | Report:
    outcome = spoken(rooms, snapshot, lesson, request, progress)
    lists = zip(outcome.proposed, outcome.chances, strict=True)
    proposed = tuple((keys[keys != GONE], chances[keys != GONE]) for keys, chances in lists)
    without, within = (
        learning.teach(rooms, snapshot, replace(lesson, proposed=each), progress)
        for each in ((gathering.NOBODY,) * len(lesson.asked), proposed)
    )
    judged = judge(without.result.values, within.result.values)
    notes = (*lesson.notes, *outcome.notes, *_table("DSI alone", outcome.verdict, judged))
    if not judged.accepted:
        return _refused(_counts(lesson), notes, snapshot)
    return Passed({DSI: generative(rooms, lesson, outcome).to_bytes()}, within, notes)


def spoken(
    rooms: Rooms, snapshot: Snapshot, lesson: Lesson, request: Request, progress: Progress
) -> dsi.Outcome:
    """A DSI trained on a lesson, on what documents call themselves and on their chunks; not judged yet."""
    standing, seed = rooms.store.live(), rooms.settings.compile.seed
    asked = [memory_of(one.encoded) for one in lesson.asked if one.encoded is not None]
    called, vectors = titles(rooms, snapshot, progress), rooms.store.vectors(standing.keys)
    task = dsi.Task(asked, lesson.pairs, called, vectors, standing.docs, seed)
    own = request.dials if isinstance(request.dials, seq2seq.Dials) else None
    return dsi.train(task, dials=own, folder=rooms.path / FOLDER, watch=request.watch)


def generative(rooms: Rooms, lesson: Lesson, outcome: dsi.Outcome) -> Generative:
    """What an index keeps of a DSI."""
    names, held_out = names_of(_texts(lesson)), (outcome.proposed, outcome.chances)
    return Generative(outcome.graph, outcome.docids, rooms.store.fingerprint, names, *held_out)


def _both(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, request: Request, progress: Progress) -> Report:
    """Nothing of this index changes: its vectors are those of another model."""
    to, base, lesson = _free(request.to), load_base(rooms.settings.models), _untouched(lesson)
    standing, seed = rooms.store.live(), rooms.settings.compile.seed
    asked = [base.word_pieces(text) for text in _texts(lesson)]
    shown = [base.passage_pieces(chunk.passage) for chunk in rooms.store.desk.chunks(standing.keys)]
    vectors = rooms.store.vectors(standing.keys)
    task = towers.Task(asked, shown, lesson.pairs, vectors, standing.docs, seed)
    own = request.dials if isinstance(request.dials, towers.Dials) else None
    outcome = towers.train(task, base, dials=own, watch=request.watch)
    notes = (*lesson.notes, *outcome.notes, *_table("both towers", outcome.verdict, None))
    if outcome.network is None:
        return _refused(_counts(lesson), notes, snapshot)
    base.write(outcome.network, to)
    said = f"set models.encoder to {to} and compile into a new folder; this index goes on as it is"
    return Report({**_counts(lesson), "kept": 1.0}, (), (*notes, said), snapshot.generation)


def _free(to: Path | None) -> Path:
    """A folder that may be written, known before minutes are spent."""
    if to is None:
        raise UsageError("E_USAGE", "both towers make a new model", cure="name its folder with --to")
    if to.exists():
        raise UsageError("E_EXISTS", f"{to} is there already", cure="name a folder that is not")
    return to


def titles(rooms: Rooms, snapshot: Snapshot, progress: Progress) -> list[tuple[NDArray[np.float16], int]]:
    """What documents call themselves, encoded, with their keys."""
    chosen: list[tuple[str, int]] = []
    given: Counter[str] = Counter()
    for pair in rooms.store.pairs():
        if pair.origin in TITLES and given[pair.doc_id] < TITLES_EACH and len(chosen) < MOST_TITLES:
            key = key_of(snapshot, pair.doc_id)
            if key is not None:
                given[pair.doc_id] += 1
                chosen.append((pair.query, key))
    encoded = []
    for at, (text, key) in enumerate(chosen):
        if rooms.encoder is not None:
            encoded.append((memory_of(rooms.encoder.encode_query(text)), key))
        progress("encode titles", at + 1, len(chosen))
    return encoded


def memory_of(encoded: EncodedQuery) -> NDArray[np.float16]:
    """What a DSI reads of a query, in half the memory."""
    plain = encoded.plain()
    return memory(plain.vector, plain.tokens).astype(np.float16)


def _texts(lesson: Lesson) -> list[str]:
    return [asked.query.text for asked in lesson.asked]


def _counts(lesson: Lesson) -> dict[str, float]:
    return {"pairs": float(len(lesson.pairs.query)), "queries": float(len(lesson.asked))}


def judge(before: NDArray[np.float64], after: NDArray[np.float64]) -> Judged:
    """The verdict over the same questions' values.

    >>> judge(np.array([0.5, 0.5, 0.6]), np.array([0.7, 0.8, 0.8])).accepted
    True
    """
    gains = after - before
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else float("inf")
    return Judged(float(before.mean()), float(after.mean()), error)


def _publish(rooms: Rooms, taught: Taught, trained: Mapping[str, bytes]) -> int:
    """What was trained and what learned from it, as one generation: what learned without it must not rank
    with it.
    """
    if taught.artifacts:
        return learning.publish(rooms, taught, trained)
    artifacts = {**trained, **learning.lesson_of(rooms, taught)}
    return rooms.store.republish(artifacts, drop=(MEMORY, FOREST, PLAN, CONFIDENCE))


def _untouched(lesson: Lesson) -> Lesson:
    """The lesson with vectors of the encoder that made the index: training starts anew."""
    plain = [asked.encoded.plain() for asked in lesson.asked if asked.encoded is not None]
    return _moved(lesson, np.stack([encoded.vector for encoded in plain]))


def _moved(lesson: Lesson, vectors: NDArray[np.float32]) -> Lesson:
    """The lesson with other vectors [m, d] of its queries."""

    def move(encoded: EncodedQuery | None, vector: NDArray[np.float32]) -> EncodedQuery | None:
        return None if encoded is None else replace(encoded, vector=vector)

    moved = zip(lesson.asked, vectors, strict=True)
    asked = tuple(replace(one, encoded=move(one.encoded, vector)) for one, vector in moved)
    return replace(lesson, asked=asked, pairs=replace(lesson.pairs, queries=vectors))


def _refused(counts: Mapping[str, float], notes: tuple[str, ...], snapshot: Snapshot) -> Report:
    said = (*notes, "the pairs are not kept", "refused: nothing was changed")
    return Report({**counts, "kept": 0.0}, (), said, snapshot.generation)


def _table(what: str, verdict: Verdict, judged: Judged | None) -> tuple[str, ...]:
    """What the gates saw, a line each: ``what`` was trained, against the vectors of the untouched encoder."""
    rows = [
        ("held-out questions", "untrained", "trained"),
        (f"{what}, documents seen, MRR", *(f"{value:.3f}" for value in verdict.seen)),
        (f"{what}, documents unseen, MRR", *(f"{value:.3f}" for value in verdict.unseen)),
    ]
    if judged is not None:
        after = f"{judged.after:.3f} (± {1.96 * judged.error:.3f})"
        rows.append(("search as it would learn, nDCG@10", f"{judged.before:.3f}", after))
    return tuple(f"{name:<34}{before:>10}  {after}" for name, before, after in rows)
