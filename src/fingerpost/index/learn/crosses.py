"""Training a reranker for an index: a cross-encoder made from its encoder, its pairs and its own mistakes.

    pairs -> untrained search -> the passages that it puts first: one right, the others wrong
          -> train on the documents of three folds, judge on those of the fourth -> a folder, or a refusal

It is judged as it would serve, in 8 bits and to the configured depth, on questions whose documents no
training question named. How far its word goes beside the search's is chosen on half of them for the other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import InputError, UsageError
from fingerpost.index.epoch import Epoch, Judges
from fingerpost.index.learn.given import earlier, read
from fingerpost.index.learn.lesson import Lesson, prepare
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, planning, ranking
from fingerpost.models.base import Base, load_base
from fingerpost.records import Pair, Report
from fingerpost.rerank.cross import CrossEncoder, pair_tokenizer, together
from fingerpost.rerank.learn import folds, ndcg
from fingerpost.route.deep import cross as deep
from fingerpost.route.deep.cross import Dials, Example
from fingerpost.route.deep.lazy import require
from fingerpost.route.deep.pairnet import Pair as PairPieces
from fingerpost.route.deep.steps import Watch, nobody
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.counts import counted

MOST_EXAMPLES, MOST_HELD = 3_000, 400
LEAST_HELD = 40
WRONG = 4
"""Wrong passages beside the right one, drawn from those that the search puts first."""
WEIGHTS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
NEEDED = ("model.onnx", "tokenizer.json", "config.json")


@dataclass(frozen=True)
class Seen:
    """What the untrained search puts first for a question: passages, their scores and whether their
    documents are right; ``grades`` are those of all candidates' documents, best first.
    """

    query: str
    passages: tuple[str, ...]
    scores: NDArray[np.float64]
    docs: NDArray[np.int64]
    answers: frozenset[int]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which passages are of a right document."""
        return np.isin(self.docs[: len(self.passages)], list(self.answers))

    def value(self, judged: NDArray[np.float64] | None = None, weight: float = 0.0) -> float:
        """nDCG@10 of the documents, after the cross-encoder's scores with that weight."""
        count = len(self.passages)
        order = np.arange(len(self.docs))
        if judged is not None and weight:
            order[:count] = np.argsort(-together(self.scores[:count], judged, weight), kind="stable")
        _, first = np.unique(self.docs[order], return_index=True)
        ranked = self.docs[order][np.sort(first)]
        grades = np.isin(ranked, list(self.answers)).astype(np.int32)
        missing = np.ones(len(self.answers) - int(grades.sum()), np.int32)  # right, but no candidate
        padded = np.concatenate([grades, np.zeros(10, np.int32), missing])
        return ndcg(-np.arange(len(padded), dtype=np.float64), padded)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Held-out nDCG@10 without and with the reranker, each question judged with a weight chosen on others."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    weight: float

    @property
    def error(self) -> float:
        """The standard error of the mean gain."""
        gains = self.after - self.before
        return float(gains.std(ddof=1) / np.sqrt(len(gains)))

    @property
    def accepted(self) -> bool:
        """Better by more than the error."""
        return bool(self.weight) and float((self.after - self.before).mean()) > self.error


@dataclass(frozen=True, slots=True)
class Course:
    """What to train on (None: the pairs given before), with which dials, and who is told of every step."""

    pairs: str | Path | Iterable[Pair] | None = None
    dials: Dials = field(default_factory=Dials)
    watch: Watch = nobody


def train(rooms: Rooms, to: Path, course: Course, progress: Progress) -> Report:
    """Make the reranker at ``to``, for ``rerank.cross_encoder``; ``counts["kept"]`` is 0 where it is refused.

    Raises UsageError where ``to`` is taken, InputError E_PAIRS where too few pairs can be used, ModelError,
    MissingExtraError without the extra ``train``.
    """
    draft = to.with_name(f"{to.name}.draft")
    _ours(to, NEEDED)
    _ours(draft, (*NEEDED, deep.CHECKPOINT, Path(deep.CHECKPOINT).with_suffix(".draft").name))
    require()
    dials, base = course.dials, load_base(rooms.settings.models)
    snapshot = rooms.store.snapshot()
    pairs = read(course.pairs)
    if not pairs.pairs and not earlier(rooms):
        raise UsageError("E_USAGE", "no pairs to train on", cure="name a folder or file with --pairs")
    lesson = prepare(rooms, snapshot, pairs, progress)
    examples, held, notes = material(rooms, snapshot, lesson, progress)
    _write(draft, base, dials, weight=1.0)
    graph = deep.train(
        examples,
        base,
        reader(draft),
        dials=dials,
        seed=rooms.settings.compile.seed,
        folder=draft,
        watch=course.watch,
    )
    (draft / "model.onnx").write_bytes(graph)
    verdict = judge(CrossEncoder(draft), held, progress)
    counts = {
        "pairs": float(len(lesson.pairs.query)),
        "examples": float(len(examples)),
        "held": float(len(held)),
    }
    notes = (*lesson.notes, *notes, *table(verdict))
    if verdict.accepted:
        _write(draft, base, dials, weight=verdict.weight)
        shutil.rmtree(to, ignore_errors=True)
        _publish(draft, to)
        notes = (*notes, f"to use it: [rerank] cross_encoder = {json.dumps(str(to))}")
    shutil.rmtree(draft, ignore_errors=True)
    return Report({**counts, "kept": float(verdict.accepted)}, (), notes, snapshot.generation)


