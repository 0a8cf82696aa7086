"""Shared fixtures: where the real retrieval sets are, and a deterministic Hypothesis profile."""

from __future__ import annotations

import os
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
