"""Shared fixtures: where the real retrieval sets are, and a deterministic Hypothesis profile."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.once import Once

settings.register_profile(
    "deterministic", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("deterministic")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lessons first: they take longest, and of those begun last one worker would wait for the other."""
    items.sort(key=lambda item: not item.path.is_relative_to(LESSONS))


LESSONS = Path(__file__).parent / "index" / "learn"


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
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Folders that are filled once a run, whichever worker asks first."""
    own = tmp_path_factory.getbasetemp()
    return Once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own, tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def tiny_kb(once: Once) -> Path:
    """An index of the corpus, built once with the real encoder. Only to be read: see own_kb."""
    import fingerpost

    def build(folder: Path) -> None:
        with contextlib.chdir(CORPUS):
            fingerpost.compile("docs", "tickets.jsonl", to=folder / "kb").close()

    return once("tiny", build) / "kb"


@pytest.fixture
def own_kb(tiny_kb: Path, tmp_path: Path) -> Path:
    """A copy of the tiny index that a test may change."""
    return Path(shutil.copytree(tiny_kb, tmp_path / "own-kb"))
