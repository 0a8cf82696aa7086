"""Calls that are wrong are named, never answered by a traceback or by a guess."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fingerpost
from fingerpost import Index
from fingerpost.errors import UsageError


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda index: index.search(None), "the query is NoneType"),
        (lambda index: index.ask(b"bytes"), "the query is bytes"),
        (lambda index: index.search("login", principals="ops"), "principals are a list"),
        (lambda index: index.document("E4012", principals="ops"), "principals are a list"),
        (lambda index: index.document(None), "None is no id"),
        (lambda index: index.document("\ud800"), "is no id"),
        (lambda index: index.explain("login", doc_id=7), "7 is no id"),
        (lambda index: index.delete(), "nothing to delete"),
    ],
)
def test_a_wrong_argument_is_named(call: Callable[[Index], object], said: str, tiny_kb: Path) -> None:
    with fingerpost.open(tiny_kb) as index, pytest.raises(UsageError, match=said) as caught:
        call(index)
    assert caught.value.cure


def test_one_filter_may_be_given_by_itself(tiny_kb: Path) -> None:
    with fingerpost.open(tiny_kb) as index:
        assert index.search("login", filters="path:*", k=2) == index.search("login", filters=["path:*"], k=2)


def test_a_name_is_not_taken_for_its_letters(tmp_path: Path) -> None:
    """``principals="ops"`` used to ask as ``o``, ``p`` and ``s``."""
    record = {"_id": "shut", "text": "zebra", "labels": ["o"]}
    (tmp_path / "c.jsonl").write_text(json.dumps(record))
    settings = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})
    with fingerpost.compile(tmp_path / "c.jsonl", to=tmp_path / "kb", settings=settings) as index:
        for call in (index.search, index.trace, index.ask, index.explain, index.route):
            with pytest.raises(UsageError):
                call("zebra", principals="ops")


@pytest.mark.parametrize("write", [False, True])
def test_a_closed_index_says_so(write: bool, own_kb: Path, tmp_path: Path) -> None:
    """Searching it ended in sqlite3's own words, writing to it in talk of damage."""
    (tmp_path / "new.md").write_text("A page.")
    index = fingerpost.open(own_kb, write=write)
    index.close()
    calls: list[Callable[[], object]] = [lambda: index.search("login"), index.status]
    calls += [lambda: index.update(tmp_path / "new.md"), lambda: index.delete("x")] if write else []
    for call in calls:
        with pytest.raises(UsageError, match="was closed"):
            call()


def test_a_file_where_the_index_should_be_is_named_and_left_alone(tmp_path: Path) -> None:
    """It ended in FileExistsError."""
    (tmp_path / "page.md").write_text("A page.")
    for place in (tmp_path / "page.md", tmp_path / "page.md" / "kb"):
        with pytest.raises(UsageError, match=r"page\.md is no folder"):
            fingerpost.compile(tmp_path / "page.md", to=place)
    assert (tmp_path / "page.md").read_text() == "A page."
