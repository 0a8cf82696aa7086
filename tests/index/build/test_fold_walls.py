"""A fold beside that meets damage, or a second writer: it gives up by name, the old state stays whole, and
the next one succeeds. (Full and other disks: tests/crash/test_walls.py.)
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from tests.index.build import test_folding as folds
from tests.index.build.test_folding import FOLD_AFTER, SETTINGS, folding, found, write

import fingerpost
from fingerpost.errors import CorruptError, StoreError
from fingerpost.index import Index
from fingerpost.store import Store, publish

docs, kb = folds.docs, folds.kb


def files(folder: Path) -> list[Path]:
    """The files of the generation of an index that MANIFEST names with a digest."""
    return sorted(
        path
        for path in folder.glob("gen-*/**/*")
        if path.is_file() and path.stat().st_size and path.name != "MANIFEST" and "tantivy" not in path.name
    )


def damage(path: Path, at: float = 0.5) -> None:
    """Turn one bit."""
    body = bytearray(path.read_bytes())
    place = int(at * (len(body) - 1))
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([body[place] ^ 0x10]))


def outgrown(index: Index, docs: Path) -> None:
    """Write what makes a fold begin beside, and wait for it."""
    try:
        index.update(*write(docs, range(10, 10 + FOLD_AFTER)))
    except CorruptError:  # an artifact is compared each time it is read: this was done
        return
    index._rooms.beside.wait()


@pytest.fixture
def vectors(own_kb: Path, docs: Path) -> Path:
    """An index with vectors and token codes."""
    return own_kb


def of_kb(path: Path, name: str) -> Path:
    [found] = [each for each in files(path) if each.name == name]
    return found


def test_a_fold_carries_no_damage_on(kb: Path, docs: Path, tmp_path: Path) -> None:
    """Damage that came since the index was opened used to be copied, and got a digest of its own."""
    tried = 0
    for name in [path.relative_to(kb) for path in files(kb)]:
        copy = tmp_path / "copy"
        shutil.copytree(kb, copy)
        with fingerpost.open(copy, write=True, settings=SETTINGS) as index:
            index.search("amber")
            damage(copy / name)
            outgrown(index, docs)
            if name.name != "sources.json":
                said = index.status()["fold"]
                assert str(said).startswith(f"failed: E_CORRUPT: {name} is damaged"), (name, said)
                index.delete("11.md")
                with pytest.raises(CorruptError, match="the fold that ran beside failed"):
                    index.update(docs / "12.md")
        assert any(each.file in (str(name), "lexical") for each in fingerpost.doctor(copy)), name
        lost = fingerpost.doctor(copy, repair=True)
        assert {each.file for each in lost} <= {"sources.json"}, name
        with fingerpost.open(copy, write=True, settings=SETTINGS) as index:
            index.update(docs)
            index.settle()
            status = index.status()
            assert (status["fold"], status["documents"]) == ("rests", 10 + FOLD_AFTER)
            assert found(index, 12)
            assert index.doctor() == []
        shutil.rmtree(copy)
        tried += 1
    assert tried > 10


@pytest.mark.parametrize("name", ["vectors.f16", "vectors.i8", "tokens.u8"])
def test_nor_of_vectors(vectors: Path, docs: Path, name: str) -> None:
    with fingerpost.open(vectors, write=True) as index:
        index.search("signing key")
        damage(of_kb(vectors, name))
        index.update(docs / "1.md")
        before = index.status()["generation"]
        with pytest.raises(CorruptError, match=rf"{name} is damaged"):
            index.compact()
        assert index.status()["generation"] == before
    assert fingerpost.doctor(vectors, repair=True) == []


def test_nor_does_a_lesson(kb: Path) -> None:
    with Store.open(kb, write=True) as store:
        damage(of_kb(kb, "keys.npy"))
        with pytest.raises(CorruptError, match=r"keys\.npy is damaged"):
            store.republish({"lesson": b"new"})
        assert store.desk.artifact("lesson") is None
    assert fingerpost.doctor(kb)


def test_without_the_comparison_damage_passes_as_whole(
    kb: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(publish, "verify", lambda *_: [])
    with fingerpost.open(kb, write=True, settings=SETTINGS) as index:
        damage(next(path for path in files(kb) if path.suffix == ".pos"))
        outgrown(index, docs)
        assert index.status()["fold"] == "rests"
        newest = f"gen-{index.status()['generation']:06d}"
    found = {finding.file.partition("/")[0] for finding in fingerpost.doctor(kb)}
    assert newest not in found
    assert found == {"gen-000001"}, "the one before it, which is kept, tells of the damage alone"


def test_a_search_of_what_was_damaged_since_is_named_where_it_is_noticed(kb: Path) -> None:
    """tantivy panics at some of it, which is no Exception to Python."""
    for at in (0.1, 0.3, 0.5, 0.7, 0.9):
        for suffix in (".term", ".idx", ".fieldnorm", ".fast"):
            copy = kb.with_name("copy")
            shutil.copytree(kb, copy)
            with fingerpost.open(copy) as index:
                damage(next(path for path in files(copy) if path.suffix == suffix), at)
                for word in folds.WORDS:
                    with suppress(CorruptError):
                        index.search(word)
            shutil.rmtree(copy)


@pytest.mark.parametrize("place", ["fold.begun", "fold.sealed", "publish.named", "publish.carried"])
@pytest.mark.parametrize("folded", [True, False])
def test_a_writer_whose_lock_was_taken_away_publishes_nothing(
    place: str, folded: bool, kb: Path, docs: Path, tmp_path: Path
) -> None:
    """Somebody removes LOCK and a second writer comes in while the first one folds; by the time that goes on
    the second has folded too, under the same number, or not.
    """
    with folding(kb, docs, place) as (index, gate):
        (kb / "LOCK").unlink()
        with fingerpost.open(kb, write=True, settings=SETTINGS) as second:
            second.update(*write(docs, range(70, 70 + (FOLD_AFTER if folded else 1))))
            second.settle()
            generation = second.status()["generation"]
            gate.open.set()
            index._rooms.beside.wait()
            assert str(index.status()["fold"]).startswith("failed: E_FENCED")
            assert found(index, 12), "reading goes on"
            with pytest.raises(StoreError, match="removed or replaced") as caught:
                index.delete("11.md")
            assert caught.value.code == "E_FENCED"
            with pytest.raises(StoreError, match="the fold that ran beside failed"):
                index.update(docs / "12.md")
            with pytest.raises(StoreError, match="removed or replaced"):
                index.update(*write(docs, range(12, 13), edition=1))
            second.update(*write(docs, range(200, 200 + FOLD_AFTER)))
            second.settle()
            assert (second.status()["fold"], second.status()["generation"]) == ("rests", int(generation) + 1)
            assert found(second, 12)
            assert found(second, 70)
            assert second.doctor() == []
    assert fingerpost.doctor(kb) == []
    with fingerpost.open(kb, write=True, settings=SETTINGS) as third:
        assert third.status()["documents"] == 10 + FOLD_AFTER + (FOLD_AFTER if folded else 1) + FOLD_AFTER


def test_a_lock_in_the_place_of_another_is_no_better(kb: Path, docs: Path) -> None:
    with fingerpost.open(kb, write=True, settings=SETTINGS) as index:
        (kb / "LOCK").rename(kb / "LOCK.old")
        (kb / "LOCK").touch()
        with pytest.raises(StoreError, match="removed or replaced"):
            index.update(docs / "1.md", *write(docs, range(70, 71)))
        (kb / "LOCK.old").rename(kb / "LOCK")
        assert index.update(*write(docs, range(70, 71))).counts["added"] == 1
