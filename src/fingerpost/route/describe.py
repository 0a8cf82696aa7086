"""Descriptors: what a leaf is about, in words that `explain` and `route` can show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from math import log

from fingerpost.records import Address

TERMS = 5


def descriptors(
    chunks: Iterable[tuple[int, Sequence[str], str]], *, addresses: Sequence[Address], terms: int = TERMS
) -> list[dict[str, object]]:
    """For each leaf its address, size, ``terms`` words of largest tf · idf (over leaves) and commonest title.

    ``chunks`` yields (leaf, terms of the chunk, its document's title).

    >>> rows = [(0, ["login", "token"], "Auth"), (0, ["token"], "Auth"), (1, ["disk", "login"], "")]
    >>> [d["terms"] for d in descriptors(rows, addresses=[(0, 0), (0, 1)])]
    [['token'], ['disk']]
    """
    counts: list[Counter[str]] = [Counter() for _ in addresses]
    titles: list[Counter[str]] = [Counter() for _ in addresses]
    sizes = [0] * len(addresses)
    for leaf, words, title in chunks:
        counts[leaf].update(set(words))
        titles[leaf].update([title] if title else [])
        sizes[leaf] += 1
    idf = _idf(counts)
    return [
        {
            "address": list(address),
            "chunks": sizes[leaf],
            "terms": _top(counts[leaf], idf, terms),
            "title": max(sorted(titles[leaf]), key=titles[leaf].__getitem__, default=""),
        }
        for leaf, address in enumerate(addresses)
    ]


def to_json(rows: Sequence[dict[str, object]]) -> bytes:
    """The addresses.json of a generation; the same rows give the same bytes.

    >>> from_json(to_json([{"address": [0, 1], "terms": ["a"]}]))[0]["terms"]
    ['a']
    """
    return json.dumps(list(rows), ensure_ascii=False, sort_keys=True, indent=0).encode()


def from_json(data: bytes) -> list[dict[str, object]]:
    """What ``to_json`` wrote."""
    return list(json.loads(data))


def _idf(counts: Sequence[Counter[str]]) -> dict[str, float]:
    """The inverse leaf frequency of each term; those that every one of several leaves has are left out."""
    spread: Counter[str] = Counter()
    for count in counts:
        spread.update(count.keys())
    leaves = len(counts)
    return {term: log((leaves + 1) / n) for term, n in spread.items() if n < leaves or leaves == 1}


def _top(count: Counter[str], idf: Mapping[str, float], terms: int) -> list[str]:
    best = nsmallest(terms, ((-n * idf[term], term) for term, n in count.items() if term in idf))
    return [term for _, term in best]
