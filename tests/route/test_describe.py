"""Descriptors: which chunks speak for a leaf, and that they stay when others come."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerpost.route.describe import _top, drawn

COUNT = 24


def keys_of(keys: np.ndarray, offsets: np.ndarray) -> list[set[int]]:
    """The keys drawn for each leaf."""
    leaves, rows = drawn(keys, offsets, COUNT)
    assert (np.diff(leaves) >= 0).all()
    assert ((offsets[leaves] <= rows) & (rows < offsets[leaves + 1])).all()
    return [set(keys[rows[leaves == leaf]].tolist()) for leaf in range(len(offsets) - 1)]


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 80), min_size=1, max_size=8),
    came=st.integers(0, 20),
    seed=st.integers(0, 5),
)
def test_what_comes_takes_no_more_places_than_it_needs(sizes: list[int], came: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    keys = random.permutation(10_000)[: sum(sizes)].astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    before = keys_of(keys, offsets)
    assert [len(found) for found in before] == [min(size, COUNT) for size in sizes]
    new = np.arange(20_000, 20_000 + came)
    mixed = np.concatenate([random.permutation(np.concatenate([keys[: sizes[0]], new])), keys[sizes[0] :]])
    after = keys_of(mixed, np.concatenate([[0], offsets[1:] + came]))
    assert after[1:] == before[1:]
    assert len(before[0] - after[0]) == max(
        len(after[0] & set(new.tolist())) - (len(after[0]) - len(before[0])), 0
    )


def test_a_leaf_is_spoken_for_by_chunks_from_all_over_it() -> None:
    rows = drawn(np.arange(2_000), np.array([0, 2_000]), COUNT)[1]
    assert np.abs(np.histogram(rows, bins=4, range=(0, 2_000))[0] - COUNT / 4).max() <= COUNT / 4


@settings(max_examples=200)
@given(
    counts=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4)),
    idf=st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.5, 1.0, 2.0, 3.0])),
    terms=st.integers(1, 4),
)
def test_terms_of_single_chunks_are_looked_at_where_they_may_win(
    counts: dict[str, int], idf: dict[str, float], terms: int
) -> None:
    scored = sorted((-n * idf[term], term) for term, n in counts.items() if term in idf)
    rarest = max(idf.values(), default=0.0)
    assert _top(Counter(counts), idf, terms, rarest) == [term for _, term in scored[:terms]]
