"""Reranking: late interaction, then the learned fusion over features, or the untrained sum without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.epoch import Judges
from fingerpost.models.encoder import EncodedQuery
from fingerpost.records import Candidates, Chunk
from fingerpost.rerank import exact, features, late, matches
from fingerpost.rerank.codec import Codec
from fingerpost.rerank.matches import Passage
from fingerpost.retrieve import fuse
from fingerpost.route import wording
from fingerpost.route.confidence import signs
from fingerpost.route.memory import Memory
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.query import Query
from fingerpost.text.tokens import analyze

WORD_LEGS = ("ordered", "title")
MEMORY_COLUMNS = {
    "memory": "memory",
    "map": "memory_map",
    "nearest": "memory_knn",
    **{name: f"memory_{name}" for name in wording.NAMES},
    "trained": "memory_count",
}


@dataclass(frozen=True)
class Ranked:
    """Candidates with a score each. ``rows`` are the features, None where the untrained sum decides;
    ``lifted`` is what exact matches of a query of identifiers got on top, ``dealt`` what a cross-encoder's
    order gave or took; ``read`` is what was read for it.
    """

    candidates: Candidates
    untrained: fuse.Fused
    scores: NDArray[np.float64]
    lifted: NDArray[np.float64]
    read: Reading
    rows: NDArray[np.float32] | None = None
    dealt: NDArray[np.float64] | None = None

    def chunks(self, snapshot: Snapshot, keys: NDArray[np.int64]) -> list[Chunk]:
        """Chunks by key: those that were read for the ranking, the others from the store."""
        known = self.read.chunks
        asked = [key for key in keys.tolist() if key not in known]
        fetched = dict(zip(asked, snapshot.chunks(asked), strict=True))
        return [known[key] if key in known else fetched[key] for key in keys.tolist()]

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Positions, best first; equal scores in the candidates' order."""
        return np.argsort(-self.scores, kind="stable")

    def confidence(self, judges: Judges) -> float | None:
        """The chance that the first result is right; None where the learned fusion did not rank."""
        if judges.confidence is None or self.rows is None or not len(self.scores) or self.lifted.any():
            return None
        return judges.confidence.chance(signs(self.scores, self.candidates.docs))


@dataclass(frozen=True)
class Asked:
    """A query in all its forms."""

    query: Query
    encoded: EncodedQuery | None

    @cached_property
    def only_names(self) -> bool:
        """Whether it consists of identifiers and nothing else."""
        return exact.only_names(self.query)

    @property
    def literal(self) -> bool:
        """Whether it is to be found as it is written: identifiers alone, or with the signs of source code."""
        return self.only_names or exact.signed(self.query)


@dataclass(frozen=True, slots=True)
class Reading:
    """The first candidates' chunks by key and their words (None for the others), the query's idf, and how
    the words match it: a row of ``matches.NAMES`` a candidate.
    """

    passages: Sequence[Passage | None]
    idf: Mapping[str, float]
    chunks: Mapping[int, Chunk]
    words: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Effort:
    """How many candidates late interaction scores, and of how many the words are read."""

    depth: int
    read: int


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of candidates by their ``vectors`` [n, d]: the memory's columns and ``recency`` by name,
    and ``past`` questions [m, d] to compare them with.
    """

    columns: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    vectors: NDArray[np.float32] | None = None
    past: NDArray[np.float32] | None = None


NONE = Effort(0, 0)


@dataclass(frozen=True, slots=True)
class Look:
    """Candidates after late interaction, with their words read and the untrained sum over both."""

    candidates: Candidates
    read: Reading
    total: fuse.Fused


def look_again(
    snapshot: Snapshot, asked: Asked, candidates: Candidates, judges: Judges, *, effort: Effort
) -> Look:
    """Score the best candidates by the other legs by late interaction, and read the words of the first."""
    if effort == NONE:
        return unread(asked, candidates, judges)
    scored = with_late(snapshot, asked.encoded, candidates, judges.codec, depth=effort.depth)
    return read_again(snapshot, asked, scored, judges, read=effort.read)


def read_again(snapshot: Snapshot, asked: Asked, scored: Candidates, judges: Judges, *, read: int) -> Look:
    """Read the words of the first candidates by all that is known of them."""
    found = reading(snapshot, asked, scored, _first(asked, scored, judges, read))
    return Look(scored, found, summed(judges, legs_of(scored, found)))


def unread(asked: Asked, candidates: Candidates, judges: Judges) -> Look:
    """The look at candidates whose words are not read: the legs' scores alone."""
    passages: list[Passage | None] = [None] * len(candidates.keys)
    words = matches.table(matches.ask(asked.query), passages)
    return Look(candidates, Reading(passages, {}, {}, words), summed(judges, candidates.scores))


def _first(asked: Asked, candidates: Candidates, judges: Judges, read: int) -> NDArray[np.intp]:
    """Which candidates are read: the first by the sum, and BM25's where the very words are sought."""
    first = summed(judges, candidates.scores).order[:read]
    if not asked.literal:
        return first
    worded = np.argsort(-np.nan_to_num(candidates.scores["lexical"], nan=-np.inf), kind="stable")
    return np.asarray(list(dict.fromkeys((*first.tolist(), *worded[:read].tolist()))), np.intp)


