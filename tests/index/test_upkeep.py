"""Upkeep: damage is named, and what is derived is made again from the ledger."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.index.machines import hits, pairs

import fingerpost
from fingerpost.errors import CorruptError, FingerprintError, ModelError, NotFoundError
from fingerpost.index.rooms import NO_MODEL
from fingerpost.store.store import Store


def damage(kb: Path, name: str) -> Path:
    """Flip one bit in a file of the newest generation."""
    number = json.loads((kb / "MANIFEST").read_text())["generation"]
    path = kb / f"gen-{number:06d}" / name
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("name", ["vectors.f16", "keys.npy", "artifacts/router.safetensors"])
def test_a_damaged_derived_file_is_named_and_made_again(own_kb: Path, name: str) -> None:
    query = "how do I rotate the signing key?"
    with fingerpost.open(own_kb) as index:
        before = [(span.doc_id, span.start, span.end) for span in index.search(query)]
    damage(own_kb, name)
    with pytest.raises(CorruptError, match=name.rsplit("/", 1)[-1]):
        fingerpost.open(own_kb)
    assert [finding for finding in fingerpost.doctor(own_kb) if name in finding.file]
    assert fingerpost.doctor(own_kb, repair=True) == []
    with fingerpost.open(own_kb) as index:
        assert [(span.doc_id, span.start, span.end) for span in index.search(query)] == before


@pytest.mark.parametrize("name", ["MANIFEST", "vectors.f16"])
def test_what_was_learned_outlives_a_repair(name: str, taught_kb: Path) -> None:
    """A lost MANIFEST used to take the lesson with it, without a word."""
    (taught_kb / name).unlink() if name == "MANIFEST" else damage(taught_kb, name)
    assert fingerpost.doctor(taught_kb, repair=True) == []
    with fingerpost.open(taught_kb) as index:
        assert index.status()["fusion"] == "learned"
        assert hits(index) > 0.7


@pytest.mark.parametrize("name", ["memory.safetensors", "forest.safetensors"])
def test_a_lesson_that_cannot_be_saved_whole_is_said_to_be_lost(name: str, taught_kb: Path) -> None:
    """It used to be left out in silence, and what was left of it ranked on."""
    damage(taught_kb, f"artifacts/{name}")
    with pytest.raises(CorruptError) as caught:
        fingerpost.open(taught_kb).search("machine 7")
    assert "--repair" in caught.value.cure
    (finding,) = fingerpost.doctor(taught_kb, repair=True)
    assert "what was learned is lost" in finding.problem
    assert "fingerpost learn" in finding.cure
    assert fingerpost.doctor(taught_kb) == []
    with fingerpost.open(taught_kb) as index:
        status = index.status()
        assert (status["fusion"], status["taught_documents"]) == ("untrained", 0)


def test_a_lesson_that_was_lost_can_be_taught_again(taught_kb: Path) -> None:
    damage(taught_kb, "artifacts/memory.safetensors")
    fingerpost.doctor(taught_kb, repair=True)
    with fingerpost.open(taught_kb, write=True) as index:
        assert index.learn(pairs()).counts["fusion gain"] > 0


def test_lost_names_of_sources_are_told(own_kb: Path) -> None:
    damage(own_kb, "artifacts/sources.json")
    (finding,) = fingerpost.doctor(own_kb, repair=True)
    assert "compile" in finding.cure
    assert fingerpost.doctor(own_kb) == []


def test_a_damaged_training_pair_is_found_and_stops_no_repair(own_kb: Path) -> None:
    """The doctor used to pass over pairs: only `learn` noticed."""
    with closing(sqlite3.connect(own_kb / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE pairs SET query = 'poison' WHERE id = (SELECT min(id) FROM pairs)")
    (finding,) = fingerpost.doctor(own_kb)
    assert "pair 1 is damaged" in finding.problem
    damage(own_kb, "vectors.f16")
    assert fingerpost.doctor(own_kb, repair=True) == [finding]


def test_a_lost_manifest_is_made_again(own_kb: Path) -> None:
    (own_kb / "MANIFEST").unlink()
    assert fingerpost.doctor(own_kb, repair=True) == []
    with fingerpost.open(own_kb) as index:
        assert index.search("E4012")


def test_an_index_copied_without_its_ledger_is_named_and_left_alone(own_kb: Path, tmp_path: Path) -> None:
    (own_kb / "ledger.db").unlink()
    left = sorted(path.name for path in own_kb.iterdir())
    for verb in (fingerpost.open, fingerpost.doctor, lambda kb: fingerpost.compile(tmp_path, to=kb)):
        with pytest.raises(CorruptError, match=r"without its ledger\.db"):
            verb(own_kb)
    assert sorted(path.name for path in own_kb.iterdir()) == left


def test_a_compile_that_was_cut_off_at_once_left_no_index(tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "ledger.db").touch()
    with pytest.raises(NotFoundError):
        fingerpost.open(tmp_path / "kb")
    (tmp_path / "page.md").write_text("Amber is fossil resin.")
    with fingerpost.compile(tmp_path / "page.md", to=tmp_path / "kb") as index:
        assert index.search("resin")


def test_a_compile_that_was_cut_off_before_its_manifest_left_no_index(tmp_path: Path) -> None:
    with Store.create(tmp_path / "kb", fingerprint=NO_MODEL, dim=0):
        pass
    (tmp_path / "kb" / "MANIFEST").unlink()
    with pytest.raises(NotFoundError):
        fingerpost.open(tmp_path / "kb")
    (tmp_path / "page.md").write_text("Amber is fossil resin.")
    with fingerpost.compile(tmp_path / "page.md", to=tmp_path / "kb") as index:
        assert index.search("resin")
    (tmp_path / "kb" / "MANIFEST").unlink()
    with pytest.raises(CorruptError):
        fingerpost.open(tmp_path / "kb")


def test_a_damaged_ledger_is_not_repaired_away(own_kb: Path) -> None:
    body = bytearray((own_kb / "ledger.db").read_bytes())
    for at in range(4096 * 3, len(body), 97):
        body[at] ^= 0x10
    (own_kb / "ledger.db").write_bytes(body)
    manifest = (own_kb / "MANIFEST").read_bytes()
    with pytest.raises(CorruptError):
        fingerpost.doctor(own_kb, repair=True)
    assert (own_kb / "MANIFEST").read_bytes() == manifest


def test_another_masking_policy_is_refused(own_kb: Path) -> None:
    other = fingerpost.Settings.model_validate({"mask": {"rules": ("email",)}})
    with pytest.raises(FingerprintError):
        fingerpost.open(own_kb, settings=other)


def test_a_folder_without_an_index_is_named(tmp_path: Path) -> None:
    for write in (False, True):
        with pytest.raises(NotFoundError, match="no index"):
            fingerpost.open(tmp_path / "nowhere", write=write)
    assert not (tmp_path / "nowhere").exists()


def test_a_cross_encoder_that_is_not_there_is_an_error_not_a_silence(own_kb: Path, tmp_path: Path) -> None:
    tree = {"rerank": {"cross_encoder": str(tmp_path)}}
    with (
        fingerpost.open(own_kb, settings=fingerpost.Settings.model_validate(tree)) as index,
        pytest.raises(ModelError),
    ):
        index.search("login")


def test_compiling_what_is_compiled_publishes_nothing(own_kb: Path, corpus: Path) -> None:
    with contextlib.chdir(corpus):
        with fingerpost.open(own_kb) as index:
            before = index.status()["generation"]
        with fingerpost.compile("docs", "tickets.jsonl", to=own_kb) as index:
            assert index.status()["generation"] == before
