"""A whole index on a disk that is read-only, full, or cannot lock: a named error with a cure, or the old
state whole.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.index.build.test_folding import SETTINGS, write

import fingerpost

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
KILLED = """
import os, signal, sys
import fingerpost
index = fingerpost.open(sys.argv[1], write=True)
index.update(sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def inside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run walls.py in a mount namespace of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces are not permitted here")
    script = ["unshare", "-m", sys.executable, str(HERE / "walls.py"), *arguments]
    return subprocess.run(script, capture_output=True, text=True, env=ENVIRONMENT, check=False)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """An index whose writer was killed: its last write stands in SQLite's log alone."""
    write(tmp_path / "docs", range(10))
    fingerpost.compile(tmp_path / "docs", to=tmp_path / "kb", settings=SETTINGS).close()
    [path] = write(tmp_path / "docs", range(70, 71))
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "kb"), str(path)], check=False)
    assert (tmp_path / "kb" / "ledger.db-wal").stat().st_size
    return tmp_path


def test_a_read_only_disk_is_searched_and_nothing_else(left: Path) -> None:
    """What a killed writer left in its log was passed over, and the ledger called damaged."""
    done = inside("read-only", str(left))
    assert not done.returncode, done.stderr


def test_a_log_that_cannot_be_read_there_is_named(left: Path) -> None:
    """A copy of the folder without SQLite's index of the log."""
    (left / "kb" / "ledger.db-shm").unlink()
    done = inside("read-only", str(left))
    assert "E_DISK" in done.stderr
    assert "ledger.db-wal holds writes" in done.stderr
    with fingerpost.open(left / "kb", settings=SETTINGS) as index:
        assert index.status()["documents"] == 11


@pytest.mark.parametrize(
    ("place", "bytes_left", "gives_up"),
    [
        ("fold.begun", 0, True),
        ("fold.begun", 20_000, True),
        ("fold.begun", 60_000, True),
        ("fold.begun", 400_000, False),
        ("fold.sealed", 0, True),
        ("publish.named", 16_384, True),
        ("publish.carried", 0, True),
        ("publish.published", 0, True),
    ],
)
def test_a_disk_that_fills_while_a_fold_runs_beside(
    place: str, bytes_left: int, gives_up: bool, tmp_path: Path
) -> None:
    done = inside("full", str(tmp_path), place, str(bytes_left))
    assert not done.returncode, done.stderr
    assert done.stdout.startswith("failed: E_DISK" if gives_up else "rests")


def test_where_files_cannot_be_locked_writing_is_refused_by_name(left: Path) -> None:
    """As on a network mount without locks: the system says ENOLCK to every flock there. Writing ended in a
    traceback, searching in talk of damage.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace is not permitted here")
    refusing = ["strace", "-f", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK"]
    for name in ("LOCK", "gen-000001/lexical/.tantivy-meta.lock"):
        (left / "kb" / name).touch()
        refusing += ["-P", str(left / "kb" / name)]
    command = [*refusing, sys.executable, "-m", "fingerpost.cli"]
    done = [
        subprocess.run(
            [*command, *verb, "--at", str(left / "kb")],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            check=False,
        )
        for verb in (["update", str(left / "docs")], ["search", "QX-0070"], ["status"])
    ]
    assert [each.returncode for each in done] == [1, 0, 0], [each.stderr for each in done]
    assert "E_DISK" in done[0].stderr
    assert "cannot be locked: No locks available" in done[0].stderr
    assert "70.md" in done[1].stdout
