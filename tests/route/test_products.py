"""Products agree with numpy's, whatever the shape, and those of a fold stay on the thread that asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fingerpost.route.kmeans import _FEW, group_sums
from fingerpost.route.products import cosines, dots, pairs, product, wide

WORKED = """
import numpy as np, os
from pathlib import Path
from fingerpost.route import graph, statistics

def ticks():
    stats = {path.name: (path / "stat").read_text() for path in Path("/proc/self/task").iterdir()}
    return {name: sum(map(int, stat.rpartition(")")[2].split()[11:13])) for name, stat in stats.items()}

rows = np.random.default_rng(0).normal(size=(4_000, 384))
rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
offsets, came = np.arange(0, 4_001, 200), np.arange(4_000)
came[::8] = -1
held = np.random.default_rng(1).integers(0, 4_000, (4_000, 16)).astype(np.int32)
own, before = str(os.getpid()), ticks()
{work}
after = ticks()
print(after[own] - before[own], sum(after.values()) - sum(before.values()) - after[own] + before[own])
"""
FOLD = "for _ in range(4): statistics.fit(rows, offsets); graph.update(held, rows, offsets, old_rows=came)"
SHARED = "for _ in range(60): rows.astype(np.float32) @ rows[:500].astype(np.float32).T"
"""Products that are shared out: the control."""


@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (700, 384), (3, 8, 384), (0, 8, 384), (2, 0)])
def test_products_agree_with_numpy(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=shape).astype(np.float32)
    query = random.normal(size=shape[-1]).astype(np.float32)
    found = dots(rows, query)
    assert found.dtype == np.float32
    assert found.shape == shape[:-1]
    assert found == pytest.approx(rows.astype(np.float64) @ query, abs=1e-4)


@pytest.mark.parametrize(("n", "m", "p"), [(0, 5, 3), (1, 5, 3), (700, 384, 12), (90, 384, 700), (4, 0, 2)])
def test_products_of_matrices_agree_with_numpy(n: int, m: int, p: int) -> None:
    random = np.random.default_rng(0)
    left, right = (random.normal(size=shape).astype(np.float32) for shape in ((n, m), (m, p)))
    for one, other in ((left, right), (left, np.asfortranarray(right)), (left[::-1], right[:, ::-1])):
        found = product(one, other)
        assert (found.dtype, found.shape) == (np.float32, (n, p))
        assert found == pytest.approx(one.astype(np.float64) @ other, abs=1e-3)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_cosines_agree_with_numpy(kind: type[np.floating]) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 64))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(kind)
    exact, others = rows.astype(np.float64), rows[40:120]
    assert cosines(rows, others) == pytest.approx(exact @ exact[40:120].T, abs=1e-6)
    assert pairs(rows[:80], others) == pytest.approx(np.diag(exact[:80] @ exact[40:120].T), abs=1e-6)
    assert pairs(rows[:0], others[:0]).shape == (0,)


def test_every_half_is_the_same_number_when_wide() -> None:
    halves = np.arange(65_536, dtype=np.uint16).view(np.float16).reshape(256, 256)
    assert np.array_equal(wide(halves), halves.astype(np.float32), equal_nan=True)
    assert np.array_equal(wide(halves[::3, ::2]), halves[::3, ::2].astype(np.float32), equal_nan=True)
    assert wide(halves[:0]).shape == (0, 256)


@pytest.mark.parametrize("count", [1, _FEW, _FEW + 1, 200])
def test_sums_of_few_and_of_many_labels_agree_with_adding(count: int) -> None:
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(90, 12)).astype(np.float32), random.integers(count, size=90)
    exact = np.zeros((count, 12))
    np.add.at(exact, labels, rows)
    assert group_sums(rows, labels, count) == pytest.approx(exact, abs=1e-4)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="tells threads apart by /proc")
def test_leaf_statistics_and_graph_wake_no_other_thread() -> None:
    own, others = worked(FOLD)
    assert own > 20
    assert others <= own // 20


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="tells threads apart by /proc")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="BLAS has one thread")
def test_a_thread_that_is_woken_would_be_seen() -> None:
    own, others = worked(SHARED)
    assert others > own // 20


def worked(work: str) -> tuple[int, int]:
    """Hundredths of a processor second of the thread that asked, and of all others of its process."""
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    command = [sys.executable, "-c", WORKED.replace("{work}", work)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    own, others = map(int, done.stdout.split())
    return own, others
