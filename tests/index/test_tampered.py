"""Artifacts that somebody wrote with a digest that fits: a named error, never a traceback or a guess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

import fingerpost
from fingerpost import Index
from fingerpost.errors import CorruptError
from fingerpost.index.epoch import ADDRESSES, CODEC, LESSON, SOURCES

BODIES = [b"", b"garbage", b"null", b"[1]", b"\xff\xfe", b"[" * 100_000]


def plant(kb: Path, name: str, body: bytes) -> None:
    with fingerpost.open(kb, write=True) as index:
        index._rooms.store.republish({name: body})


def _refused(kb: Path, call: Callable[[Index], object], name: str) -> None:
    with fingerpost.open(kb, write=True) as index, pytest.raises(CorruptError, match=name) as caught:
        call(index)
    assert "--repair" in caught.value.cure


@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_json_is_named(body: bytes, own_kb: Path, tmp_path: Path) -> None:
    (tmp_path / "new.md").write_text("A page.")
    calls: list[tuple[str, Callable[[Index], object]]] = [
        (SOURCES, lambda index: index.update(tmp_path / "new.md")),
        (LESSON, lambda index: index.status()),
        (LESSON, lambda index: index.rollback()),
    ]
    for name, call in calls:
        plant(own_kb, name, body)
        _refused(own_kb, call, name)


@pytest.mark.parametrize("body", [body for body in BODIES if body != b"[1]"])
def test_leaves_that_are_described_by_nothing_readable_are_named(body: bytes, own_kb: Path) -> None:
    plant(own_kb, ADDRESSES, body)
    _refused(own_kb, lambda index: index.search("login"), ADDRESSES)


def test_a_token_codec_of_nan_is_named(own_kb: Path) -> None:
    with fingerpost.open(own_kb) as index:
        kept = index._rooms.store.desk.artifact(CODEC)
    assert kept is not None
    (own_kb.parent / CODEC).write_bytes(kept)
    with safe_open(own_kb.parent / CODEC, "np") as file:
        about = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    spoilt = {name: np.full_like(a, np.nan) if a.dtype.kind == "f" else a for name, a in arrays.items()}
    plant(own_kb, CODEC, save(spoilt, about))
    _refused(own_kb, lambda index: index.search("login"), CODEC)
