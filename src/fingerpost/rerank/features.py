"""One row of numbers a candidate: what the learned fusion looks at.

    legs     each leg's score, raw and standardised over the query's candidates, and its rank
    sum      the untrained fusion (given), standardised: the forest starts from it
    words    coverage, order, nearness, title, codes (``matches``), as they are and standardised
    router   log-probability of the document, where the DSI proposed it; memory's columns: given by
             name, NaN where missing
    recency  how new the document is beside the other candidates, standardised; 0, as of the mean, where it
             does not say
    company  what is near a candidate (``company``), as it is and standardised, where vectors are known
    document best and mean of the untrained sum over the document's candidates, and how many there are
    query    its length, its codes, each leg's best score and how far that is ahead of the tenth

Missing values stay NaN: the forest knows a missing value from a small one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import UsageError
from fingerpost.rerank import company, matches
from fingerpost.scores import centre
from fingerpost.text.query import Query

Column = NDArray[np.floating]
Table = NDArray[np.float32]

LEGS = ("lexical", "dense", "maxsim", "maxsim_plain")
ASKED = ("memory_alike", "memory_worded", "memory_voiced")
EXTRA = ("router", "memory", "memory_map", "memory_knn", *ASKED, "memory_count", "recency")
_RELATIVE = ("coverage", "ordered", "near", "title")
_GATHERED = ("crowd", "kin")
_COMPANY = (*company.NAMES, *(f"{name}_z" for name in _GATHERED))

NAMES: tuple[str, ...] = (
    *(f"{leg}_{form}" for leg in LEGS for form in ("raw", "z", "rank")),
    "sum_z",
    *matches.NAMES,
    *(f"{name}_z" for name in _RELATIVE),
    *EXTRA,
    *(f"{name}_z" for name in ("memory", "memory_map", "memory_knn")),
    *_COMPANY,
    "document_best",
    "document_mean",
    "document_count",
    "query_terms",
    "query_codes",
    *(f"{leg}_gap" for leg in LEGS),
    *(f"{leg}_best" for leg in LEGS),
)

RISING = frozenset(
    {
        *(f"{leg}_{form}" for leg in LEGS for form in ("raw", "z")),
        *("sum_z", "coverage", "coverage_z", "codes", "document_best"),
        *("memory", "memory_z", "memory_map", "memory_map_z", *ASKED),
    }
)
"""Features of which more can only be better: the forest may not learn otherwise from few pairs."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known of a query's n candidates, as columns of length n.

    ``legs`` holds leg scores by name, NaN where missing; ``total`` the untrained fusion; ``docs`` the
    document keys; ``words`` is their ``matches.table`` (NaN rows where not looked at); ``extra`` columns
    named in EXTRA; ``vectors`` [n, d] their unit vectors, where there are any, and ``past`` [m, d] some past
    questions.
    """

    query: Query
    legs: Mapping[str, Column]
    total: Column
    docs: NDArray[np.int64]
    words: Table
    extra: Mapping[str, Column] = field(default_factory=dict)
    vectors: Table | None = None
    past: Table | None = None


def build(evidence: Evidence, names: Sequence[str] = NAMES) -> Table:
    """[n, len(names)] float32, rows in the candidates' order; a forest of an earlier version reads fewer.

    Raises UsageError (E_RANGE) for a name that no feature has.
    """
    size = len(evidence.total)
    missing = np.full(size, np.nan)
    columns: dict[str, Column] = {}
    for leg in LEGS:
        scores = np.asarray(evidence.legs.get(leg, missing), np.float64)
        columns |= {f"{leg}_raw": scores, f"{leg}_z": standard(scores), f"{leg}_rank": rank(scores)}
        columns[f"{leg}_gap"] = np.full(size, gap(scores))
        columns[f"{leg}_best"] = np.full(size, np.nanmax(scores) if np.isfinite(scores).any() else np.nan)
    columns["sum_z"] = standard(evidence.total)
    columns |= _word_columns(evidence.words)
    columns |= {name: evidence.extra.get(name, missing) for name in EXTRA}
    if "recency" in evidence.extra:
        columns["recency"] = np.nan_to_num(standard(columns["recency"]))
    columns |= {f"{name}_z": standard(columns[name]) for name in ("memory", "memory_map", "memory_knn")}
    columns |= _company_columns(evidence, asked=not set(_COMPANY).isdisjoint(names))
    columns |= _document_columns(evidence.docs, columns["sum_z"])
    columns["query_terms"] = np.full(size, float(len(evidence.query.terms)))
    columns["query_codes"] = np.full(size, float(len(evidence.query.codes)))
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise UsageError(
            "E_RANGE",
            f"the learned fusion reads {', '.join(unknown)}, which this version does not have",
            cure="learn again: it was trained by another version",
        )
    return np.column_stack([columns[name] for name in names]).astype(np.float32)


def standard(scores: Column) -> NDArray[np.float64]:
    """Standard scores over the known values; NaN stays NaN, a constant column is 0.

    >>> standard(np.array([1.0, 3.0, np.nan])).tolist()
    [-1.0, 1.0, nan]
    """
    out = np.asarray(scores, np.float64)
    known = np.isfinite(out)
    given, scaled = out[known], np.full(len(out), np.nan)
    if not len(given):
        return scaled
    centred, spread = centre(given)
    scaled[known] = 0.0 if spread <= 1e-6 * np.abs(given).max() else centred / spread
    return scaled


def rank(scores: Column) -> NDArray[np.float64]:
    """log2(1 + rank), rank from 1, equal scores sharing the better one; NaN stays NaN.

    >>> rank(np.array([0.5, 0.9, np.nan])).round(2).tolist()
    [1.58, 1.0, nan]
    """
    known = np.isfinite(scores)
    above = np.searchsorted(np.sort(-scores[known]), -np.where(known, scores, 0), side="left")
    return np.where(known, np.log2(2.0 + above), np.nan)


def gap(scores: Column) -> float:
    """How many deviations the best is ahead of the tenth (or the last); NaN with fewer than two.

    >>> round(gap(np.array([3.0, 1.0, 1.0])), 2)
    2.12
    """
    known = standard(scores[np.isfinite(scores)])
    if len(known) < 2:
        return float("nan")
    ordered = np.sort(known)[::-1]
    return float(ordered[0] - ordered[min(9, len(ordered) - 1)])


def _word_columns(words: Table) -> dict[str, Column]:
    columns: dict[str, Column] = dict(zip(matches.NAMES, words.T, strict=True))
    return columns | {f"{name}_z": standard(columns[name]) for name in _RELATIVE}


def _company_columns(evidence: Evidence, *, asked: bool) -> dict[str, Column]:
    """Missing where there are no vectors, or nobody asked."""
    vectors, docs = evidence.vectors, evidence.docs
    if vectors is None or not asked:
        return dict.fromkeys(_COMPANY, np.full(len(docs), np.nan))
    found = company.table(vectors, docs, evidence.total, evidence.past)
    columns: dict[str, Column] = dict(zip(company.NAMES, found.T, strict=True))
    return columns | {f"{name}_z": standard(columns[name]) for name in _GATHERED}


def _document_columns(docs: NDArray[np.int64], total: Column) -> dict[str, Column]:
    _, which = np.unique(docs, return_inverse=True)
    size = int(which.max()) + 1 if len(which) else 0
    known = np.nan_to_num(total)
    count = np.bincount(which, minlength=size)
    best = np.full(size, -np.inf)
    np.maximum.at(best, which, known)
    mean = np.bincount(which, weights=known, minlength=size) / np.maximum(count, 1)
    return {
        "document_best": best[which],
        "document_mean": mean[which],
        "document_count": np.log1p(count[which]),
    }
