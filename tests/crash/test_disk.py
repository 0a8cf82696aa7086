"""A full disk: writes are refused by name, reads and deletes go on, writes resume alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.seeds import seeds

from fingerpost.errors import DiskError
from fingerpost.store import Layout, Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from worker import DIM, document, encode  # noqa: E402


def inside(*arguments: str, first: str = "true") -> str:
    """Run full_disk.py in a mount namespace of its own, after the command ``first``; what it complains of."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("mount namespaces are not permitted here")
    script = [sys.executable, str(HERE / "full_disk.py"), *arguments]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{first} && exec "$0" "$@"', *script],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    return done.stderr if done.returncode else ""


def test_full_disks(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 3)
    assert not inside("full", str(tmp_path), "0-3")


def test_an_index_is_opened_and_deleted_from_where_no_byte_is_left(tmp_path: Path) -> None:
    """What was open before the disk filled went on; opening it ended in "disk I/O error", a delete too."""
    assert not inside("opened", str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(1, 11))
def test_two_hundred_full_disks(
    tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("seed", seed)
    record_property("trials", 20)
    assert not inside("full", str(tmp_path), f"{20 * seed}-{20 * seed + 20}")


@pytest.mark.parametrize(
    ("guard", "harm"), [("no_ballast", "no space left"), ("errors_not_named", "OperationalError|OSError")]
)
def test_a_missing_guard_is_caught(
    tmp_path: Path, guard: str, harm: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("control", guard.replace("_", " "))
    complaint = inside("full", str(tmp_path), "0-3", guard)
    assert re.search(harm, complaint), complaint
    assert "seed " in complaint


def test_a_read_only_folder_opens_for_reading(tmp_path: Path) -> None:
    with Store.create(tmp_path / "kb", fingerprint="f", dim=DIM) as store:
        for number in range(5):
            result = store.put([document(f"doc{number}", number)])
            store.put_vectors(result.keys, encode(result.passages))
            if number == 3:
                live = store.live()
                store.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))
    assert not inside("read-only", str(tmp_path), first=f"mount --bind -o ro {tmp_path} {tmp_path}")


def test_after_a_failed_fsync_nothing_is_written_until_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.create(tmp_path / "kb", fingerprint="f", dim=DIM) as store:
        store.put([document("doc1", 1)])
        monkeypatch.setattr(os, "fsync", _failing)
        live = store.live()
        store.put_vectors(live.keys, encode(("a",) * len(live.keys)))
        with pytest.raises(DiskError):
            store.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))
        monkeypatch.undo()
        with pytest.raises(DiskError, match="writing stopped"):
            store.put([document("doc2", 2)])
        assert store.snapshot().n_documents == 1
    with Store.open(tmp_path / "kb", write=True) as store:
        store.put([document("doc2", 2)])
        assert store.check()[0].problem.endswith("without a vector")


def _failing(_: int) -> None:
    raise OSError(5, "Input/output error")
