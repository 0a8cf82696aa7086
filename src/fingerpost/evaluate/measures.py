"""Measures in the field's notation – ``nDCG@10 R@100 Hits@1 MRR@10 AP P@5 failure@20`` – and their values
for one query.

Values equal ir-measures' (that is trec_eval's, and for ``RR@k`` the MS MARCO script's), ties included: a
run is ranked by its scores, in float32 as trec_eval holds them, equal scores by document id descending;
``RR@k`` by float64 scores and ids ascending, as the MS MARCO script does. Where a system must not win by
ties, give it distinct scores.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import UsageError

Run = Mapping[str, float]
Grades = Mapping[str, int]

DEFAULT = "nDCG@10 R@100 Hits@1 MRR@10 AP failure@20"

_FAMILIES = {
    **dict.fromkeys(("ndcg",), "nDCG"),
    **dict.fromkeys(("r", "recall"), "R"),
    **dict.fromkeys(("p", "precision"), "P"),
    **dict.fromkeys(("rr", "mrr"), "RR"),
    **dict.fromkeys(("ap", "map"), "AP"),
    **dict.fromkeys(("hits", "hit", "success"), "Success"),
    **dict.fromkeys(("failure",), "failure"),
}
_CUTOFF_NEEDED = frozenset({"R", "P", "Success", "failure"})
_NOTATION = re.compile(r"([A-Za-z]+)(?:\(rel=([1-9]\d{0,3})\))?(?:@([1-9]\d{0,5}))?")


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: ``name`` as it was asked for, ``family`` as it is computed; a grade ≥ ``rel`` is
    relevant.
    """

    name: str
    family: str
    cutoff: int | None = None
    rel: int = 1

    @property
    def higher_is_better(self) -> bool:
        """False for ``failure@k`` alone."""
        return self.family != "failure"

    def __str__(self) -> str:
        return self.name


def parse(text: str | Iterable[str]) -> tuple[Measure, ...]:
    """Measures from the field's notation, separated by blanks or commas; repeated ones once.

    Raises UsageError E_METRIC that names near ones.

    >>> [(m.name, m.family, m.cutoff) for m in parse("nDCG@10 Hits@1 AP")]
    [('nDCG@10', 'nDCG', 10), ('Hits@1', 'Success', 1), ('AP', 'AP', None)]
    """
    joined = text if isinstance(text, str) else " ".join(text)
    names = [name for name in re.split(r"[\s,]+", joined) if name]
    if not names:
        raise UsageError("E_METRIC", "no measure was named", cure=f"ask for some of: {DEFAULT}")
    return tuple(dict.fromkeys(_parse_one(name) for name in names))


def _parse_one(name: str) -> Measure:
    match = _NOTATION.fullmatch(name)
    family = _FAMILIES.get(match[1].lower()) if match else None
    if match is None or family is None:
        raise UsageError("E_METRIC", f"no such measure '{name[:80]}'", cure=_near(name), detail=name[:200])
    cutoff = int(match[3]) if match[3] else None
    if cutoff is None and family in _CUTOFF_NEEDED:
        cure = f"give a cutoff, such as {match[1]}@10"
        raise UsageError("E_METRIC", f"'{name}' needs a cutoff", cure=cure, detail=name)
    if match[2] and family == "nDCG":
        cure = "ask for nDCG@k without rel"
        raise UsageError("E_METRIC", f"'{name}': nDCG uses the grades themselves", cure=cure, detail=name)
    return Measure(name, family, cutoff, int(match[2] or 1))


def _near(name: str) -> str:
    known = ["nDCG@10", "R@100", "Recall@100", "P@5", "Hits@1", "Success@1", "MRR@10", "RR@10", "AP", "MAP"]
    by_fold = {each.lower(): each for each in [*known, "failure@20"]}
    near = get_close_matches(name[:80].lower(), by_fold, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(by_fold[each] for each in near)}?"
    return f"use one of nDCG R P RR (MRR) AP (MAP) Hits (Success) failure, e.g. {DEFAULT}"


