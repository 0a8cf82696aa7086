"""Planted faults: one stage of a real index is broken, and every document that this loses is blamed on it.

The truth is made, not assumed: a question counts when the whole index finds its document and the broken one
does not. Documents are the docstrings of the standard library; a question is the beginning of one with a
letter missing in every longer word, so that words alone seldom suffice.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random

import pytest

import fingerpost
from fingerpost.config import Settings
from fingerpost.errors import InputError
from fingerpost.evaluate.attribute import Miss
from fingerpost.evaluate.datasets import QuestionSet, load_questions
from fingerpost.ground import answer as grounding
from fingerpost.index import Index
from fingerpost.index.search import answering, gathering, listing, searching
from fingerpost.index.search.found import Request
from fingerpost.records import Answer, Plan, Span, Statement
from fingerpost.rerank import late
from fingerpost.retrieve import fuse
from fingerpost.text.query import Query

K = 3
MODULES = (Path(__file__).parent / "modules.txt").read_text().split()
ROUTED = {"full_below": 0, "leaf_chunks": 16, "audit": 0.0}
"""Audits off: they would find the planted router out and switch it off, as they should."""


def docstrings() -> Iterator[tuple[str, str]]:
    """Names and texts of the standard library's docstrings of 120 to 900 characters, each text once."""
    known: set[str] = set()
    for module in MODULES:
        for name, item in sorted(vars(importlib.import_module(module)).items()):
            members = sorted(vars(item).items()) if inspect.isclass(item) else []
            for path, each in [(name, item), *((f"{name}.{inner}", value) for inner, value in members)]:
                text = " ".join((inspect.getdoc(each) or "").split()) if callable(each) else ""
                if 120 <= len(text) <= 900 and text not in known and "._" not in f".{path}":
                    known.add(text)
                    yield f"{module}.{path}", text


def misspelt(text: str, *, words: int, start: int = 0) -> str:
    """Some words in a row, those of five letters and more without their third.

    >>> misspelt("Return the members", words=9)
    'Reurn the mebers'
    """
    chosen = text.split()[start : start + words]
    return " ".join(word[:2] + word[3:] if len(word) > 4 else word for word in chosen)


def as_written(text: str, *, words: int, start: int = 0) -> str:
    """Some words in a row as they stand: an answer is refused where too few of them are known."""
    return " ".join(text.split()[start : start + words])


def some(questions: QuestionSet, ids: Iterable[str]) -> QuestionSet:
    """A part of the questions."""
    kept = list(ids)
    return replace(
        questions,
        queries={each: questions.queries[each] for each in kept},
        qrels={each: questions.qrels[each] for each in kept},
    )


@dataclass(frozen=True)
class Planted:
    """An index that works, and questions for each of its documents. A fault is done with when it has lost
    ``enough`` documents; ``asked`` is how many questions that are answered are looked for.
    """

    kb: Path
    documents: Mapping[str, str]
    enough: int
    asked: int

    def open(self, *, write: bool = False, at: Path | None = None, **sections: object) -> Index:
        given = {"compile": {"threads": 1, "chunk_tokens": 64, "min_chunk_tokens": 8}, **sections}
        return fingerpost.open(at or self.kb, write=write, settings=Settings.model_validate(given))

    def questions(
        self, *, words: int = 14, starts: Iterable[int] = (0,), spell: Callable[..., str] = misspelt
    ) -> QuestionSet:
        queries, qrels = {}, {}
        for start in starts:
            for doc_id, text in self.documents.items():
                if len(text.split()) >= start + words:
                    queries[f"q{start} {doc_id}"] = spell(text, words=words, start=start)
                    qrels[f"q{start} {doc_id}"] = {doc_id: 1}
        return QuestionSet("planted", "test", queries, qrels)

    def about(self, questions: QuestionSet, doc_ids: Iterable[str]) -> QuestionSet:
        wanted = set(doc_ids)
        return some(questions, [each for each, row in questions.qrels.items() if wanted & row.keys()])


FEW, MANY = 80, 2_000


def build(folder: Path, count: int) -> Planted:
    drawn = sorted(docstrings(), key=lambda item: Random(item[0]).random())[:count]
    source = folder / "docs.jsonl"
    source.write_text("".join(json.dumps({"_id": name, "text": text}) + "\n" for name, text in drawn))
    chunks = {"threads": 1, "chunk_tokens": 64, "min_chunk_tokens": 8}
    settings = Settings.model_validate(
        {"compile": chunks, "route": ROUTED, "store": {"unlabelled": "visible"}}
    )
    fingerpost.compile(source, to=folder / "kb", settings=settings).close()
    enough, asked = (510, 1_050) if count == MANY else (30, 40)
    return Planted(folder / "kb", dict(drawn), enough, asked)