def summed(judges: Judges, legs: fuse.Legs) -> fuse.Fused:
    """The untrained sum of legs."""
    dials = judges.balance
    return fuse.balanced(legs, dials.weights, power=dials.power, cosine=dials.cosine)


def rank(snapshot: Snapshot, asked: Asked, look: Look, judges: Judges) -> Ranked:
    """The learned fusion's scores, or the untrained sum's; exact matches first for identifiers alone."""
    rows = None
    scores = look.total.scores
    if judges.forest is not None:
        dated = judges.forest.reads("recency")
        told = memory_columns(snapshot, asked, look.candidates, judges.memory, dated=dated)
        rows = feature_rows(asked, look, told, names=judges.forest.names)
        scores = judges.forest.predict(rows)
    scores, lifted = _exact_first(asked, scores, look)
    return Ranked(look.candidates, look.total, scores, lifted, look.read, rows)


def feature_rows(
    asked: Asked,
    look: Look,
    told: Told,
    *,
    names: Sequence[str] = features.NAMES,
) -> NDArray[np.float32]:
    """The features of every candidate that ``names`` names, [n, F]; ``told`` are its ``memory_columns``."""
    found, total = look.candidates, look.total.scores
    taught = {**told.columns, **{name: found.scores[name] for name in ("router",) if name in found.scores}}
    known = features.Evidence(
        asked.query, found.scores, total, found.docs, look.read.words, taught, told.vectors, told.past
    )
    return features.build(known, names)


def with_late(
    snapshot: Snapshot,
    encoded: EncodedQuery | None,
    candidates: Candidates,
    codec: Codec | None,
    *,
    depth: int,
) -> Candidates:
    """The candidates with MaxSim scores; beyond ``depth`` they stay unscored (NaN)."""
    if encoded is None or codec is None or not len(candidates.keys) or not depth:
        return candidates
    first = fuse.standardised(candidates.scores).order[:depth]
    codes = snapshot.token_codes(candidates.keys[first])
    asked = encoded.compared
    found = late.maxsim(codec, late.prepare(codec, asked.vectors, asked.ids), codes)
    columns = {"maxsim": found.idf, "maxsim_plain": found.plain, "maxsim_pairs": found.pairs}
    scores = {name: np.full(len(candidates.keys), np.nan, np.float32) for name in columns}
    for name, column in columns.items():
        scores[name][first] = fuse.neutral(column)
    return Candidates(candidates.keys, candidates.docs, {**candidates.scores, **scores})


def reading(snapshot: Snapshot, asked: Asked, candidates: Candidates, first: NDArray[np.intp]) -> Reading:
    """The words of the candidates at the positions ``first``."""
    keys = candidates.keys
    passages: list[Passage | None] = [None] * len(keys)
    chunks = dict(zip(keys[first].tolist(), snapshot.chunks(keys[first]), strict=True))
    for at, chunk in zip(first.tolist(), chunks.values(), strict=True):
        passages[at] = Passage(analyze(chunk.text), analyze(chunk.context), chunk.own)
    idf = dict(zip(asked.query.terms, snapshot.idf(asked.query.terms).tolist(), strict=True))
    return Reading(passages, idf, chunks, matches.table(matches.ask(asked.query, idf), passages))


def legs_of(candidates: Candidates, read: Reading) -> Mapping[str, NDArray[np.floating]]:
    """All that the untrained sum adds up."""
    return {**candidates.scores, **_words(read)}


def _words(read: Reading) -> dict[str, NDArray[np.float32]]:
    """How the words of the first candidates match, as legs of the untrained sum."""
    named = dict(zip(matches.NAMES, read.words.T, strict=True))
    return {name: named[name] for name in WORD_LEGS}


def _exact_first(
    asked: Asked, scores: NDArray[np.float64], look: Look
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact matches above all others where a query is nothing but identifiers, the document of that name
    first; else what alone holds a name that it says (see ``gathering.named``), or holds it as it is written.
    """
    named = np.isfinite(look.candidates.scores.get("named", np.full(len(scores), np.nan)))
    texts = [passage.text if passage else None for passage in look.read.passages]
    query = asked.query
    if not asked.only_names:
        return exact.lift(scores, named | exact.verbatim(query, texts))
    tiers = exact.holding(query, texts)
    tiers[named] = exact.CALLED
    for at, key in enumerate(look.candidates.keys.tolist()):
        chunk = look.read.chunks.get(key)
        if tiers[at] and chunk is not None and exact.called(query, chunk.doc_id):
            tiers[at] = exact.CALLED
    return exact.lift(scores, tiers)


def memory_columns(
    snapshot: Snapshot, asked: Asked, candidates: Candidates, memory: Memory | None, *, dated: bool = True
) -> Told:
    """What the docid memory says of each candidate, nothing where nothing was learned; if ``dated``, how new
    their documents are, which takes a look at each in the ledger.
    """
    if asked.encoded is None:
        return Told()
    vectors = snapshot.vectors(candidates.keys)
    age = {"recency": snapshot.days(candidates.docs).astype(np.float32)} if dated else {}
    if memory is None or not memory.trained:
        return Told(age, vectors)
    terms = asked.query.terms
    said = dict(zip(terms, snapshot.idf(terms).tolist(), strict=True))
    columns = memory.columns(asked.encoded.vector, candidates.docs, vectors, said)
    named = {name: columns[own] for own, name in MEMORY_COLUMNS.items()}
    return Told({**named, **age}, vectors, memory.sample)