def score(measures: Sequence[Measure], run: Run, grades: Grades) -> NDArray[np.float64]:
    """The values of ``measures`` for one query, [len(measures)]: a run's scores against the grades of
    judged documents.

    A query without a relevant document scores 0 (``failure@k`` 1), as in trec_eval. Raises UsageError
    E_RANGE for a score that is not a number.

    >>> score(parse("nDCG@2 RR R@1"), {"a": 2.0, "b": 1.0, "c": 0.5}, {"b": 1, "c": 1}).round(3).tolist()
    [0.387, 0.5, 0.0]
    """
    ranked = [grades.get(doc_id, 0) for doc_id in trec_order(run)]
    values = np.empty(len(measures))
    for at, measure in enumerate(measures):
        marco = measure.family == "RR" and measure.cutoff is not None
        found = [grades.get(doc_id, 0) for doc_id in _marco_order(run)] if marco else ranked
        values[at] = _FORMULAS[measure.family](found, grades, measure)
    return values


def trec_order(run: Run) -> list[str]:
    """Document ids as trec_eval ranks them: float32 score descending, then id descending.

    >>> trec_order({"a": 1.0, "b": 1.0, "c": 2.0})
    ['c', 'b', 'a']
    """
    ids = sorted(run, reverse=True)
    with np.errstate(over="ignore"):
        scores = np.array([run[doc_id] for doc_id in ids], dtype=np.float64).astype(np.float32)
    if np.isnan(scores).any():
        raise UsageError("E_RANGE", "a score in the run is not a number", cure="give every document a score")
    return [ids[at] for at in np.argsort(-scores, kind="stable")]


def _marco_order(run: Run) -> list[str]:
    return sorted(run, key=lambda doc_id: (-run[doc_id], doc_id))


def _ndcg(found: list[int], grades: Grades, measure: Measure) -> float:
    """Σ grade / log2(rank + 1) over that of the ideal order; negative grades gain nothing
    (10.1145/582415.582418).
    """
    ideal = _dcg(sorted(grades.values(), reverse=True), measure.cutoff)
    return _dcg(found, measure.cutoff) / ideal if ideal else 0.0


def _dcg(gains: list[int], cutoff: int | None) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:cutoff]) if gain > 0)


def _recall(found: list[int], grades: Grades, measure: Measure) -> float:
    """Relevant among the first k / all relevant."""
    wanted = _relevant(grades.values(), measure)
    return _relevant(found[: measure.cutoff], measure) / wanted if wanted else 0.0


def _precision(found: list[int], grades: Grades, measure: Measure) -> float:
    """Relevant among the first k / k, however few were found."""
    return _relevant(found[: measure.cutoff], measure) / (measure.cutoff or 1)


def _reciprocal_rank(found: list[int], grades: Grades, measure: Measure) -> float:
    """1 / rank of the first relevant document within the cutoff."""
    hits = (1 / (at + 1) for at, grade in enumerate(found[: measure.cutoff]) if grade >= measure.rel)
    return next(hits, 0.0)


def _average_precision(found: list[int], grades: Grades, measure: Measure) -> float:
    """Mean over all relevant documents of the precision at each one's rank (0 where not found)."""
    hits = 0
    total = 0.0
    for at, grade in enumerate(found[: measure.cutoff]):
        if grade >= measure.rel:
            hits += 1
            total += hits / (at + 1)
    wanted = _relevant(grades.values(), measure)
    return total / wanted if wanted else 0.0


def _success(found: list[int], grades: Grades, measure: Measure) -> float:
    """1 when any relevant document is among the first k."""
    return float(any(grade >= measure.rel for grade in found[: measure.cutoff]))


def _failure(found: list[int], grades: Grades, measure: Measure) -> float:
    """1 when no relevant document is among the first k."""
    return 1.0 - _success(found, grades, measure)


def _relevant(values: Iterable[int], measure: Measure) -> int:
    return sum(grade >= measure.rel for grade in values)


_FORMULAS: dict[str, Callable[[list[int], Grades, Measure], float]] = {
    "nDCG": _ndcg,
    "R": _recall,
    "P": _precision,
    "RR": _reciprocal_rank,
    "AP": _average_precision,
    "Success": _success,
    "failure": _failure,
}
