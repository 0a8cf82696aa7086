"""Requirements of a quality gate: `R@100>=0.9`, `dense:nDCG@10 > 0.6`."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fingerpost.errors import GateError, UsageError

_FORM = re.compile(r"\s*(?:([a-z]+):)?([A-Za-z][\w()=]*(?:@\d+)?)\s*(>=|<=|>|<)\s*(\d+(?:\.\d+)?|\.\d+)\s*")
_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass(frozen=True, slots=True)
class Requirement:
    """A leg's measure compared with a number; ``leg`` is `search` where none is named."""

    text: str
    leg: str
    measure: str
    sign: str
    bound: float


def parse(text: str) -> Requirement:
    """One requirement. Raises UsageError E_METRIC where it is not of the form.

    >>> parse("R@100>=0.9")
    Requirement(text='R@100>=0.9', leg='search', measure='R@100', sign='>=', bound=0.9)
    """
    match = _FORM.fullmatch(text)
    if match is None:
        message = f"'{text[:80]}' is not a requirement"
        raise UsageError("E_METRIC", message, cure='write a measure, >= or <=, and a number: "R@100>=0.9"')
    return Requirement(text.strip(), match[1] or "search", match[2], match[3], float(match[4]))


def check(requirements: Sequence[Requirement], legs: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A line for each requirement that holds; ``legs`` is leg → measure → value.

    Raises GateError naming all that do not hold, UsageError for a leg that is not there.

    >>> check([parse("R@100>=0.9")], {"search": {"R@100": 0.95}})
    ['search R@100 = 0.9500, required >= 0.9: met']
    """
    lines = [(_holds(each, legs), each) for each in requirements]
    told = [
        (
            holds,
            f"{each.leg} {each.measure} = {legs[each.leg][each.measure]:.4f}, required {each.sign} "
            f"{each.bound:g}: {'met' if holds else 'NOT met'}",
        )
        for holds, each in lines
    ]
    failed = [line for holds, line in told if not holds]
    if failed:
        raise GateError("E_GATE", "; ".join(failed), cure="`evaluate --misses` says where they were lost")
    return [line for _, line in told]


def _holds(need: Requirement, legs: Mapping[str, Mapping[str, float]]) -> bool:
    if need.leg not in legs:
        raise UsageError(
            "E_METRIC", f"no leg '{need.leg}' was evaluated", cure=f"use one of {', '.join(legs)}"
        )
    return bool(_COMPARE[need.sign](legs[need.leg][need.measure], need.bound))
