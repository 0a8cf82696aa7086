"""What is held of the past of an index whose derived files were forgotten, and of one that is repaired."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.history import state
from tests.index.build.test_folding import SETTINGS, write

import fingerpost
from fingerpost.errors import NotFoundError
from fingerpost.index.build import building
from fingerpost.index.progress import silent
from fingerpost.store import repair


def test_a_repair_that_was_cut_off_holds_what_it_says_and_a_whole_one_begins_anew(tmp_path: Path) -> None:
    """After the first half of a repair each seq was refused as let go by a later fold, though held."""
    docs, kb = tmp_path / "docs", tmp_path / "kb"
    write(docs, range(5))
    fingerpost.compile(docs, to=kb, settings=SETTINGS).close()
    seen: dict[int, dict[str, str]] = {}
    with fingerpost.open(kb, write=True, settings=SETTINGS) as index:
        for number in range(5, 17):
            index.update(*write(docs, range(number, number + 1)))
            if number % 3 == 0:
                index.delete(f"{number - 4}.md")
            seen[int(index.status()["seq"])] = state(index)
            if number % 4 == 0:
                building.fold(index._rooms, silent)
        since = int(index.status()["held_since_seq"])
    repair.reset(kb)
    held = [seq for seq in seen if seq >= since]
    assert 1 < len(held) < len(seen)
    for seq, then in seen.items():
        if seq < since:
            with pytest.raises(NotFoundError, match=f"held are gen-5 and seq {since} to"):
                fingerpost.open(kb, as_of=seq)
            continue
        with fingerpost.open(kb, as_of=seq, settings=SETTINGS) as past:
            assert state(past) == then, seq
    assert fingerpost.doctor(kb, repair=True) == []
    last = max(seen)
    for seq in held[:-1]:
        with pytest.raises(NotFoundError, match=f"held are gen-6 and seq {last} to {last}") as caught:
            fingerpost.open(kb, as_of=seq)
        assert caught.value.code == "E_NOT_HELD"
    with fingerpost.open(kb, as_of=last, settings=SETTINGS) as past:
        assert state(past) == seen[last]
