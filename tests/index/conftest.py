"""Indexes that several files of tests begin with, built once a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.index.machines import corpus, pairs
from tests.once import Once

import fingerpost


@pytest.fixture(scope="session")
def plain_machines(once: Once) -> Path:
    """Sixty machines with default settings, nothing learned. Only to be read: see machines_kb."""

    def build(folder: Path) -> None:
        fingerpost.compile(corpus(folder), to=folder / "kb").close()

    return once("machines", build) / "kb"


@pytest.fixture(scope="session")
def taught_machines(once: Once, plain_machines: Path) -> Path:
    """The same, which learned all their nicknames. Only to be read: see taught_kb."""

    def build(folder: Path) -> None:
        with fingerpost.open(shutil.copytree(plain_machines, folder / "kb"), write=True) as index:
            report = index.learn(pairs())
        assert report.counts["fusion gain"] > 0
        assert any("held-out nDCG@10" in note for note in report.notes)

    return once("taught", build) / "kb"


@pytest.fixture
def machines_kb(plain_machines: Path, tmp_path: Path) -> Path:
    """A copy of the untaught machines that a test may change."""
    return Path(shutil.copytree(plain_machines, tmp_path / "kb"))


@pytest.fixture
def taught_kb(taught_machines: Path, tmp_path: Path) -> Path:
    """A copy of the taught machines that a test may change."""
    return Path(shutil.copytree(taught_machines, tmp_path / "kb"))
