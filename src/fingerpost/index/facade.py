"""Index: what users hold. Each method passes records between the rooms and returns records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING
from unicodedata import normalize

from fingerpost.errors import NotFoundError, UsageError
from fingerpost.evaluate.advise import Advice
from fingerpost.evaluate.attribute import Miss
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.evaluate.fidelity import Fidelity
from fingerpost.evaluate.freshness import Freshness
from fingerpost.evaluate.page import Latency
from fingerpost.evaluate.report import Evaluation
from fingerpost.evaluate.runner import Keep
from fingerpost.index import feedback, health, observing, upkeep
from fingerpost.index.build import updating, watching
from fingerpost.index.build.situating import Announce, unsaid
from fingerpost.index.learn import generated, learning, reverting, training, withdrawing
from fingerpost.index.learn import given as taught_pairs
from fingerpost.index.learn.generated import Generating
from fingerpost.index.learn.training import Request as TrainingRequest
from fingerpost.index.measure import advising, asking, evaluating, explaining, fidelity, timing
from fingerpost.index.progress import Progress, silent
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import answering, searching
from fingerpost.index.search.found import Request
from fingerpost.index.search.spans import spans_of
from fingerpost.observe.trace import Recorder
from fingerpost.records import Answer, Document, Explanation, Pair, Report, Span, Trace
from fingerpost.store.check import Finding

if TYPE_CHECKING:
    from fingerpost.index.learn.crosses import Course

MOST = 1_000
MEASURES = ("nDCG@10", "R@100", "Hits@1", "MRR@10", "AP", "failure@20")


class Index:
    """An index folder, open. Use as a context manager, or ``close`` it.

    ``principals`` on any query are the names its asker holds (``user:anna``, ``group:ops``): documents with
    access labels are found only by who holds one of them.
    """

    def __init__(self, rooms: Rooms, report: Report | None = None) -> None:
        self._rooms = rooms
        self._observing = observing.of(rooms)
        self.report = report or Report()

    def search(
        self, query: str, *, k: int = 10, filters: Sequence[str] = (), principals: Sequence[str] = ()
    ) -> list[Span]:
        """The ``k`` best spans of evidence for a query."""
        return self.trace(query, k=k, filters=filters, principals=principals)[0]

    def trace(
        self, query: str, *, k: int = 10, filters: Sequence[str] = (), principals: Sequence[str] = ()
    ) -> tuple[list[Span], Trace]:
        """Search, and say what was done stage by stage."""
        _check_k(k)
        request = Request(query, filters, principals, k=k)
        if self._observing is None:
            return self._trace(request, k)
        return self._observing.search(query, k, lambda: self._trace(request, k))

    def _trace(self, request: Request, k: int) -> tuple[list[Span], Trace]:
        found = searching.find(self._rooms, request)
        recorder = Recorder()
        with self._rooms.turns.query(), recorder.stage("spans") as stage:
            spans = spans_of(found, k=k, settings=self._rooms.settings)
            stage.counts["spans"] = float(len(spans))
        return spans, searching.extended(found.trace, recorder)

    def ask(self, question: str, *, filters: Sequence[str] = (), principals: Sequence[str] = ()) -> Answer:
        """An answer whose every statement cites a verified span, or a refusal that says why."""
        request = Request(question, filters, principals)
        if self._observing is None:
            return answering.ask(self._rooms, request)
        return self._observing.ask(question, lambda: answering.ask(self._rooms, request))

    def metrics(self) -> str:
        """Counts and times since this index was opened, in Prometheus' text format: `[observe] metrics`."""
        return observing.text(self._observing)

    def document(self, doc_id: str, *, principals: Sequence[str] = ()) -> Document:
        """A document with its text. NotFoundError for one that is not there, or not for these principals."""
        snapshot = self._rooms.store.snapshot()
        return snapshot.document(_normal(doc_id), allow=snapshot.allow(None, principals))

    def explain(
        self, query: str, *, doc_id: str | None = None, k: int = 5, principals: Sequence[str] = ()
    ) -> Explanation:
        """Every factor of the first ``k`` results, or of one document, as a tree."""
        _check_k(k)
        wanted = None if doc_id is None else _normal(doc_id)
        return explaining.explain(self._rooms, Request(query, (), principals, k=k), doc_id=wanted, k=k)

    def route(self, query: str, *, principals: Sequence[str] = ()) -> Explanation:
        """Where the router sends a query, and why."""
        return explaining.route(self._rooms, Request(query, (), principals))

    def update(self, *paths: str | Path, progress: Progress = silent, announce: Announce = unsaid) -> Report:
        """Take in new and changed files, drop what disappeared; searchable when this returns. ``announce`` is
        told what a language model will cost, where one situates chunks, before it is asked. What is folded
        into the next generation is folded beside (``settle`` waits for it); an error of such a fold is raised
        by the next update, before that does anything, or by ``close``.
        """
        return updating.update(self._rooms, paths, progress, announce)

    def watch(self, *paths: str | Path, stop: Event) -> Iterator[Report]:
        """``update`` of ``paths``, and again of whatever changes beneath them, until ``stop`` is set: the
        report of each batch, given once it is searchable. Raises MissingExtraError (extra ``watch``).
        """
        return watching.watch(self.update, self._rooms.path, paths, stop)

    def delete(self, *doc_ids: str) -> Report:
        """Delete documents; gone from every leg when this returns. NotFoundError when none is there."""
        if not doc_ids:
            raise UsageError("E_USAGE", "nothing to delete", cure="name documents by their doc_id")
        wanted = dict.fromkeys(map(_normal, doc_ids))
        absent = [doc_id for doc_id in wanted if not self._rooms.store.desk.stands(doc_id)]
        count = updating.remove(self._rooms, list(wanted))
        if not count:
            raise NotFoundError(
                "E_NOT_FOUND",
                f"no document {', '.join(map(repr, doc_ids))[:200]}",
                cure="take the id from `fingerpost search --json`",
            )
        notes = (f"{len(absent):,} not there: {', '.join(map(repr, absent))[:200]}",) if absent else ()
        return Report({"deleted": float(count)}, (), notes, self._rooms.store.snapshot().generation)

    def learn(
        self,
        pairs: str | Path | Iterable[Pair] | None = None,
        *,
        forget: str | Path | Iterable[Pair] | None = None,
        generate: int = 0,
        written: bool = False,
        progress: Progress = silent,
        announce: Announce = unsaid,
    ) -> Report:
        """Train on pairs of queries and documents; what does not serve held-out queries changes nothing.
        ``forget`` withdraws pairs that were taught, and all that learned from them, and trains on the others.
        Without any, ``generate`` questions made from the documents weigh the legs, marked as generated;
        ``written``, the language model writes as many more, its cost told to ``announce`` before.
        """
        named = (pairs is not None) + bool(generate) + (forget is not None)
        if named != 1:
            message = "pairs, forget and generate are not mixed" if named else "no pairs to learn from"
            raise UsageError("E_USAGE", message, cure="give pairs, or pairs to forget, or generate=1000")
        if written and not generate:
            message, cure = "written questions are made, not given", "say how many: generate=1000"
            raise UsageError("E_USAGE", message, cure=cure)
        with self._rooms.alone():
            if forget is not None:
                return withdrawing.withdraw(self._rooms, forget, progress)
            if pairs is None:
                return generated.learn(self._rooms, Generating(generate, written, announce), progress)
            return learning.learn(self._rooms, pairs, progress)

    def taught(self) -> list[Pair]:
        """The pairs that people gave and that lessons are made of, in the order they came."""
        return taught_pairs.earlier(self._rooms)

    def train(self, request: TrainingRequest, *, progress: Progress = silent) -> Report:
        """Deep training, docs/deep-training.md; ``counts["kept"]`` is 0 where nothing was changed."""
        with self._rooms.alone():
            return training.train(self._rooms, request, progress)

    def train_reranker(self, to: str | Path, course: Course, *, progress: Progress = silent) -> Report:
        """Make a cross-encoder at ``to``, docs/deep-training.md; the index stays as it is. ``counts["kept"]``
        is 0 where held-out questions did not become better: then no folder is made.
        """
        from fingerpost.index.learn import crosses  # what exports networks costs 0.2 s to import

        return crosses.train(self._rooms, Path(to), course, progress)

    def feedback(self, query: str, doc_id: str, *, principals: Sequence[str] = ()) -> None:
        """Record in the query log (`[observe] log_queries`) that a document was what the query wanted."""
        feedback.click(self._rooms, query, _normal(doc_id), principals=principals)

    def logged(self) -> QuestionSet:
        """The recorded queries that were clicked, with their documents: for `evaluate`, never among gold."""
        return feedback.questions(self._rooms)

    def clicks(self) -> list[Pair]:
        """The recorded clicks as training pairs of the origin `log`: for `learn`."""
        return feedback.pairs(self._rooms)

    def questions(
        self,
        source: str | Path | None = None,
        *,
        split: str = "test",
        qrels: str | Path | None = None,
        generate: int = 0,
        principals: Sequence[str] = (),
    ) -> QuestionSet:
        """Questions from a folder or file, judged there or in the file ``qrels``; without one, ``generate``
        of them made from the documents that the principals may read, and marked as generated.
        """
        if source is None:
            return asking.generated(self._rooms, generate, principals=principals)
        judged = None if qrels is None else Path(qrels)
        return asking.questions_of(self._rooms, Path(source), split, judged)

    def evaluate(
        self,
        questions: str | Path | QuestionSet,
        *,
        split: str = "test",
        measures: Sequence[str] = MEASURES,
        principals: Sequence[str] = (),
        progress: Progress = silent,
        keep: Keep | None = None,
    ) -> Evaluation:
        """Measure each leg and the whole search on a BEIR folder's split, JSON Lines, or ``questions``.

        ``keep(query_id, rankings)`` is given each question's rankings, leg by leg; nothing else keeps them.
        """
        asked = asking.questions_of(self._rooms, _source(questions), split)
        return evaluating.evaluate(
            self._rooms, asked, wanted=measures, principals=principals, progress=progress, keep=keep
        )

    def misses(
        self,
        questions: str | Path | QuestionSet,
        *,
        split: str = "test",
        k: int = 20,
        answers: int = 0,
        principals: Sequence[str] = (),
        progress: Progress = silent,
    ) -> list[Miss]:
        """Relevant documents that are not among the first ``k``, each with the stage that lost it; for
        ``answers`` of the questions also those that the answer does not cite.
        """
        _check_k(k)
        follow = evaluating.Follow(k, answers)
        return evaluating.misses(
            self._rooms, _source(questions), follow, split=split, principals=principals, progress=progress
        )

    def fidelity(
        self,
        questions: str | Path | QuestionSet,
        *,
        count: int = 100,
        split: str = "test",
        principals: Sequence[str] = (),
        progress: Progress = silent,
    ) -> Fidelity:
        """Whether answers to ``count`` of the questions cite what stands there, and come from it."""
        asked = asking.questions_of(self._rooms, _source(questions), split)
        return fidelity.measure(self._rooms, asked, count, principals=principals, progress=progress)

    def timed(self, texts: Sequence[str], *, principals: Sequence[str] = ()) -> Latency:
        """Milliseconds of each stage of a search, and of each way of searching, for each of the texts."""

        def trace(request: Request) -> Trace:
            return self._trace(request, 10)[1]

        return timing.timed(self._rooms, trace, [Request(text, (), principals) for text in texts])

    def advise(
        self,
        questions: str | Path | QuestionSet,
        *,
        split: str = "test",
        principals: Sequence[str] = (),
        progress: Progress = silent,
    ) -> Advice:
        """Which stack serves these documents and questions, measured, and what would change that."""
        return advising.advise(
            self._rooms, _source(questions), split=split, principals=principals, progress=progress
        )

    @property
    def folding(self) -> bool:
        """Whether a fold runs beside now."""
        return self._rooms.beside.runs

    def settle(self, *, progress: Progress = silent) -> None:
        """Wait for the fold that runs beside, if one does, and raise what became of it."""
        self._rooms.beside.wait(progress)
        self._rooms.beside.tell()

    def snapshot(self, to: str | Path) -> Report:
        """Copy the index as it is now into the new folder ``to``, and check every digest of the copy: an
        index by itself, to be opened, kept, or put back with ``fingerpost.restore``. Writes and searches go
        on meanwhile. What is kept for ``rollback``, the query log and the lags stay behind.
        """
        self._rooms.beside.wait()
        return upkeep.snapshot(self._rooms, Path(to))

    def compact(self, *, progress: Progress = silent) -> Report:
        """Fold what is newer than the generation, let go of what is kept for ``rollback`` and ``as_of``, and
        give the room back to the disk.
        """
        with self._rooms.store.folding():
            return upkeep.compact(self._rooms, progress)

    def rollback(self) -> Report:
        """Publish the generation before this one again, and forget the pairs of a lesson that this undoes."""
        with self._rooms.alone():
            return reverting.rollback(self._rooms)

    def status(self) -> dict[str, int | float | str]:
        """Counts, versions and the router's health."""
        return health.status(self._rooms)

    def freshness(self) -> Freshness:
        """How long every write since the index was made took to be durable, found and routed: step →
        percentiles in seconds, a histogram, and what waits. The first build is not counted.
        """
        return self._rooms.lagging.read().told()

    def doctor(self) -> list[Finding]:
        """Verify every digest and count; ``fingerpost.doctor`` also takes a folder that cannot be opened."""
        return self._rooms.store.check()

    def close(self) -> None:
        """Wait for the fold that runs beside, let go of the folder, and raise what became of that fold."""
        self._rooms.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Exception):
            self._rooms.beside.stop()  # Ctrl-C: what is not folded is folded by the next update
        try:
            self.close()
        except Exception:
            if error is None:  # the log has it, and what is raised already comes first
                raise


def _source(questions: str | Path | QuestionSet) -> Path | QuestionSet:
    return questions if isinstance(questions, QuestionSet) else Path(questions)


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MOST:
        raise UsageError("E_RANGE", f"k = {k!r} is not from 1 to {MOST:,}", cure="ask for fewer results")


def _normal(doc_id: str) -> str:
    """An id as it is stored: ids are NFC, whatever form a caller's keyboard makes."""
    if not isinstance(doc_id, str) or any("\ud800" <= char <= "\udfff" for char in doc_id):
        raise UsageError("E_ID", f"{doc_id!r:.80} is no id", cure="give the doc_id of a search's span")
    return normalize("NFC", doc_id)
