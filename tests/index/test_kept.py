"""What is kept to go back to: damage in it is told apart from damage in what serves, and mended or let go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.index.machines import corpus, hits, pairs

import fingerpost
from fingerpost.errors import CorruptError, FingerpostError, NotFoundError
from fingerpost.index.build import building
from fingerpost.index.progress import silent


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lesson's generation serves, the untaught one is kept."""
    folder = tmp_path_factory.mktemp("taught")
    with fingerpost.compile(corpus(folder), to=folder / "kb") as index:
        index.learn(pairs())
        assert index.status()["fusion"] == "learned"
    return folder / "kb"


@pytest.fixture
def kb(taught: Path, tmp_path: Path) -> Path:
    """A copy, whose generations share no file."""
    return shutil.copytree(taught, tmp_path / "kb")


def kept(kb: Path) -> Path:
    (number,) = json.loads((kb / "MANIFEST").read_text())["history"]
    return kb / f"gen-{number:06d}"


def damage(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def refused(kb: Path, generation: int) -> str:
    """The cure where it cannot be opened; the error, and the view in it, is let go."""
    try:
        fingerpost.open(kb, as_of=f"gen-{generation}").close()
    except FingerpostError as error:
        return error.cure
    return ""


def serves_as_before(kb: Path) -> None:
    with fingerpost.open(kb) as index:
        assert index.status()["fusion"] == "learned"
        assert hits(index) > 0.7


def test_what_the_serving_generation_has_too_is_mended(kb: Path) -> None:
    old = kept(kb)
    damage(old / "vectors.f16")
    (old / "keys.npy").unlink()
    shutil.rmtree(old / "lexical")
    findings = fingerpost.doctor(kb)
    assert {f"{old.name}/vectors.f16", f"{old.name}/keys.npy"} < {finding.file for finding in findings}
    for finding in findings:
        assert f"today's searches are whole, going back to generation {int(old.name[4:])}" in finding.problem
        assert "--repair" in finding.cure
    serves_as_before(kb)
    assert fingerpost.doctor(kb, repair=True) == []
    serves_as_before(kb)
    with fingerpost.open(kb, write=True) as index:
        assert "rolled back" in index.rollback().notes
        assert index.status()["fusion"] != "learned"
        assert index.search("machine 7")


@pytest.mark.parametrize("name", ["MANIFEST", "vectors.f16"])
def test_what_it_alone_had_is_let_go_by_name(name: str, kb: Path, tmp_path: Path) -> None:
    """The doctor used to find nothing, and going back met the damage."""
    (tmp_path / "new.md").write_text("Amber is fossil resin.")
    with fingerpost.open(kb, write=True) as index:
        index.update(tmp_path / "new.md")
        building.fold(index._rooms, silent)
    old, serving = kept(kb), json.loads((kb / "MANIFEST").read_text())["generation"]
    assert fingerpost.doctor(kb) == []
    (old / name).unlink() if name == "MANIFEST" else damage(old / name)
    (finding,) = fingerpost.doctor(kb)
    assert finding.file == f"{old.name}/{name}"
    with fingerpost.open(kb, write=True) as index:
        with pytest.raises(CorruptError, match=f"{old.name}/{name}") as caught:
            index.rollback()
        assert "or let go" in caught.value.cure
        assert index.status()["generation"] == serving
    held = name != "MANIFEST"
    assert ("or let go" if held else "a version that is held") in refused(kb, int(old.name[4:]))
    (finding,) = fingerpost.doctor(kb, repair=True)
    assert finding.file == old.name
    assert "let go" in finding.problem
    assert not old.exists()
    assert fingerpost.doctor(kb) == []
    serves_as_before(kb)
    with fingerpost.open(kb, write=True) as index:
        assert index.status()["held_generations"] == str(serving)
        with pytest.raises(NotFoundError, match="no predecessor"):
            index.rollback()


def test_a_lost_tail_is_encoded_again_beside_it(kb: Path, tmp_path: Path) -> None:
    (tmp_path / "new.md").write_text("Amber is fossil resin.")
    with fingerpost.open(kb, write=True) as index:
        index.update(tmp_path / "new.md")
    for tail in kb.glob("tail-*"):
        tail.unlink()
    damage(kept(kb) / "vectors.i8")
    assert len(fingerpost.doctor(kb)) == 2
    assert fingerpost.doctor(kb, repair=True) == []
    serves_as_before(kb)


def test_nothing_leads_back_past_a_repair(kb: Path) -> None:
    """A rollback used to publish the empty generation that a repair begins with."""
    serving = json.loads((kb / "MANIFEST").read_text())["generation"]
    damage(kb / f"gen-{serving:06d}" / "keys.npy")
    assert fingerpost.doctor(kb, repair=True) == []
    with fingerpost.open(kb, write=True) as index, pytest.raises(NotFoundError, match="no predecessor"):
        index.rollback()
