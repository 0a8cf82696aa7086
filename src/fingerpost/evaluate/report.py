"""What an evaluation found: per leg and measure means, intervals, tails, seen and unseen apart; as JSON and
as tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from fingerpost.evaluate.calibration import Kept, Reliability, kept, reliability
from fingerpost.evaluate.measures import Measure
from fingerpost.evaluate.significance import interval
from fingerpost.text.counts import counted

Legs = dict[str, dict[str, float | None]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Values of every query: ``values[leg][i, j]`` is measure j for query i (float64).

    ``seen[i]`` tells whether query i has a relevant document that was relevant to a training query;
    ``promised[i]`` is the score of the search's first result (NaN without one), ``right[i]`` whether that is
    relevant. ``leaves`` [m, 2]: for some of the queries the chance that the router gives its likeliest leaf,
    and the share of the ten nearest chunks that lie there; no rows without a router.
    """

    name: str
    split: str
    measures: tuple[Measure, ...]
    query_ids: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]
    seen: NDArray[np.bool_]
    generated: bool = False
    logged: bool = False
    notes: tuple[str, ...] = ()
    promised: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    right: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    leaves: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))

    def means(self, rows: NDArray[np.bool_] | None = None) -> Legs:
        """Leg → measure → mean, over all queries or the marked ones; None where there is no query."""
        picked = {leg: table if rows is None else table[rows] for leg, table in self.values.items()}
        return {leg: self._named(table.mean(axis=0) if len(table) else None) for leg, table in picked.items()}

    def tails(self) -> Legs:
        """Leg → measure → mean of the worst tenth of the queries (at least one)."""
        return {leg: self._named(_worst(table, self.measures)) for leg, table in self.values.items()}

    def intervals(
        self, *, level: float = 0.95, seed: int = 0
    ) -> dict[str, dict[str, tuple[float, float] | None]]:
        """Leg → measure → bootstrap interval of the mean."""
        return {
            leg: {
                str(measure): (float(low), float(high)) if len(table) else None
                for measure, low, high in zip(
                    self.measures, *interval(table, level=level, seed=seed), strict=True
                )
            }
            for leg, table in self.values.items()
        }

    def value(self, measure: str, *, leg: str = "search") -> float:
        """The mean of one measure for one leg; NaN without queries."""
        at = [str(each) for each in self.measures].index(measure)
        table = self.values[leg]
        return float(table[:, at].mean()) if len(table) else float("nan")

    @property
    def kind(self) -> str:
        """What sort of questions these are, as a word before the noun; "" for judged ones."""
        return "generated " if self.generated else "logged " if self.logged else ""

    def _named(self, row: NDArray[np.float64] | None) -> dict[str, float | None]:
        if row is None:
            return {str(measure): None for measure in self.measures}
        return {str(measure): float(value) for measure, value in zip(self.measures, row, strict=True)}

    def __str__(self) -> str:
        return table(self)


def to_json(evaluation: Evaluation, *, level: float = 0.95, per_query: bool = False) -> dict[str, object]:
    """The object that ``evaluate --json`` prints; docs/evaluate.md explains every key."""
    seen = evaluation.seen
    found: dict[str, object] = {
        "name": evaluation.name,
        "queries": len(evaluation.query_ids),
        "split": evaluation.split,
        "generated": evaluation.generated,
        "log": evaluation.logged,
        "legs": evaluation.means(),
        "seen": {"queries": int(seen.sum()), "legs": evaluation.means(seen)},
        "unseen": {"queries": int((~seen).sum()), "legs": evaluation.means(~seen)},
        "level": level,
        "intervals": evaluation.intervals(level=level),
        "tails": evaluation.tails(),
        "calibration": {
            "first_result": _told(reliability(evaluation.promised, evaluation.right)),
            "likeliest_leaf": _told(kept(*evaluation.leaves.T)),
        },
        "notes": list(evaluation.notes),
    }
    if per_query:
        rows = zip(*(table.tolist() for table in evaluation.values.values()), strict=True)
        names = [str(measure) for measure in evaluation.measures]
        found["per_query"] = {
            query_id: {
                leg: dict(zip(names, row, strict=True))
                for leg, row in zip(evaluation.values, values, strict=True)
            }
            for query_id, values in zip(evaluation.query_ids, rows, strict=True)
        }
    return found


def _told(found: Reliability | Kept | None) -> dict[str, object] | None:
    return None if found is None else asdict(found)


def table(evaluation: Evaluation, *, markdown: bool = False) -> str:
    """The means with their 95 % intervals, then seen, unseen and worst tenth, one leg a line."""
    names = [str(measure) for measure in evaluation.measures]
    spans = evaluation.intervals()
    rows = []
    for leg, means in evaluation.means().items():
        cells = [f"{_number(means[name])}{_bounds(spans[leg][name])}" for name in names]
        rows.append([leg, *cells])
    seen = int(evaluation.seen.sum())
    parts = [
        (f"seen ({seen:,})", evaluation.means(evaluation.seen)),
        (f"unseen ({len(evaluation.seen) - seen:,})", evaluation.means(~evaluation.seen)),
        ("worst tenth", evaluation.tails()),
    ]
    for title, legs in parts:
        rows += [
            [f"{leg}, {title}", *(_number(means[name]) for name in names)] for leg, means in legs.items()
        ]
    count = counted(len(evaluation.query_ids), f"{evaluation.kind}query")
    head = f"{evaluation.name}, {evaluation.split}: {count}"
    lines = [head, *([""] if markdown else []), *layout([["", *names], *rows], markdown=markdown)]
    return "\n".join([*lines, *(f"note: {note}" for note in evaluation.notes)])


def layout(rows: Sequence[Sequence[str]], *, markdown: bool = False) -> list[str]:
    """Rows of cells as aligned lines, or as a Markdown table; the first row is the head.

    >>> layout([["", "AP"], ["lexical", "0.5"]])
    ['         AP', 'lexical  0.5']
    """
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    if not markdown:
        return ["  ".join(row).rstrip() for row in padded]
    rule = "|" + "|".join([":--", *["--:"] * (len(widths) - 1)]) + "|"
    lines = ["| " + " | ".join(row) + " |" for row in padded]
    return [lines[0], rule, *lines[1:]]


def _worst(table: NDArray[np.float64], measures: Sequence[Measure]) -> NDArray[np.float64] | None:
    if not len(table):
        return None
    count = max(1, len(table) // 10)
    signs = np.array([1.0 if measure.higher_is_better else -1.0 for measure in measures])
    worst: NDArray[np.float64] = np.sort(table * signs, axis=0)[:count].mean(axis=0) * signs
    return worst + 0.0  # no negative zeros


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _bounds(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f" [{bounds[0]:.3f}, {bounds[1]:.3f}]"
