"""Compare runs on the same questions: means, and letters for the runs that each one beats significantly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import UsageError
from fingerpost.evaluate.measures import Measure, Run, score
from fingerpost.evaluate.report import layout
from fingerpost.evaluate.significance import paired_p
from fingerpost.text.counts import counted

_SUPERSCRIPTS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖᑫʳˢᵗᵘᵛʷˣʸᶻ")


@dataclass(frozen=True, slots=True)
class Comparison:
    """``means[i, j]`` of run i for measure j; ``p[i, k, j]`` of the test between runs i and k."""

    names: tuple[str, ...]
    measures: tuple[Measure, ...]
    queries: int
    means: NDArray[np.float64]
    p: NDArray[np.float64]
    alpha: float = 0.05

    def beaten(self, run: int, measure: int) -> tuple[int, ...]:
        """The runs that ``run`` beats: a better mean, and p below alpha."""
        sign = 1 if self.measures[measure].higher_is_better else -1
        ahead = sign * (self.means[run, measure] - self.means[:, measure]) > 0
        return tuple(int(k) for k in np.flatnonzero(ahead & (self.p[run, :, measure] < self.alpha)))


def compare(
    values: Mapping[str, NDArray[np.float64]],
    measures: Sequence[Measure],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Comparison:
    """Compare runs by their values for the same queries in the same order, [n, len(measures)] each.

    Tests are two-sided paired randomisation tests; p values are Holm's over all pairs of runs, per measure.
    Raises UsageError when there are not two to 26 runs, or their queries differ in number.
    """
    names = tuple(values)
    if not 2 <= len(names) <= len(ascii_lowercase):
        raise UsageError("E_USAGE", f"{counted(len(names), 'run')} to compare", cure="name two to 26 runs")
    tables = [values[name] for name in names]
    if len({table.shape for table in tables}) != 1:
        counts = ", ".join(f"{name}: {len(values[name]):,}" for name in names)
        raise UsageError(
            "E_USAGE", f"the runs answer different queries ({counts})", cure="evaluate both on one set"
        )
    p = np.ones((len(names), len(names), len(measures)))
    pairs = [(i, k) for i in range(len(names)) for k in range(i + 1, len(names))]
    for j in range(len(measures)):
        raw = np.array([paired_p(tables[i][:, j], tables[k][:, j], seed=seed) for i, k in pairs])
        for (i, k), value in zip(pairs, holm(raw), strict=True):
            p[i, k, j] = p[k, i, j] = value
    means = np.array([table.mean(axis=0) for table in tables])
    return Comparison(names, tuple(measures), len(tables[0]), means, p, alpha)


def score_runs(
    runs: Mapping[str, Mapping[str, Run]], qrels: Mapping[str, Mapping[str, int]], measures: Sequence[Measure]
) -> dict[str, NDArray[np.float64]]:
    """Values of whole runs (such as TREC files), [len(qrels), len(measures)]; a query without a ranking
    scores 0.
    """
    return {
        name: np.array([score(measures, run.get(query_id, {}), row) for query_id, row in qrels.items()])
        for name, run in runs.items()
    }


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's correction of p values for having tested several hypotheses (1979, jstor.org/stable/4615733).

    >>> holm(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return corrected


def compared(comparison: Comparison, *, markdown: bool = False) -> str:
    """The comparison as a table; ``0.612ᵃᶜ`` is significantly better than runs a and c."""
    letters = ascii_lowercase[: len(comparison.names)]
    rows = [["", "run", *map(str, comparison.measures)]]
    for i, name in enumerate(comparison.names):
        cells = []
        for j in range(len(comparison.measures)):
            beaten = "".join(letters[k] for k in comparison.beaten(i, j)).translate(_SUPERSCRIPTS)
            cells.append(f"{comparison.means[i, j]:.4f}{beaten}")
        rows.append([letters[i], name, *cells])
    foot = (
        f"{counted(comparison.queries, 'query')}; a letter marks a run that is beaten with "
        f"p < {comparison.alpha:g} "
    )
    foot += "(paired randomisation test, Holm-corrected)"
    return "\n".join([*layout(rows, markdown=markdown), *([""] if markdown else []), foot])
