"""A command's process gives BLAS one thread, unless the user says how many."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import contextlib, os, sys
from fingerpost.cli import main

sys.argv = ["fingerpost", "--version"]
with contextlib.suppress(SystemExit):
    main()
import numpy  # its BLAS starts its threads when it is loaded

print(len(os.listdir("/proc/self/task")))
"""

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads by /proc"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="BLAS has one thread"),
]


@pytest.mark.parametrize(
    ("said", "threads"), [({}, 1), ({"OMP_NUM_THREADS": "2"}, 2), ({"OPENBLAS_NUM_THREADS": "2"}, 2)]
)
def test_blas_has_one_thread_unless_the_user_says_how_many(said: dict[str, str], threads: int) -> None:
    own = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND], env=own | said, capture_output=True, text=True, check=True
    )
    assert int(done.stdout.splitlines()[-1]) == threads
