"""Who asks for an identifier wants the place that says it: exact matches first, whatever the scores.

A query of identifiers alone – ``ERR_CONN_RESET``, ``foo.bar --flag`` – has nothing to be similar to, and an
encoder reads its letters as it pleases. So the passages that hold every one whole come before those that
do not, and those that hold them in the same letters (``CONTENT_TYPE``, not ``content_type``) before the
others, each tier in its old order; the document that bears the name itself comes before all. A query with
other words beside them is left to the fusion, but for names that a single document holds: that one is meant.
What is written with the signs of source code, such as ``Vec<Option<u8>>``, is looked for as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.rerank.matches import whole
from fingerpost.text.query import Query
from fingerpost.text.tokens import analyze, fold

Scores = NDArray[np.float64]

CALLED = 3
"""The tier of a document that bears the name, above those that hold it."""

_NAME = re.compile(r"[_\\/]|::|->|^--|^[@$]|\w\.\w|[^\W\d]-?\d{3}|^(?=.{10})(?:\D*\d){4}")
_SIGNS = re.compile(r"[<>\[\]{}()=$#&|^~*\\@]|->|::")
_CONSTANT = re.compile(r"_*[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+_*")
_NUMBER = re.compile(r"\W*\d+(?:\W\d+)?\W*")


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


def names(query: Query) -> tuple[str, ...]:
    """The codes of a query that no text holds by chance: identifiers, options, paths, error codes, versions –
    not ``20th``, ``covid-19`` or ``3.5``.

    >>> from fingerpost.text.query import parse
    >>> names(parse("why E4012 and get_user in 3.10.2 in the 20th year of covid-19 by --dry-run at 3.5"))
    ('e4012', 'get_user', '3.10.2', '--dry-run')
    >>> names(parse("what was at 2024-11-02T10:00:00Z with 550e8400-e29b in the 21st-century"))
    ('2024-11-02t10:00:00z', '550e8400-e29b')
    """
    return tuple(code for code in query.codes if _NAME.search(code) and not _NUMBER.fullmatch(code))


def constants(query: Query) -> dict[str, re.Pattern[str]]:
    """Of a query's codes those that are written as source code writes constants, each with what finds it in
    the same letters: there ``CONTENT_TYPE`` is another thing than ``content_type``.

    >>> from fingerpost.text.query import parse
    >>> list(constants(parse("where do we set CONTENT_TYPE, content_length and OCT3/4?")))
    ['content_type']
    """
    written = zip(query.codes, _written(query), strict=True)
    return {code: whole(name) for code, name in written if _CONSTANT.fullmatch(name)}


def signed(query: Query) -> bool:
    """Whether a query has the signs of source code.

    >>> from fingerpost.text.query import parse
    >>> [signed(parse(text)) for text in ("operator<<", "list(map(int, x))", "why E4012?")]
    [True, True, False]
    """
    return _SIGNS.search(query.text) is not None


def verbatim(query: Query, texts: Sequence[str | None]) -> NDArray[np.bool_]:
    """For each passage whether a query with the signs of source code stands in it as it is written, white
    space and case aside.

    >>> from fingerpost.text.query import parse
    >>> verbatim(parse("a[i] = b"), ["then a[i]  = b;", "a[i] = bc", "a i b", None]).tolist()
    [True, False, False, False]
    """
    if not signed(query):
        return np.zeros(len(texts), np.bool_)
    sought = whole(_even(query.text))
    return np.array([text is not None and sought.search(_even(text)) is not None for text in texts], np.bool_)


def _even(text: str) -> str:
    return " ".join(fold(text).split())


def called(query: Query, doc_id: str) -> bool:
    """Whether a query is the name of a document, or the end of its path, and nothing else.

    >>> from fingerpost.text.query import parse
    >>> called(parse('"PROJ-7"'), "proj-7"), called(parse("io/read.py"), "src/io/read.py")
    (True, True)
    >>> called(parse("read.py"), "src/io/pread.py"), called(parse("PROJ-7 PROJ-8"), "PROJ-7")
    (False, False)
    """
    name = fold(doc_id)
    return len(query.codes) == 1 and (name == query.codes[0] or name.endswith(f"/{query.codes[0]}"))


def holding(query: Query, texts: Sequence[str | None]) -> NDArray[np.int64]:
    """For each passage 1 where it holds all of the query's identifiers whole, 2 where in the same letters;
    0 for one not looked at.

    >>> from fingerpost.text.query import parse
    >>> holding(parse("E401"), ["E401: expired", "e401", "E4012: other", None]).tolist()
    [2, 1, 0, 0]
    """
    patterns = [whole(code) for code in query.codes]
    written = [whole(name) for name in _written(query)]
    tiers = np.zeros(len(texts), np.int64)
    for at, text in enumerate(texts):
        if text is not None and all(one.search(fold(text)) for one in patterns):
            tiers[at] = 2 if all(one.search(text) for one in written) else 1
    return tiers


def lift(scores: NDArray[np.floating], tiers: NDArray[np.integer | np.bool_]) -> tuple[Scores, Scores]:
    """Scores with each tier above all lower ones, and what was added to each (a part of the score).

    The least that is enough is added, the same to all of a tier, so that their order stays.

    >>> lift(np.array([3.0, 1.0, 0.5]), np.array([0, 1, 1]))[0].tolist()
    [3.0, 4.5, 4.0]
    """
    before = np.asarray(scores, np.float64)
    lifted = before.copy()
    for tier in np.unique(tiers)[1:]:
        above = tiers >= tier
        lifted[above] += max(lifted[~above].max() - lifted[above].min() + 1.0, 0.0)
    return lifted, lifted - before


def _written(query: Query) -> list[str]:
    """The codes in the query's own letters. Folding keeps places only in ASCII: else as they are folded."""
    if not query.text.isascii():
        return list(query.codes)
    found = ((code, whole(code).search(fold(query.text))) for code in query.codes)
    return [query.text[slice(*match.span())] if match else code for code, match in found]
