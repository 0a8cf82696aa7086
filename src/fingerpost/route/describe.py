"""Descriptors: what a leaf is about, in words that `explain` and `route` can show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from math import log

import numpy as np
from numpy.typing import NDArray

from fingerpost.records import Address
from fingerpost.text import tokens

TERMS = 5


def drawn(
    keys: NDArray[np.int64], leaf_offsets: NDArray[np.integer], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The chunks that speak for each leaf, ``count`` of it at most: leaves [n], ascending, and rows [n]. They
    are those whose keys have the smallest hashes: what comes or goes takes the place of one now and then, and
    the others stay.

    >>> leaves, rows = drawn(np.arange(10), np.array([0, 7, 10]), 5)
    >>> leaves.tolist(), np.bincount(leaves).tolist(), len(set(rows.tolist()))
    ([0, 0, 0, 0, 0, 1, 1, 1], [5, 3], 8)
    """
    sizes = np.diff(leaf_offsets)
    leaf = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((_mixed(keys), leaf))
    place = np.arange(len(keys)) - np.repeat(leaf_offsets[:-1], sizes)
    return leaf[place < count], order[place < count]


def _mixed(keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash of each key: SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2714064.2660195)."""
    found = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(found ^ (found >> np.uint64(31)))


def descriptors(
    chunks: Iterable[tuple[int, str, str]],
    *,
    addresses: Sequence[Address],
    sizes: Sequence[int],
    terms: int = TERMS,
) -> list[dict[str, object]]:
    """For each leaf its address, how many chunks it holds (``sizes``), the ``terms`` words of largest
    tf · idf (over leaves) and the commonest title.

    ``chunks`` are those that speak for it: (leaf, text, its document's title). A term is shown as the
    shortest of its words in the leaf; these are looked for last, when it is known which terms are shown.

    >>> rows = [(0, "The tokens", "Auth"), (0, "A token", ""), (1, "disks", "")]
    >>> [(d["chunks"], d["terms"]) for d in descriptors(rows, addresses=[(0, 0), (0, 1)], sizes=[40, 9])]
    [(40, ['token']), (9, ['disks'])]
    """
    counts: list[Counter[str]] = [Counter() for _ in addresses]
    titles: list[Counter[str]] = [Counter() for _ in addresses]
    written: list[set[str]] = [set() for _ in addresses]
    for leaf, text, title in chunks:
        own = tokens.words(text)
        counts[leaf].update(tokens.terms(own))
        titles[leaf].update([title] if title else [])
        written[leaf] |= own
    idf = _idf(counts)
    rarest = max(idf.values(), default=0.0)
    best = [_top(count, idf, terms, rarest) for count in counts]
    spelled = [tokens.spelled(own, set(top)) for own, top in zip(written, best, strict=True)]
    return [
        {
            "address": list(address),
            "chunks": sizes[leaf],
            "terms": [spelled[leaf][term] for term in best[leaf]],
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


def _top(count: Counter[str], idf: Mapping[str, float], terms: int, rarest: float) -> list[str]:
    """The best terms of a leaf. Most are in one chunk alone, which is worth ``rarest`` at most: they are
    looked at only where that could be enough.
    """

    def best(least: int) -> list[tuple[float, str]]:
        scored = ((-n * idf[term], term) for term, n in count.items() if n >= least and term in idf)
        return nsmallest(terms, scored)

    found = best(2)
    if len(found) < terms or -found[-1][0] <= rarest:
        found = best(1)
    return [term for _, term in found]
