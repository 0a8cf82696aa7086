"""Whether a query is nothing but names is found out once a search."""

from __future__ import annotations

from pathlib import Path

import pytest

import fingerpost
from fingerpost.rerank import exact
from fingerpost.text.query import Query


@pytest.mark.parametrize("query", ["E4012", "how do I rotate the signing key?", "why E4012 here?"])
def test_a_query_is_looked_through_for_names_once(
    tiny_kb: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    looked: list[str] = []
    whole = exact.only_names

    def counted(asked: Query) -> bool:
        looked.append(asked.text)
        return whole(asked)

    monkeypatch.setattr(exact, "only_names", counted)
    with fingerpost.open(tiny_kb) as index:
        assert index.search(query)
    assert looked == [query]
