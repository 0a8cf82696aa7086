"""Which way of searching serves this corpus and these questions, by what was measured, and what would change
that.

The rule is plain, so that it can be argued with: of all stacks take the simplest whose mean nDCG@10 is within
``CLOSE`` of the best one's and which the best one does not beat significantly. Simplest is the order in which
the stacks are given. Everything here is a pure function of values that were measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.evaluate.compare import holm
from fingerpost.evaluate.significance import interval, paired_p
from fingerpost.text.counts import counted
from fingerpost.text.tokens import analyze, codes

Values = NDArray[np.float64]

NAMES: Mapping[str, str] = {
    "lexical": "BM25 alone",
    "dense": "vectors alone",
    "hybrid": "BM25 and vectors fused by rank",
    "search": "the full search, untrained",
    "learned": "the full search as it has learned",
}
"""The stacks, simplest first."""

CLOSE = 0.01
"""A difference in mean nDCG@10 that is not worth a dearer stack."""
ALPHA = 0.05
FEW = 30
"""Fewer questions than this cannot carry a judgement."""
MANY_FRESH = 0.2
PAYS = 100
"""Training pairs from which learning may be expected to pay."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A way of searching: nDCG@10 of every judged question, float64 [n], and milliseconds a query."""

    name: str
    values: Values
    ms: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of corpus and questions. Shares are of the questions, ``fresh`` of the chunks.

    ``labels`` are the pairs the index was taught, ``available`` those of the folder's training split.
    ``taught`` is the share of questions that were themselves taught: they are left out of the judgement.
    """

    questions: int
    documents: int
    chunks: int
    seen: float = 0.0
    repeated: float = 0.0
    exact: float = 0.0
    taught: float = 0.0
    fresh: float = 0.0
    labels: int = 0
    available: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the questions – seen, unseen, with codes, without – by their marks, bool [n]."""

    name: str
    rows: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Advice:
    """The stack to use, why, and what would change it; ``p[stack]`` tests it against the chosen one."""

    stack: str
    reasons: tuple[str, ...]
    would_change: tuple[str, ...]
    facts: Facts
    stacks: tuple[Stack, ...]
    p: Mapping[str, float]


def repeated_share(texts: Sequence[str]) -> float:
    """Share of questions that ask in the same words, order apart, as another one.

    >>> repeated_share(["rotate keys", "the keys: rotate!", "backups", "quota"])
    0.5
    """
    asked = Counter(frozenset(analyze(text)) for text in texts)
    return sum(count for count in asked.values() if count > 1) / max(1, len(texts))


