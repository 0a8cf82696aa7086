"""Learning: pairs of queries and documents make the docid memory and the fusion, or change nothing.

Every query is scored by a memory that never saw it (out of fold) before the fusion learns how far to trust
the memory: one judged on its own training queries looks perfect and would be believed blindly. The figures
in the report are for queries and documents that the judging parts were not trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.epoch import CONFIDENCE, FOREST, LESSON, MEMORY, PLAN, ROUTER, Judges
from fingerpost.index.learn import promoting, steering
from fingerpost.index.learn.given import Given, read
from fingerpost.index.learn.lesson import Lesson, prepare
from fingerpost.index.learn.marks import Marks
from fingerpost.index.learn.promoting import Comparison
from fingerpost.index.learn.reverting import keep_pairs, known_pairs
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, planning, ranking
from fingerpost.index.search.planning import Replayed
from fingerpost.records import Pair, Report
from fingerpost.rerank import learn as fusion
from fingerpost.rerank.learn import FitResult, Group
from fingerpost.route import calibrate, gate, plan
from fingerpost.route.confidence import Confidence
from fingerpost.route.memory import Memory
from fingerpost.store.snapshot import Snapshot

FUSION_QUERIES = 4_000
"""Queries that train the fusion; more changed no figure beyond its error."""
TELLING = 100
"""So many questions of which the memory learns nothing are not waiting for more of their kind."""


def learn(rooms: Rooms, source: str | Path | Iterable[Pair], progress: Progress) -> Report:
    """Train on all pairs, the new and the earlier ones; publish what makes held-out queries better than
    nothing learned, and none of them worse than the lesson that serves.

    Raises InputError E_PAIRS (too few, unknown documents, poisoned); nothing is changed then.
    """
    given = read(source)
    snapshot = rooms.store.snapshot()
    lesson = prepare(rooms, snapshot, given, progress)
    taught = teach(rooms, snapshot, lesson, progress)
    figures = {f"fusion {name}": value for name, value in taught.result.figures.items()}
    counts = {"pairs": float(len(lesson.pairs.query)), "queries": float(len(lesson.asked)), **figures}
    beside = promoting.compare(rooms, snapshot, lesson, taught.marks) if taught.artifacts else Comparison()
    notes = (*lesson.notes, *taught.notes, *beside.notes)
    if not taught.artifacts or beside.refused:
        notes = (*notes, _refused(rooms, given, taught, beside), "nothing was changed")
        return Report(counts, (), notes, snapshot.generation)
    keep_pairs(rooms, given)
    return Report(counts, (), notes, publish(rooms, taught))


def publish(rooms: Rooms, taught: Taught, beside: Mapping[str, bytes] | None = None) -> int:
    """A lesson as one generation, with what was trained ``beside`` it; its number."""
    artifacts = {**taught.artifacts, **lesson_of(rooms, taught), **(beside or {})}
    return rooms.store.republish(artifacts, drop=(CONFIDENCE,))  # of the lesson before, if this one has none


def lesson_of(rooms: Rooms, taught: Taught) -> dict[str, bytes]:
    """The artifact by which the next lesson, and a rollback, know this one."""
    newest = int(rooms.store.live().keys.max(initial=0))
    last = max(rooms.store.desk.last_pair, known_pairs(rooms.store))  # the newest may be deleted by now
    return {LESSON: taught.marks.to_bytes(pairs=last, newest=newest)}


def _refused(rooms: Rooms, given: Given, taught: Taught, beside: Comparison) -> str:
    """Keep pairs for the next lesson that were too few to judge, or that agree with one another, which only
    together may be enough; not those that nothing can be learned from, or that make what serves worse.
    """
    count = len(taught.result.values)  # though few of them may be of any use
    if beside.refused or (count >= TELLING and not taught.consistent):
        return "the pairs are not kept"
    keep_pairs(rooms, given)
    kept = "the pairs are kept for the next lesson"
    if taught.consistent:
        return kept
    return f"{kept}: whether they agree is judged from {TELLING} questions on, these are {count:,}"


@dataclass(frozen=True)
class Taught:
    """What a lesson taught: the artifacts to publish (none where nothing was better), and how that was
    judged: ``result.values`` is the held-out nDCG@10 of each query that trained the fusion, ``marks`` the
    same over documents. ``consistent``: the memory finds held-out questions by what the others taught it.
    """

    artifacts: Mapping[str, bytes]
    result: FitResult
    marks: Marks
    notes: tuple[str, ...]
    consistent: bool


def teach(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, progress: Progress) -> Taught:
    """Train all that a lesson can train; nothing is published."""
    found = train(rooms, snapshot, lesson, progress)
    if found.result.forest is None:
        return Taught({}, found.result, found.marks, found.notes, found.consistent)
    artifacts = {
        MEMORY: found.memory.to_bytes(),
        FOREST: found.result.forest.to_bytes(),
        PLAN: found.plan.to_bytes(),
    }
    if found.confidence is not None:
        artifacts[CONFIDENCE] = found.confidence.to_bytes()
    router, said = steering.train(rooms, snapshot, lesson)
    if router is not None:
        artifacts[ROUTER] = router.to_bytes()
    return Taught(artifacts, found.result, found.marks, (*found.notes, *said), found.consistent)


@dataclass(frozen=True)
class Trained:
    """The memory, the fusion that was taught with memories that never saw its queries, the plan, and what
    they did on held-out queries.
    """

    memory: Memory
    result: FitResult
    plan: plan.Plan
    confidence: Confidence | None
    marks: Marks
    notes: tuple[str, ...]
    consistent: bool


def train(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, progress: Progress) -> Trained:
    """Train what ranks; nothing is published."""
    standing = rooms.store.live()
    vectors = rooms.store.vectors(standing.keys)
    seed = rooms.settings.compile.seed
    memory, verdict = gate.train(vectors, standing.docs, lesson.pairs, seed=seed, progress=progress)
    fold, memories = gate.out_of_fold(vectors, standing.docs, lesson.pairs, like=memory, seed=seed)
    late = _late(lesson, fold, memories)
    memory = calibrate.with_scope(memory, lesson.pairs.queries, np.where(late, -1, fold), memories)
    chosen, replayed = drawn(rooms, lesson), []
    for count, at in enumerate(chosen, start=1):
        replayed.append(_replay(rooms, snapshot, lesson, at, memories[int(fold[at])], late=bool(late[at])))
        progress("replay", count, len(chosen))
    result = fusion.fit([one.full for one in replayed], seed=seed, threads=rooms.threads)
    settings, tried = rooms.settings.rerank, planning.tried(replayed, result)
    chooser, said = planning.taught(tried, settings, seed=seed)
    confidence, told = planning.believed(tried, chooser, settings, seed=seed)
    marks = Marks.of(lesson, np.array(chosen), replayed, result)
    notes = (*memory.notes, *_said(verdict, result), *said, *told)
    return Trained(memory, result, chooser, confidence, marks, notes, verdict.consistent)


def drawn(rooms: Rooms, lesson: Lesson) -> list[int]:
    """The questions of a lesson that are replayed: all, or as many as train the fusion."""
    order = np.random.default_rng(rooms.settings.compile.seed).permutation(len(lesson.asked))
    found: list[int] = np.sort(order[:FUSION_QUERIES]).tolist()
    return found


def _late(lesson: Lesson, fold: NDArray[np.int64], memories: Sequence[Memory]) -> NDArray[np.bool_]:
    """Which questions are answered by a document that is withheld from the memory they are replayed with."""
    withheld = [frozenset(memory.withheld.tolist()) for memory in memories]
    pairs = zip(lesson.answers, fold.tolist(), strict=True)
    return np.array([not answers.isdisjoint(withheld[at]) for answers, at in pairs], np.bool_)


def _replay(
    rooms: Rooms, snapshot: Snapshot, lesson: Lesson, at: int, memory: Memory, *, late: bool
) -> Replayed:
    """One training query with a memory that never saw it."""
    asked, epoch = lesson.asked[at], rooms.epoch(snapshot)
    proposed, standing = lesson.proposed[at], epoch.judges
    candidates = gathering.replayed(
        rooms, snapshot, epoch, asked, memory=memory, proposed=proposed, own=lesson.own[at]
    )
    judges = Judges(standing.codec, balance=standing.balance)
    looks = planning.looks(snapshot, asked, candidates, judges, rooms.settings.rerank)
    told = ranking.memory_columns(snapshot, asked, candidates, memory)
    rows, unread, none = (ranking.feature_rows(asked, look, told) for look in looks)
    grades = np.isin(candidates.docs, list(lesson.answers[at])).astype(np.int32)
    features = planning.before(candidates), planning.after(looks[0].candidates, judges)
    group = Group(rows, grades, lesson.families[at], late, candidates.docs)
    return Replayed(group, (unread, none), features)


def _said(verdict: gate.Verdict, result: FitResult) -> tuple[str, ...]:
    """What the gates saw, in words."""
    lines = [f"fusion: {result.reason}"]
    if verdict.chosen is not None:
        seen = f"{verdict.untrained.seen:.3f} → {verdict.chosen.seen:.3f}"
        unseen = f"{verdict.untrained.unseen:.3f} → {verdict.chosen.unseen:.3f}"
        lines.append(f"memory, held-out reciprocal rank: documents seen {seen}, unseen {unseen}")
    if result.figures:
        before, after, error = (result.figures[name] for name in ("untrained", "learned", "error"))
        lines.append(f"search, held-out nDCG@10: {before:.3f} → {after:.3f} (± {1.96 * error:.3f})")
    return tuple(lines)
