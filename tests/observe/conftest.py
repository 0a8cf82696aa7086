"""The tiny index, opened with some of the observers on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import fingerpost
from fingerpost.config import Settings
from fingerpost.index import Index


@pytest.fixture
def watched(own_kb: Path) -> Iterator[Callable[..., Index]]:
    """``watched(metrics=True)`` is the tiny index with that observer."""
    with ExitStack() as stack:
        yield lambda **observe: stack.enter_context(
            fingerpost.open(own_kb, settings=Settings.model_validate({"observe": observe}))
        )
