"""The address tree as `route` and `explain` show it: true counts, readable words, and nothing hidden."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fingerpost
from fingerpost.index.epoch import ADDRESSES
from fingerpost.route import describe

WORDS = ("granites", "rivers", "kettles", "violins", "harbours", "orchards", "tunnels", "lanterns")
COUNT = 400
SETTINGS = fingerpost.Settings.model_validate(
    {
        "route": {"full_below": 0, "leaf_chunks": 64, "budget": 0.3},
        "store": {"late": False, "unlabelled": "visible"},
    }
)


def _compiled(folder: Path, labels: list[str] | None = None) -> Path:
    random = np.random.default_rng(0)
    with (folder / "notes.jsonl").open("w") as file:
        for at in range(COUNT):
            word = WORDS[at % len(WORDS)]
            text = f"{word} {word} and note {at}: " + " ".join(random.choice(WORDS, 2))
            record = {"_id": f"n{at}", "title": f"About {word}", "text": text}
            file.write(json.dumps(record if labels is None or at % 2 else record | {"labels": labels}) + "\n")
    fingerpost.compile(folder / "notes.jsonl", to=folder / "kb", settings=SETTINGS).close()
    return folder / "kb"


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _compiled(tmp_path_factory.mktemp("routes"))


def test_leaves_hold_as_many_chunks_as_is_said(kb: Path) -> None:
    with fingerpost.open(kb) as index:
        snapshot = index._rooms.store.snapshot()
        sizes = np.diff(snapshot.leaf_offsets)
        told = describe.from_json(snapshot.artifact(ADDRESSES) or b"")
        assert [row["chunks"] for row in told] == sizes.tolist()
        assert sizes.max() > 24, "more than speak for a leaf, else this shows nothing"
        tree = index.route("where do violins grow")
    addresses = [".".join(map(str, row["address"])) for row in told]  # type: ignore[call-overload]
    for shard in tree.children:
        for leaf in shard.children:
            assert leaf.name.startswith(f"{shard.name}.")
            assert f"{sizes[addresses.index(leaf.name)]:,} chunks" in leaf.note
        own = [size for size, name in zip(sizes, addresses, strict=True) if name.startswith(f"{shard.name}.")]
        assert shard.note == f"{len(own)} {'leaf' if len(own) == 1 else 'leaves'}, {sum(own)} chunks"


def test_the_tree_is_told_in_words_as_they_are_written(kb: Path) -> None:
    with fingerpost.open(kb) as index:
        first = index.route("violins").children[0].children[0]
    assert "violins" in first.note
    assert "“About violins”" in first.note


def test_an_explanation_shows_the_leaves_that_were_opened(kb: Path) -> None:
    with fingerpost.open(kb) as index:
        _, trace = index.trace("where do violins grow")
        stages = index.explain("where do violins grow").children[0].children
    assert trace.plan is not None
    assert trace.plan.addresses
    [routed] = [stage for stage in stages if stage.name == "route"]
    shown = [leaf for shard in routed.children for leaf in shard.children]
    assert {leaf.name for leaf in shown} == {".".join(map(str, each)) for each in trace.plan.addresses}
    assert all(leaf.note.endswith(" · opened") for leaf in shown)


def test_who_may_not_read_everything_is_not_told_what_leaves_are_about(tmp_path: Path) -> None:
    """The words of a leaf are taken from all its documents; they used to be shown to everybody."""
    with fingerpost.open(_compiled(tmp_path, ["group:staff"])) as index:
        everything, some = index.route("violins", principals=["group:staff"]), index.route("violins")
    assert "violins" in everything.children[0].children[0].note
    notes = [node.note for shard in some.children for node in (shard, *shard.children)]
    assert notes
    assert not any(word in note for note in notes for word in (*WORDS, "About", "chunks"))
