"""How a passage's words match a query's: coverage, order, nearness, title, codes.

Terms are those of ``text.tokens.analyze`` – the lexical index's own – so that nothing matches here that
BM25 could not have matched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fingerpost.text.query import Query
from fingerpost.text.tokens import fold

NAMES = ("coverage", "ordered", "near", "title", "title_whole", "codes", "length")


@dataclass(frozen=True, slots=True)
class Passage:
    """What matching needs of a chunk: its terms, those of its title › headings, and its text for codes."""

    terms: Sequence[str]
    title: Sequence[str] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query made ready for matching many passages: each term's place and share of the query's idf."""

    terms: tuple[str, ...]
    place: Mapping[str, int]
    share: tuple[float, ...]
    codes: tuple[re.Pattern[str], ...]


def ask(query: Query, idf: Mapping[str, float] | None = None) -> Asked:
    """``idf`` weighs the query's terms (a term it lacks counts as its rarest); None weighs all alike."""
    rarest = max(idf.values(), default=1.0) if idf else 1.0
    weights = np.array([max((idf or {}).get(term, rarest), 1e-3) for term in query.terms])
    shares = weights / weights.sum() if len(weights) else weights
    place = {term: at for at, term in enumerate(query.terms)}
    return Asked(query.terms, place, tuple(shares.tolist()), tuple(whole(code) for code in query.codes))


def whole(code: str) -> re.Pattern[str]:
    """Finds a folded code where it is not part of a longer one.

    >>> bool(whole("e40").search("error e40: x")), bool(whole("e40").search("error e401"))
    (True, False)
    """
    before = r"(?<![\w])" if code[:1].isalnum() or code[:1] == "_" else ""
    return re.compile(before + re.escape(code) + r"(?!\w)")


def measure(asked: Asked, passage: Passage) -> tuple[float, ...]:
    """The values of ``NAMES``.

    coverage     share of the query's idf whose terms the passage holds
    ordered      share of the query's neighbouring term pairs that the passage holds side by side, in order
    near         distinct terms matched / words of the shortest stretch that holds them all (0 when < 2)
    title        share of the query's idf in title and headings
    title_whole  share of the title's terms that the query holds
    codes        share of the query's codes that the passage holds whole (NaN when it has none)
    length       log(1 + terms)

    >>> asked = ask(Query("rotate signing key", ("rotat", "sign", "key"), ()))
    >>> measure(asked, Passage(["the", "sign", "key", "rotat"], ["key"]))[:5]
    (1.0, 0.5, 1.0, 0.333..., 1.0)
    """
    place = asked.place
    found = [(at, place[term]) for at, term in enumerate(passage.terms) if term in place]
    held = {term for _, term in found}
    title = {place[term] for term in passage.title if term in place}
    return (
        sum(asked.share[term] for term in held),
        _ordered(found, len(place)),
        _near(found, len(held)),
        sum(asked.share[term] for term in title),
        len(title) / len(set(passage.title)) if passage.title else 0.0,
        _codes(asked.codes, passage.text),
        float(np.log1p(len(passage.terms))),
    )


def table(asked: Asked, passages: Sequence[Passage | None]) -> NDArray[np.float32]:
    """[n, len(NAMES)], a row of NaN for a passage that was not looked at (None)."""
    missing = (np.nan,) * len(NAMES)
    rows = [missing if passage is None else measure(asked, passage) for passage in passages]
    return np.array(rows, np.float32).reshape(len(rows), len(NAMES))


def _ordered(found: Sequence[tuple[int, int]], terms: int) -> float:
    if terms < 2:
        return 0.0
    steps = pairwise(found)
    return len({a for (x, a), (y, b) in steps if y == x + 1 and b == a + 1}) / (terms - 1)


def _near(found: Sequence[tuple[int, int]], distinct: int) -> float:
    """Distinct terms / words in the shortest window with all of them: one pass with two fingers."""
    if distinct < 2:
        return 0.0
    count: dict[int, int] = {}
    shortest, first = found[-1][0] - found[0][0] + 1, 0
    for at, term in found:
        count[term] = count.get(term, 0) + 1
        while len(count) == distinct:
            shortest = min(shortest, at - found[first][0] + 1)
            left = found[first][1]
            count[left] -= 1
            if not count[left]:
                del count[left]
            first += 1
    return distinct / shortest


def _codes(codes: Sequence[re.Pattern[str]], text: str) -> float:
    if not codes:
        return float("nan")
    folded = fold(text)
    return sum(code.search(folded) is not None for code in codes) / len(codes)
