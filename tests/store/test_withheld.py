"""A snapshot in which some chunks read otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fingerpost
from fingerpost.store.snapshot import Snapshot
from fingerpost.store.withheld import Rewritten, Withheld
from fingerpost.text import query as queries

QUERIES = (
    "rotate the signing key",
    "error E4012",
    "how do I reset the password",
    "install on linux",
    "backup",
)


@pytest.fixture(scope="module")
def index(tiny_kb: Path) -> Iterator[fingerpost.Index]:
    with fingerpost.open(tiny_kb) as opened:
        yield opened


def same(snapshot: Snapshot, key: int) -> Rewritten:
    keys = np.array([key])
    return Rewritten(
        snapshot.chunks(keys)[0], snapshot.vectors(keys)[0], bytes(snapshot.token_codes(keys)[0])
    )


@pytest.mark.parametrize("text", QUERIES)
def test_chunks_rewritten_as_they_are_change_nothing(index: fingerpost.Index, text: str) -> None:
    whole = index._rooms.store.snapshot()
    view = Withheld(whole, {key: same(whole, key) for key in whole.keys().tolist()})
    query = queries.parse(text)
    for k in (1, 5, 50):
        expected, found = whole.lexical(query, k=k), view.lexical(query, k=k)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
        assert set(found[0].tolist()) == set(expected[0].tolist()) or k < 50
    assert index._rooms.encoder is not None
    vector = index._rooms.encoder.encode_query(text).vector
    np.testing.assert_allclose(view.dense(vector, k=20)[1], whole.dense(vector, k=20)[1], atol=2e-3)


def test_what_was_taken_out_finds_its_chunk_no_more(index: fingerpost.Index) -> None:
    whole = index._rooms.store.snapshot()
    query = queries.parse("E4012")
    held = whole.lexical(query, k=50)[0].tolist()
    assert held
    rewritten = {}
    for key in held:
        one = same(whole, key)
        text = one.chunk.text.replace("E4012", "that").replace("e4012", "that")
        blind = np.zeros_like(one.vector)
        rewritten[key] = Rewritten(replace(one.chunk, text=text, title="", heading=()), blind, b"")
    view = Withheld(whole, rewritten)
    keys = np.array(held)
    assert not len(view.lexical(query, k=50)[0])
    assert not view.vectors(keys).any()
    assert view.token_codes(keys) == [b""] * len(held)
    assert all("E4012" not in chunk.text for chunk in view.chunks(keys))
    assert any("E4012" in chunk.text for chunk in whole.chunks(keys))
    other = queries.parse("password")
    kept = ~np.isin(whole.lexical(other, k=50)[0], keys)
    found, scores = whole.lexical(other, k=50)
    seen = dict(zip(*map(np.ndarray.tolist, view.lexical(other, k=50)), strict=True))
    expected = dict(zip(found[kept].tolist(), scores[kept].tolist(), strict=True))
    assert {key: seen[key] for key in expected} == expected
