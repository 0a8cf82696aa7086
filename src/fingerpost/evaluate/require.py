"""Quality gates: ``R@100>=0.9`` must hold, or the command ends with exit status 5."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass

from fingerpost.errors import GateError, UsageError
from fingerpost.evaluate.measures import Measure, parse
from fingerpost.evaluate.report import Evaluation
from fingerpost.text.counts import counted

_GATE = re.compile(r"\s*(?:([A-Za-z][A-Za-z0-9_]*)[:.])?\s*([^\s<>=]+)\s*(>=|<=|>|<)\s*([0-9.]+%?)\s*")
LEGS = ("lexical", "dense", "hybrid", "search")
"""The ways of searching that an index is measured by."""
_TESTS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass(frozen=True, slots=True)
class Gate:
    """One requirement: ``leg``'s mean of ``measure`` stands to ``bound`` as ``sign`` says."""

    leg: str
    measure: Measure
    sign: str
    bound: float

    def __str__(self) -> str:
        where = "" if self.leg == "search" else f"{self.leg}:"
        return f"{where}{self.measure}{self.sign}{self.bound:g}"


def gates(texts: Iterable[str]) -> tuple[Gate, ...]:
    """Gates from text, several separated by commas; ``dense:R@10>0.5`` names a leg other than ``search``.

    Raises UsageError E_USAGE for what is no gate or no leg, E_METRIC for an unknown measure.

    >>> [str(gate) for gate in gates(["R@100>=0.9, lexical:failure@20<20%"])]
    ['R@100>=0.9', 'lexical:failure@20<0.2']
    """
    return tuple(_gate(part) for text in texts for part in text.split(","))


def _gate(text: str) -> Gate:
    match = _GATE.fullmatch(text)
    try:
        bound = float(match[4].rstrip("%")) / (100 if match[4].endswith("%") else 1) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not 0 <= bound <= 1:
        message = f"'{text[:80]}' is not a requirement"
        raise UsageError(
            "E_USAGE", message, cure="write a measure, a sign and a number in 0..1, e.g. R@100>=0.9"
        )
    leg = match[1] or "search"
    if leg not in LEGS:
        raise UsageError(
            "E_USAGE", f"no leg '{leg[:80]}' is evaluated", cure=f"name one of {', '.join(LEGS)}"
        )
    return Gate(leg, parse(match[2])[0], match[3], bound)


def check(evaluation: Evaluation, required: Iterable[Gate]) -> None:
    """Raise GateError E_GATE naming every gate that does not hold; without queries none does.

    Raises UsageError for a leg or measure that was not evaluated.
    """
    failed = []
    for gate in required:
        if gate.leg not in evaluation.values:
            legs = ", ".join(evaluation.values)
            raise UsageError("E_USAGE", f"no leg '{gate.leg}' was evaluated", cure=f"name one of {legs}")
        if gate.measure not in evaluation.measures:
            told = " ".join(map(str, evaluation.measures))
            raise UsageError(
                "E_METRIC", f"'{gate.measure}' was not measured", cure=f"measure it too, or use {told}"
            )
        value = evaluation.value(str(gate.measure), leg=gate.leg)
        if not _TESTS[gate.sign](value, gate.bound):
            failed.append(f"{gate} (found {value:.4f})")
    if failed:
        message = f"not met on {counted(len(evaluation.query_ids), 'query')}: {'; '.join(failed)}"
        raise GateError("E_GATE", message, cure="see `evaluate --misses` for where they were lost")
