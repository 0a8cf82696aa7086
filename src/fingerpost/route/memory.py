"""Docid memory: what past queries teach about where answers are.

Two parts. A *query map* q' = normalise(q + A q) that starts at the identity and serves every document, seen
or not. A *row* for each document that queries asked for, which starts at the document's own vector and
moves only as far as its queries pay for. A new document needs no training: it is scored by its own vector
under the map. An updated one keeps its row under its new version's key, a deleted one loses it. The idea is
DSI's (Tay et al. 2022, arXiv:2202.06991) with the document's vector as its output row (Nguyen and Yates
2023, arXiv:2306.11397).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import FingerprintError
from fingerpost.route.descent import TEMPERATURE, Problem, fit_map, fit_rows, mapped, passes
from fingerpost.route.kmeans import F32, I64, group_sums, unit
from fingerpost.route.pack import expect, pack, unpack
from fingerpost.route.pairs import Pairs
from fingerpost.route.products import dots
from fingerpost.route.succession import GONE, succeeded
from fingerpost.route.wording import NAMES, PLANES, SILENT, Wording, ranges

EVERYTHING = -2.0
"""An energy that every query has: none is unfamiliar."""
SAMPLE = 256
"""Training queries that stand for all of them."""
NOBODY = np.zeros(0, np.int64)
ALWAYS = int(np.iinfo(np.int64).max)
"""The newest document of a memory that does not say which: it takes all others for documents that it could
have been asked for.
"""


@dataclass(frozen=True, slots=True)
class Penalty:
    """L2 of the map and of the rows (larger = nearer to the frozen vectors, infinite = not trained).

    ``shift`` is taken off the rows' scores, so that documents with queries do not outshout those without.
    """

    matrix: float = 1e-2
    rows: float = 1e-2
    shift: float = 0.0


@dataclass(frozen=True)
class Memory:
    """``matrix`` [d, d]; ``keys`` [s] the trained documents; ``rows`` [s, d]; ``counts`` [s]
    their queries.

    ``asked`` [counts.sum(), d]: the mapped training queries, those of a document side by side; ``wording``:
    their words. They are in the artifact; ``forgetful`` leaves them out. ``familiar`` is the least ``energy``
    of a query that is like those it was taught. ``newest`` is the largest key of a document that stood when
    it was taught; ``withheld`` are the keys of those that were kept from it as if they had come later.
    """

    matrix: F32
    keys: I64
    rows: F32
    counts: NDArray[np.int32]
    asked: F32
    penalty: Penalty = field(default_factory=Penalty)
    notes: tuple[str, ...] = ()
    familiar: float = EVERYTHING
    wording: Wording = SILENT
    newest: int = ALWAYS
    withheld: I64 = field(default_factory=NOBODY.copy)
    _last: tuple[F32, F32, F32] | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def identity(cls, dim: int, *, notes: tuple[str, ...] = ()) -> Memory:
        """The memory that knows nothing: the query as it is, no rows."""
        empty = np.zeros((0, dim), np.float32)
        nobody = np.zeros(0, np.int64)
        return cls(
            np.zeros((dim, dim), np.float32), nobody, empty, nobody.astype(np.int32), empty, notes=notes
        )

    @property
    def trained(self) -> bool:
        """Whether anything was learned."""
        return bool(len(self.keys) or self.matrix.any())

    def map(self, query: F32) -> F32:
        """q' of one query [d] or several [m, d]."""
        return mapped(self.matrix, np.atleast_2d(query)).reshape(query.shape)

    def knows(self, query: F32) -> bool:
        """Whether a query [d] is like those that were taught: nothing learned says anything of others."""
        if not len(self.keys):
            return True
        return bool(_energy(self.heard(query)[1][None])[0] >= self.familiar)

    def heard(self, query: F32) -> tuple[F32, F32]:
        """q' [d] of one query, and its products with the rows, [s]. Those of the query heard last are kept,
        for a search asks for them in several places.
        """
        last = self._last
        if last is None or last[0] is not query:
            moved = self.map(np.asarray(query, np.float32))
            last = (query, moved, dots(self.rows, moved))
            object.__setattr__(self, "_last", last)
        return last[1], last[2]

    def shortlist(self, query: F32, k: int) -> tuple[I64, F32]:
        """The keys and scores of the k best trained documents, best first."""
        scores = self.heard(query)[1] - np.float32(self.penalty.shift)
        scores[self.keys == GONE] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        return self.keys[best], scores[best]

    def columns(
        self,
        query: F32,
        doc_keys: I64,
        vectors: NDArray[np.floating],
        said: Mapping[str, float] | None = None,
    ) -> Mapping[str, NDArray[np.float32]]:
        """Feature columns for candidates: chunk ``vectors`` [n, d] of documents ``doc_keys`` [n], for a query
        whose terms are ``said``, with their idf.

        ``map``: q'·v. ``memory``: q'·row, or q'·v where the document has none. ``trained``: log(1 + its
        training queries), NaN for a document that came later: that nobody asked for it says nothing, where
        it speaks against one that could have been asked for. ``surprise``: memory − q·v, what was learned
        about this candidate.
        ``nearest``: the best cosine to a training query of the document, 0 without one; ``wording.NAMES``:
        how like their words are.
        """
        moved, _ = self.heard(query)
        chunk = np.asarray(vectors, dtype=np.float32)
        by_map = chunk @ moved
        at, found = self._find(doc_keys)
        own = self.rows[at] @ moved - np.float32(self.penalty.shift) if len(self.rows) else by_map
        memory = np.where(found, own, by_map).astype(np.float32)
        counts = np.where(found, self.counts[at] if len(self.counts) else 0, 0).astype(np.float32)
        counts[~found & self.later(doc_keys)] = np.nan
        return {
            "map": by_map,
            "memory": memory,
            "trained": np.log1p(counts),
            "surprise": (memory - chunk @ query).astype(np.float32),
            **self._asked(moved, said or {}, at, found),
        }

    def scores(self, queries: F32, doc_keys: I64, vectors: NDArray[np.floating]) -> F32:
        """The memory column for many queries at once: [m, n] (one vector a document)."""
        moved = self.map(queries)
        at, found = self._find(doc_keys)
        rows = np.array(vectors, dtype=np.float32)
        rows[found] = self.rows[at[found]]
        return np.asarray(moved @ rows.T - self.penalty.shift * found, dtype=np.float32)

    def _asked(
        self, moved: F32, said: Mapping[str, float], at: I64, found: NDArray[np.bool_]
    ) -> dict[str, F32]:
        """``nearest`` and ``wording.NAMES``: what queries of each candidate's document say, 0 without."""
        columns = {name: np.zeros(len(at), dtype=np.float32) for name in ("nearest", *NAMES)}
        if not len(self.asked) or not found.any():
            return columns
        documents, place = np.unique(at[found], return_inverse=True)
        counts = self.counts[documents].astype(np.int64)
        rows = ranges(np.cumsum(self.counts)[documents] - counts, counts)
        best = np.maximum.reduceat(self.asked[rows] @ moved, np.cumsum(counts) - counts)
        columns["nearest"][found] = best[place]
        if said and len(self.wording.lengths):
            for name, values in zip(NAMES, self.wording.take(rows).compare(counts, said), strict=True):
                columns[name][found] = values[place]
        return columns

    def later(self, doc_keys: I64) -> NDArray[np.bool_]:
        """Whether documents came after the lesson, or were kept from it as if they had, [n]."""
        return np.asarray((doc_keys > self.newest) | np.isin(doc_keys, self.withheld), np.bool_)

    @cached_property
    def sample(self) -> F32:
        """At most ``SAMPLE`` of the mapped training queries, of documents evenly: [m, d]."""
        return self.asked[:: -(-len(self.asked) // SAMPLE) or 1]

    def forgetful(self) -> Memory:
        """The memory without its training queries: nothing to read them from, and no column made of them."""
        return replace(self, asked=self.asked[:0], wording=SILENT)

    def renamed(self, successors: Mapping[int, int | None]) -> Memory:
        """The memory after documents were replaced: a row goes on under the key of the version that took its
        document's place. ``successors`` come oldest first; a deleted document's row is found no more.
        """
        return replace(self, keys=succeeded(self.keys, successors))

    def only(self, doc_keys: I64) -> Memory:
        """The memory of these documents: the rows and queries of all others are gone."""
        kept = np.isin(self.keys, doc_keys)
        queries = np.flatnonzero(np.repeat(kept, self.counts))
        asked = self.asked[queries] if len(self.asked) else self.asked
        own = {name: getattr(self, name)[kept] for name in ("keys", "rows", "counts")}
        return replace(self, **own, asked=asked, wording=self.wording.take(queries))

    def fits(self, *, dim: int) -> None:
        """Raise FingerprintError unless this memory was trained for vectors of that many dimensions."""
        if self.matrix.shape != (dim, dim):
            raise FingerprintError(
                "E_FINGERPRINT",
                f"the memory maps {self.matrix.shape[0]} dimensions, the index has {dim}",
                cure="train again with `fingerpost learn`",
            )

    def to_bytes(self) -> bytes:
        """The memory as a safetensors artifact (float16 rows and map)."""
        arrays: dict[str, NDArray[Any]] = {
            "matrix": self.matrix.astype(np.float16), "keys": self.keys,
            "rows": self.rows.astype(np.float16), "counts": self.counts,
            "asked": self.asked.astype(np.float16),
            **{f"wording_{name}": getattr(self.wording, name) for name in PLANES},
        }  # fmt: skip
        facts = {
            "matrix_l2": self.penalty.matrix, "rows_l2": self.penalty.rows, "shift": self.penalty.shift,
            "notes": list(self.notes), "familiar": self.familiar, "newest": self.newest,
        }  # fmt: skip
        return pack("memory", arrays, facts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Memory:
        """Read what ``to_bytes`` wrote. Raises ModelError or FingerprintError on anything else."""
        arrays, facts = unpack("memory", data)
        count, dim = (len(arrays.get("keys", ())), len(arrays.get("matrix", ())))
        shapes = {"matrix": (dim, dim), "keys": (count,), "rows": (count, dim), "counts": (count,)}
        expect("memory", arrays, shapes)
        if len(arrays.get("asked", ())):
            expect("memory", arrays, {"asked": (int(arrays["counts"].astype(np.int64).sum()), dim)})
        penalty = Penalty(*(cast(float, facts[name]) for name in ("matrix_l2", "rows_l2", "shift")))
        return cls(
            arrays["matrix"].astype(np.float32),
            arrays["keys"].astype(np.int64),
            arrays["rows"].astype(np.float32),
            arrays["counts"].astype(np.int32),
            arrays["asked"].astype(np.float32),
            penalty,
            tuple(cast(list[str], facts["notes"])),
            float(cast(float, facts.get("familiar", EVERYTHING))),
            _wording(arrays),
            int(cast(int, facts.get("newest", ALWAYS))),
        )

    @cached_property
    def _sorted(self) -> I64:
        """The order that sorts ``keys``."""
        return np.argsort(self.keys, kind="stable")

    def _find(self, doc_keys: I64) -> tuple[I64, NDArray[np.bool_]]:
        if not len(self.keys):
            return np.zeros(len(doc_keys), np.int64), np.zeros(len(doc_keys), np.bool_)
        at = np.searchsorted(self.keys, doc_keys, sorter=self._sorted)
        at = self._sorted[np.minimum(at, len(self.keys) - 1)]
        return at, self.keys[at] == doc_keys


def fit(vectors: NDArray[np.floating], docs: I64, given: Pairs, *, penalty: Penalty, seed: int = 0) -> Memory:
    """Train on pairs (checked before). ``vectors`` [N, d] are chunks, ``docs`` [N] their documents' keys.

    A document's row starts at the mean of the chunks that its own queries come nearest to.
    """
    return next(fit_many(vectors, docs, given, penalties=(penalty,), seed=seed))


def fit_many(
    vectors: NDArray[np.floating],
    docs: I64,
    given: Pairs,
    *,
    penalties: Sequence[Penalty],
    seed: int = 0,
    steps: int | None = None,
    maps: dict[float, F32] | None = None,
) -> Iterator[Memory]:
    """A memory for each penalty; those with the same map penalty share the map. ``maps`` holds those that
    were trained on the same pairs before, and takes those that are trained now.
    """
    keys, counts = np.unique(given.doc, return_counts=True)
    start = starts(vectors, docs, given, keys)
    problem = _problem(given, keys, start)
    problem = replace(problem, steps=steps or passes(len(problem.queries)))
    empty = Memory.identity(start.shape[1])
    maps, newest = {} if maps is None else maps, int(docs.max(initial=0))
    by_document = given.query[np.argsort(given.doc, kind="stable")]
    asked, wording = given.queries[by_document], given.wording.take(by_document)
    for penalty in penalties:
        if penalty.matrix not in maps:
            still = penalty.matrix == inf
            maps[penalty.matrix] = empty.matrix if still else fit_map(problem, l2=penalty.matrix, seed=seed)
        matrix = maps[penalty.matrix]
        if penalty.rows == inf:
            yield replace(empty, matrix=matrix, penalty=penalty, newest=newest)
            continue
        rows = start + fit_rows(problem, matrix, l2=penalty.rows, seed=seed)
        own = (counts.astype(np.int32), mapped(matrix, asked), penalty)
        yield Memory(matrix, keys, rows, *own, wording=wording, newest=newest)


def starts(vectors: NDArray[np.floating], docs: I64, given: Pairs, keys: I64) -> F32:
    """Where the rows of documents ``keys`` [s] start: [s, d], unit length."""
    order = np.argsort(docs, kind="stable")
    first = np.searchsorted(docs[order], given.doc, side="left")
    last = np.searchsorted(docs[order], given.doc, side="right")
    chosen = np.zeros((len(given.doc), vectors.shape[1]), dtype=np.float32)
    for pair, (a, b, q) in enumerate(zip(first.tolist(), last.tolist(), given.query.tolist(), strict=True)):
        own = vectors[order[a:b]].astype(np.float32)
        chosen[pair] = own[int(np.argmax(own @ given.queries[q]))] if b - a > 1 else own[0]
    return unit(group_sums(chosen, np.searchsorted(keys, given.doc), len(keys)))


def energy(memory: Memory, queries: F32) -> F32:
    """How well the memory knows each query: T · log Σ exp(q'·row / T), [m]. Small means out of scope."""
    return _energy(memory.map(queries) @ memory.rows.T)


def _energy(products: F32) -> F32:
    """``energy`` of products q'·row [m, s]."""
    logits = products / np.float32(TEMPERATURE)
    top = logits.max(axis=1)
    return np.asarray(
        TEMPERATURE * (top + np.log(np.exp(logits - top[:, None]).sum(axis=1))), dtype=np.float32
    )


def _wording(arrays: Mapping[str, NDArray[Any]]) -> Wording:
    """The words of the training queries. Raises ModelError where they do not fit their numbers."""
    if not len(arrays.get("wording_lengths", ())):
        return SILENT
    queries = int(arrays["counts"].astype(np.int64).sum())
    shapes = {"lengths": queries, "mass": queries, "terms": int(arrays["wording_lengths"].sum())}
    expect("memory", dict(arrays), {f"wording_{name}": (size,) for name, size in shapes.items()})
    return Wording(*(arrays[f"wording_{name}"] for name in PLANES))


def _problem(given: Pairs, keys: I64, start: F32) -> Problem:
    """Pairs sorted by query; a query's targets share its mean weight."""
    names, compact = np.unique(given.query, return_inverse=True)
    order = np.argsort(compact, kind="stable")
    count = np.bincount(compact)
    target = given.weight / count[compact]
    place, own = np.searchsorted(keys, given.doc), np.full(len(names), -1)
    rows, places = given.places_of_own(names, keys)
    own[rows] = places
    return Problem(
        given.queries[names], start, compact[order], place[order], target[order].astype(np.float32), own
    )