def material(
    rooms: Rooms, snapshot: Snapshot, lesson: Lesson, progress: Progress
) -> tuple[list[Example], list[Seen], tuple[str, ...]]:
    """Examples to train on and questions to judge with, of different documents."""
    seed = rooms.settings.compile.seed
    random = np.random.default_rng(seed)
    fold = folds(lesson.families, seed=seed)
    order = random.permutation(len(lesson.asked))
    train, held = order[fold[order] > 0][:MOST_EXAMPLES], order[fold[order] == 0][:MOST_HELD]
    if len(held) < LEAST_HELD:
        raise InputError(
            "E_PAIRS",
            f"{counted(len(held), 'question')} can be held out of training, {LEAST_HELD} are needed",
            cure=f"give pairs for at least {4 * LEAST_HELD} questions",
        )
    seen: dict[int, Seen] = {}
    for count, at in enumerate([*train.tolist(), *held.tolist()], start=1):
        seen[at] = look(rooms, snapshot, lesson, at)
        progress("mine", count, len(train) + len(held))
    drawn = [example(seen[at], random) for at in train.tolist()]
    examples = [one for one in drawn if one is not None]
    if not examples:
        raise InputError(
            "E_PAIRS", "the search finds no right passage for any question", cure="check the pairs"
        )
    lost = len(drawn) - len(examples)
    said = f"{counted(lost, 'question')} left out: no right passage, or no wrong one, among the first"
    return examples, [seen[at] for at in held.tolist()], (said,) if lost else ()


def look(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, at: int) -> Seen:
    """The untrained search of one question: what was learned from these pairs must not judge them."""
    asked, settings = lesson.asked[at], rooms.settings.rerank
    known = rooms.epoch(snapshot)
    epoch = Epoch(known.router, Judges(known.judges.codec))
    found = gathering.replayed(rooms, snapshot, epoch, asked, own=lesson.own[at])
    seen = ranking.look_again(snapshot, asked, found, epoch.judges, effort=planning.full(settings))
    ranked = ranking.rank(snapshot, asked, seen, epoch.judges)
    order, depth = ranked.order, max(settings.cross_depth, WRONG + 1)
    chunks = ranked.chunks(snapshot, ranked.candidates.keys[order[:depth]])
    texts = tuple(chunk.text for chunk in chunks)
    return Seen(asked.query.text, texts, ranked.scores[order], found.docs[order], lesson.answers[at])


def example(seen: Seen, random: np.random.Generator) -> Example | None:
    """The best right passage and some of the wrong ones; None where either is missing."""
    right, wrong = np.flatnonzero(seen.right), np.flatnonzero(~seen.right)
    if not len(right) or not len(wrong):
        return None
    drawn = np.sort(random.permutation(wrong)[:WRONG])
    return Example(seen.query, seen.passages[right[0]], tuple(seen.passages[at] for at in drawn.tolist()))


def judge(encoder: CrossEncoder, held: Sequence[Seen], progress: Progress) -> Verdict:
    """Score the held questions, and choose the weight: for each half on the other, at last on both."""
    values = np.zeros((len(held), len(WEIGHTS)))
    for at, seen in enumerate(held):
        judged = encoder.score(seen.query, seen.passages) if seen.passages else None
        values[at] = [seen.value(judged, weight) for weight in WEIGHTS]
        progress("judge", at + 1, len(held))
    half = np.arange(len(held)) % 2 == 0
    after = np.zeros(len(held))
    for mine in (half, ~half):
        after[mine] = values[mine, _best(values[~mine])]
    return Verdict(values[:, 0], after, WEIGHTS[_best(values)])


def table(verdict: Verdict) -> tuple[str, ...]:
    """What the gate saw."""
    gain, word = verdict.after - verdict.before, "kept" if verdict.accepted else "refused"
    changed = f"{(gain > 0).sum()} better, {(gain < 0).sum()} worse, {(gain == 0).sum()} as before"
    return (
        f"{counted(len(gain), 'held-out question')}   search   with reranker",
        f"nDCG@10 {verdict.before.mean():22.3f}   {verdict.after.mean():.3f} (± {1.96 * verdict.error:.3f})",
        f"{changed}; weight {verdict.weight:g}: {word}",
    )


def _ours(folder: Path, names: Sequence[str]) -> None:
    """Raise UsageError unless there is nothing at ``folder``, or a folder of such files alone."""
    if folder.is_dir() and all(path.name in names for path in folder.iterdir()):
        return
    if folder.exists():
        raise UsageError("E_USAGE", f"{folder} holds something else", cure="name a new folder with --to")


def _best(values: NDArray[np.float64]) -> int:
    return int(np.argmax(values.mean(axis=0)))


def reader(folder: Path) -> deep.Reader:
    """Questions and passages as the cross-encoder in the folder reads them."""
    tokenizer = pair_tokenizer(folder)

    def read(query: str, passage: str) -> PairPieces:
        pieces = tokenizer.encode(query, passage)
        return PairPieces(np.array(pieces.ids, np.int32), len(pieces.ids) - sum(pieces.type_ids))

    return read


def _write(folder: Path, base: Base, dials: Dials, *, weight: float) -> None:
    """What stands beside the network of a cross-encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = base.network.shape
    config: Mapping[str, object] = {
        "model_type": "bert",
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": dials.pieces,
        "fingerpost": {"weight": weight, "layers": dials.layers},
    }
    shutil.copyfile(base.source.folder / "tokenizer.json", folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def _publish(draft: Path, to: Path) -> None:
    to.mkdir(parents=True)
    for name in NEEDED:
        (draft / name).replace(to / name)