def exact(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which questions name a code – an identifier, a version, a path – that must match as it stands.

    >>> exact(["What is E4012?", "why so slow"]).tolist()
    [True, False]
    """
    return np.array([bool(codes(text)) for text in texts], dtype=bool)


def p_values(stacks: Sequence[Stack], against: str) -> dict[str, float]:
    """p of the paired randomisation test of each other stack against one, Holm-corrected.

    >>> better = Stack("dense", np.ones(9), 1.0)
    >>> round(p_values([Stack("lexical", np.zeros(9), 1.0), better], "dense")["lexical"], 4)
    0.0039
    """
    base = next(stack.values for stack in stacks if stack.name == against)
    others = [stack for stack in stacks if stack.name != against]
    raw = np.array([paired_p(base, stack.values) for stack in others])
    return {stack.name: float(p) for stack, p in zip(others, holm(raw), strict=True)}


def choose(stacks: Sequence[Stack]) -> str:
    """The simplest stack that is as good as the best one: within ``CLOSE`` and not significantly worse.

    >>> mixed = np.arange(40) % 2.0
    >>> choose([Stack("lexical", mixed, 1.0), Stack("dense", mixed, 1.0)])
    'lexical'
    """
    best = max(stacks, key=lambda stack: float(stack.values.mean()))
    p = p_values(stacks, best.name)
    for stack in stacks:
        near = float(best.values.mean() - stack.values.mean()) <= CLOSE
        if stack.name == best.name or (near and p[stack.name] >= ALPHA):
            return stack.name
    return best.name


def needed(first: Values, second: Values) -> int | None:
    """About how many questions show this difference with 80 % power at p < 0.05; None without a difference.

    >>> needed(np.array([1.0, 0.0, 1.0, 1.0]), np.zeros(4))
    3
    """
    differences = first - second
    mean = float(differences.mean()) if len(differences) else 0.0
    if abs(mean) < 1e-9:
        return None
    return max(1, math.ceil((1.96 + 0.84) ** 2 * float(differences.var()) / mean**2))


def break_even(seen: float, unseen: float) -> float | None:
    """The share of seen questions at which a gain on seen ones makes up for a loss on unseen ones.

    >>> break_even(0.2, -0.05), break_even(0.2, 0.1)
    (0.2, None)
    """
    return round(-unseen / (seen - unseen), 4) if seen > 0 > unseen else None


def advise(stacks: Sequence[Stack], facts: Facts, groups: Sequence[Group]) -> Advice:
    """The advice on stacks that were measured on the same questions, simplest first.

    ``groups`` are expected under the names ``seen``, ``unseen``, ``exact`` and ``worded``.
    """
    chosen = choose(stacks)
    p = p_values(stacks, chosen)
    reasons = (*_reasons(stacks, chosen, p), *_judged(stacks, facts))
    changes = (
        *_too_few(stacks, chosen, p),
        *_learning(stacks, chosen, facts, groups),
        *_kinds(stacks, groups),
        *_cost(stacks, chosen),
        *_fresh(facts),
    )
    return Advice(chosen, reasons, changes, facts, tuple(stacks), p)


def to_json(advice: Advice) -> dict[str, object]:
    """The object that ``advise --json`` prints."""
    rows = {}
    for stack in advice.stacks:
        low, high = interval(stack.values[:, None])[:, 0]
        rows[stack.name] = {
            "what": NAMES.get(stack.name, stack.name),
            "nDCG@10": _mean(stack.values),
            "interval": [float(low), float(high)],
            "ms": stack.ms,
            "p": advice.p.get(stack.name),
        }
    return {
        "stack": advice.stack,
        "what": NAMES.get(advice.stack, advice.stack),
        "reasons": advice.reasons,
        "would_change": advice.would_change,
        "facts": advice.facts,
        "stacks": rows,
    }


def _reasons(stacks: Sequence[Stack], chosen: str, p: Mapping[str, float]) -> list[str]:
    mine = next(stack for stack in stacks if stack.name == chosen)
    told = []
    for other in stacks:
        if other.name == chosen:
            continue
        gain = _mean(mine.values) - _mean(other.values)
        real = "significant" if p[other.name] < ALPHA else "not significant"
        told.append(
            f"{gain:+.3f} nDCG@10 against {NAMES.get(other.name, other.name)} ({real}, p {_p(p[other.name])})"
        )
    return told


def _judged(stacks: Sequence[Stack], facts: Facts) -> list[str]:
    count = len(stacks[0].values)
    if count == facts.questions:
        return []
    left = f"judged on the {count:,} of {counted(facts.questions, 'question')} that were not taught"
    return [left]


def _too_few(stacks: Sequence[Stack], chosen: str, p: Mapping[str, float]) -> list[str]:
    count = len(stacks[0].values)
    told = []
    if count < FEW:
        few = counted(count, "question is", "questions are")
        told.append(f"{few} too few to trust any of this: collect {FEW} or more")
    mine = next(stack for stack in stacks if stack.name == chosen)
    for other in stacks:
        more = needed(mine.values, other.values) if other.name != chosen and p[other.name] >= ALPHA else None
        if more and count < more <= 100 * count and abs(_mean(mine.values) - _mean(other.values)) > CLOSE:
            wanted = counted(more, "question")
            told.append(f"about {wanted} would tell {chosen} from {other.name} for certain")
    return told


def _learning(stacks: Sequence[Stack], chosen: str, facts: Facts, groups: Sequence[Group]) -> list[str]:
    by_name = {stack.name: stack.values for stack in stacks}
    if "learned" not in by_name:
        if facts.labels:
            return ["the index was taught, but too few other questions are left to judge what it learned"]
        pairs = facts.available
        here = "there are no training pairs here"
        where = f"the training split has {counted(pairs, 'pair')}" if pairs else here
        pays = " – enough that it should pay" if pairs >= PAYS else f"; {PAYS} or more begin to pay"
        return [
            f"nothing was learned yet: {where}{pays}. Run `fingerpost learn --pairs …`, then advise again"
        ]
    gain = by_name["learned"] - by_name.get("search", by_name["learned"])
    rows = {group.name: group.rows for group in groups}
    none = np.zeros(len(gain), dtype=bool)
    parts = {name: gain[rows.get(name, none)] for name in ("seen", "unseen")}
    seen, unseen = _mean(parts["seen"]), _mean(parts["unseen"])
    told = [
        f"learning gains {seen:+.3f} on documents seen in training "
        f"({counted(len(parts['seen']), 'question')}), {unseen:+.3f} on the others ({len(parts['unseen']):,})"
    ]
    even = break_even(seen, unseen)
    if even is not None and unseen < -CLOSE and len(parts["unseen"]) >= FEW:
        told.append(
            f"were fewer than {even:.0%} of the questions about seen documents, untrained would be better"
        )
    if facts.labels < PAYS and chosen != "learned":
        few = counted(facts.labels, "pair")
        told.append(f"it learned from {few} only: with {PAYS} or more, advise again")
    return told


def _kinds(stacks: Sequence[Stack], groups: Sequence[Group]) -> list[str]:
    """Where questions with codes are served best by another stack than those without."""
    best = {}
    for group in groups:
        if group.name in ("exact", "worded") and group.rows.sum() >= FEW:
            best[group.name] = max(stacks, key=lambda stack: _mean(stack.values[group.rows])).name
    if len(set(best.values())) < 2:
        return []
    return [
        f"questions that name codes do best with {best['exact']}, the others with {best['worded']}: "
        "another mixture of the two would move the choice"
    ]


def _cost(stacks: Sequence[Stack], chosen: str) -> list[str]:
    mine = next(stack for stack in stacks if stack.name == chosen)
    cheaper = [stack for stack in stacks if stack.ms < mine.ms / 2]
    if not cheaper:
        return []
    other = max(cheaper, key=lambda stack: _mean(stack.values))
    loss = _mean(mine.values) - _mean(other.values)
    return [
        f"if {mine.ms:.1f} ms a query are too many: {other.name} takes {other.ms:.1f} ms "
        f"and {'loses' if loss >= 0 else 'gains'} {abs(loss):.3f} nDCG@10"
    ]


def _fresh(facts: Facts) -> list[str]:
    if facts.fresh <= MANY_FRESH:
        return []
    return [
        f"{facts.fresh:.0%} of the chunks are newer than the last fold: "
        "fold them in with `fingerpost compile` and advise again"
    ]


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else 0.0


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