@pytest.fixture(scope="module", params=[FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return build(tmp_path_factory.mktemp("planted"), request.param)


def finds(index: Index, query: str, wanted: Mapping[str, int], principals: tuple[str, ...] = ()) -> bool:
    """Whether a wanted document is among the first K, seen from outside the replay."""
    found = searching.find(index._rooms, Request(query, (), principals))
    run = listing.by_document(found.snapshot, found.keys, found.scores, k=K)
    return bool({doc_id for doc_id, _ in run} & wanted.keys())


def cites(index: Index, query: str, wanted: Mapping[str, int], principals: tuple[str, ...] = ()) -> bool:
    """Whether it is found and the answer cites it."""
    cited = {span.doc_id for span in index.ask(query, principals=principals).citations}
    return bool(cited & wanted.keys()) and finds(index, query, wanted, principals)


@pytest.fixture(scope="module")
def good(planted: Planted) -> QuestionSet:
    """The questions that the whole index answers."""
    return answered(planted)


def answered(
    planted: Planted,
    *,
    words: int = 14,
    starts: Iterable[int] = (0,),
    by: Callable[..., bool] = finds,
    times: float = 1.0,
    spell: Callable[..., str] = misspelt,
    **sections: object,
) -> QuestionSet:
    """The questions that the index answers under these settings; ``times`` as many as usual where a fault
    loses few.
    """
    with planted.open(**sections) as index:
        questions = planted.questions(words=words, starts=starts, spell=spell)
        texts = questions.queries.items()
        found = (each for each, text in texts if by(index, text, questions.qrels[each]))
        return some(questions, islice(found, int(times * planted.asked)))


def blamed(
    planted: Planted,
    index: Index,
    questions: QuestionSet,
    cause: str,
    *,
    principals: tuple[str, ...] = (),
    by: Callable[..., bool] = finds,
) -> int:
    """Check the causes of what the broken index loses, until that is enough; returns how much it was."""
    asked: list[str] = []
    lost: list[str] = []
    for query_id, text in questions.queries.items():
        asked.append(query_id)
        if not by(index, text, questions.qrels[query_id], principals):
            lost.append(query_id)
        if len(lost) >= planted.enough:
            break
    answers = len(asked) if by is cites else 0
    misses = index.misses(some(questions, asked), k=K, answers=answers, principals=principals)
    assert sorted(miss.query_id for miss in misses) == sorted(lost)  # each once, and no other
    check(misses, cause)
    logging.getLogger(__name__).info("%d lost and blamed on %s", len(lost), cause)
    assert len(lost) >= (500 if len(planted.documents) > FEW else 2)
    return len(lost)


def check(misses: list[Miss], cause: str) -> None:
    causes = Counter(miss.cause for miss in misses)
    assert causes[cause] >= 0.99 * len(misses), (causes, [m for m in misses if m.cause != cause][:5])
    assert all(miss.evidence for miss in misses)


def test_a_whole_index_misses_nothing_of_what_it_finds(planted: Planted, good: QuestionSet) -> None:
    with planted.open() as index:
        assert index.misses(good, k=K) == []


def test_deleted_documents(planted: Planted, good: QuestionSet, tmp_path: Path) -> None:
    kb = Path(shutil.copytree(planted.kb, tmp_path / "kb"))
    gone = [doc_id for row in good.qrels.values() for doc_id in row][::2]
    with planted.open(write=True, at=kb) as index:
        index.delete(*gone)
        assert blamed(planted, index, planted.about(good, gone), "corpus") > 1


def test_labels_that_hide(planted: Planted, good: QuestionSet, tmp_path: Path) -> None:
    kb = Path(shutil.copytree(planted.kb, tmp_path / "kb"))
    hidden = [doc_id for row in good.qrels.values() for doc_id in row][::2]
    with planted.open(write=True, at=kb) as index:
        index._rooms.store.relabel(dict.fromkeys(hidden, ("group:board",)))
        asked = planted.about(good, hidden)
        assert blamed(planted, index, asked, "access", principals=("user:anna",)) > 1
        assert not {miss.cause for miss in index.misses(asked, k=K, principals=("group:board",))} & {"access"}


def test_a_passage_cut_in_two(planted: Planted) -> None:
    with planted.open() as index:
        snapshot = index._rooms.store.snapshot()
        passages = {}
        for doc_id, text in planted.documents.items():
            chunks = snapshot.chunks(snapshot.chunk_keys([snapshot.doc_key(doc_id)]))
            cuts = [text[chunk.end - 15 : chunk.end + 15] for chunk in chunks if chunk.end < len(text)]
            if cuts and text.count(cuts[0]) == 1 and not any(cuts[0] in chunk.text for chunk in chunks):
                passages[f"q0 {doc_id}"] = {doc_id: cuts[0]}
        asked = some(planted.questions(words=1), passages)
        misses = index.misses(replace(asked, passages=passages), k=K)
        assert len(misses) == len(passages) >= (500 if len(planted.documents) > FEW else 10)
        check(misses, "reading")
        assert {miss.evidence for miss in misses} == {"the wanted text is cut between two chunks"}
        nowhere = {query_id: dict.fromkeys(row, "no such words") for query_id, row in passages.items()}
        check(index.misses(replace(asked, passages=nowhere), k=K), "reading")


def test_a_leaf_hidden(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The router opens some leaves, but never one of the wanted document."""
    good = answered(planted, words=6, starts=(0, 4, 8, 12, 16), times=3.5, retrieve={"depth": 3})
    of_text = {text: next(iter(good.qrels[query_id])) for query_id, text in good.queries.items()}
    real = gathering.plan_for
    asked: list[str] = []

    def find(rooms: object, request: Request, *, full: bool = False) -> object:
        asked.append(of_text[request.text])
        return whole(rooms, request, full=full)  # type: ignore[arg-type]

    def plan(rooms: object, snapshot: object, *rest: object) -> Plan:
        made = real(rooms, snapshot, *rest)  # type: ignore[arg-type]
        keys = snapshot.chunk_keys([snapshot.doc_key(asked[-1])])  # type: ignore[attr-defined]
        closed = set(snapshot.leaf_of(keys).tolist())  # type: ignore[attr-defined]
        assert not made.full
        return replace(made, leaves=tuple(leaf for leaf in made.leaves if leaf not in closed))

    whole = searching.find
    monkeypatch.setattr(searching, "find", find)
    monkeypatch.setattr(gathering, "plan_for", plan)
    with planted.open(route={**ROUTED, "budget": 0.2}, retrieve={"hop": False, "depth": 3}) as index:
        assert blamed(planted, index, good, "routing") > 1


def test_a_tiny_budget(planted: Planted) -> None:
    good = answered(planted, words=6, starts=range(0, 18, 2), times=4.5, retrieve={"depth": 3})
    with planted.open(route={**ROUTED, "budget": 0.004}, retrieve={"hop": False, "depth": 3}) as index:
        assert blamed(planted, index, good, "routing") > 1


def test_legs_cut_at_one(planted: Planted) -> None:
    good = answered(planted, words=6, starts=(0, 6), times=1.6)
    with planted.open(retrieve={"depth": 1}) as index:
        assert blamed(planted, index, good, "retrieval") > 1


def upside_down(monkeypatch: pytest.MonkeyPatch) -> None:
    for weights in (fuse.DEFAULT_WEIGHTS, fuse.BALANCED_WEIGHTS):
        for leg in ("lexical", "dense"):
            monkeypatch.setitem(weights, leg, -weights[leg])  # type: ignore[arg-type]


def test_a_fusion_upside_down(planted: Planted, good: QuestionSet, monkeypatch: pytest.MonkeyPatch) -> None:
    upside_down(monkeypatch)
    with planted.open(rerank={"depth": 5}) as index:
        assert blamed(planted, index, good, "fusion") > 10


def test_without_a_reranker_the_fusion_decides(
    planted: Planted, good: QuestionSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    upside_down(monkeypatch)
    with planted.open(rerank={"depth": 0}) as index:
        assert blamed(planted, index, good, "fusion") > 10


def test_a_reranker_that_lies(planted: Planted, good: QuestionSet, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., late.LateScores] = late.maxsim

    def lying(*arguments: object) -> late.LateScores:
        found = real(*arguments)
        return replace(found, idf=-found.idf, plain=-found.plain, pairs=-found.pairs)

    monkeypatch.setattr(late, "maxsim", lying)
    with planted.open() as index:
        assert blamed(planted, index, good, "reranking") > 10


def test_an_answerer_that_ignores_its_context(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    good = answered(planted, words=8, spell=as_written, by=cites, times=0.5)

    def by_heart(query: Query, spans: Sequence[Span], **_: object) -> Answer:
        return Answer(query.text, (Statement("As everybody knows, it is so.", ()),), ())

    with planted.open() as index:
        assert index.fidelity(good, count=20).shares()["moved"] == 1.0
        monkeypatch.setattr(grounding, "extract", by_heart)
        monkeypatch.setattr(answering, "verify", lambda *_: ())  # else it would be refused as a broken store
        assert blamed(planted, index, good, "grounding", by=cites) > 10
        shares = index.fidelity(good, count=20).shares()
        assert (shares["cited"], shares["moved"], shares["followed"]) == (0.0, 0.0, 0.0)


def test_questions_are_made_from_what_one_may_read(planted: Planted, tmp_path: Path) -> None:
    kb = Path(shutil.copytree(planted.kb, tmp_path / "kb"))
    hidden = list(planted.documents)[::2]
    with planted.open(write=True, at=kb) as index:
        index._rooms.store.relabel(dict.fromkeys(hidden, ("group:board",)))
        made = index.questions(generate=500, principals=["user:anna"])
        assert made.generated
        assert {doc_id for row in made.qrels.values() for doc_id in row}.isdisjoint(hidden)
        index._rooms.store.relabel(dict.fromkeys(planted.documents, ("group:board",)))
        with pytest.raises(InputError, match="E_QRELS"):
            index.questions(generate=5)


def test_a_passage_must_be_text(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"query": "how?", "doc_id": "a", "passage": "thus"}\n')
    assert load_questions(path).passages == {"q1": {"a": "thus"}}
    path.write_text('{"query": "how?", "doc_id": "a", "passage": 3}\n')
    with pytest.raises(InputError, match="line 1"):
        load_questions(path)
