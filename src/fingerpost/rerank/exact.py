"""Who asks for an identifier wants the place that says it: exact matches first, whatever the scores.

A query of identifiers alone – ``ERR_CONN_RESET``, ``foo.bar --flag`` – has nothing to be similar to, and an
encoder reads its letters as it pleases. So the passages that hold every one whole come before those that
do not, each tier in its old order. A query with other words beside them is left to the fusion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.rerank.matches import whole
from fingerpost.text.query import Query
from fingerpost.text.tokens import analyze, fold

Scores = NDArray[np.float64]


def only_names(query: Query) -> bool:
    """Whether a query consists of identifiers and nothing else.

    >>> from fingerpost.text.query import parse
    >>> only_names(parse("ERR_CONN_RESET")), only_names(parse("why ERR_CONN_RESET")), only_names(parse("why"))
    (True, False, False)
    """
    rest = fold(query.text)
    for code in sorted(query.codes, key=len, reverse=True):
        rest = rest.replace(code, " ")
    return bool(query.codes) and not analyze(rest)


def holding(query: Query, texts: Sequence[str | None]) -> NDArray[np.bool_]:
    """For each passage whether it holds all of the query's identifiers whole; False for one not looked at.

    >>> from fingerpost.text.query import parse
    >>> holding(parse("E401"), ["E401: expired", "E4012: other", None]).tolist()
    [True, False, False]
    """
    patterns = [whole(code) for code in query.codes]
    folded = (None if text is None else fold(text) for text in texts)
    found = [text is not None and all(one.search(text) for one in patterns) for text in folded]
    return np.array(found, np.bool_)


def lift(scores: NDArray[np.floating], exact: NDArray[np.bool_]) -> tuple[Scores, Scores]:
    """Scores with all exact matches above all others, and what was added to each (a part of the score).

    The least that is enough is added, the same to every exact match, so that their order stays.

    >>> lift(np.array([3.0, 1.0, 0.5]), np.array([False, True, True]))[0].tolist()
    [3.0, 4.5, 4.0]
    """
    before = np.asarray(scores, np.float64)
    if not exact.any() or exact.all():
        return before, np.zeros(len(before))
    short = before[~exact].max() - before[exact].min()
    added = np.where(exact, max(short + 1.0, 0.0), 0.0)
    return before + added, added
