"""Shared fixtures: where the real retrieval sets are, and a deterministic Hypothesis profile."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "deterministic", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of retrieval sets in BEIR layout; tests that need it skip where it is missing."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FINGERPOST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no retrieval sets at {folder} (set FINGERPOST_DATA)")
    return folder


CORPUS = Path(__file__).parent / "corpus"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """A few pages, a module and tickets, with questions whose documents are known."""
    return CORPUS


@pytest.fixture(scope="session")
def tiny_kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the corpus, built once with the real encoder. Only to be read: see own_kb."""
    import fingerpost

    kb = tmp_path_factory.mktemp("tiny") / "kb"
    with contextlib.chdir(CORPUS):
        fingerpost.compile("docs", "tickets.jsonl", to=kb).close()
    return kb


@pytest.fixture
def own_kb(tiny_kb: Path, tmp_path: Path) -> Path:
    """A copy of the tiny index that a test may change."""
    return Path(shutil.copytree(tiny_kb, tmp_path / "own-kb"))
