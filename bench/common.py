"""What every benchmark shares: where data lies, how a result is written, how a table is printed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
CACHE = ROOT / "bench" / "cache"


def data_folder() -> Path:
    """The retrieval sets (BEIR layout): FINGERPOST_DATA, or ../shared/data beside the project."""
    folder = Path(os.environ.get("FINGERPOST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        sys.exit(f"no retrieval sets at {folder}: set FINGERPOST_DATA")
    return folder


def commit() -> str:
    """The commit that was measured, marked when anything but results differs from it."""
    head = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results")
    return f"{head}-dirty" if head and changed else head or "unknown"


def _git(*arguments: str) -> str:
    """What git says of this tree; nothing where it is none."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def write(name: str, result: Mapping[str, object], *, part: str = "") -> None:
    """Write ``bench/results/<name>[-<part>].json`` with commit, command and machine."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    about = {
        "commit": commit(),
        "command": " ".join(["python", "-m", f"bench.{name}", *map(_anywhere, sys.argv[1:])]),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "cpu": platform.machine()},
    }
    text = json.dumps({**about, **result}, indent=1, sort_keys=False) + "\n"
    (RESULTS / (f"{name}-{part}.json" if part else f"{name}.json")).write_text(text)


def _anywhere(word: str) -> str:
    """A word of a command without the path that it has on this machine alone.

    >>> _anywhere("/home/me/peers/bin/python"), _anywhere("--most")
    ('../python', '--most')
    """
    return f"../{Path(word).name}" if Path(word).is_absolute() else word


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; floats with three decimals.

    >>> print(table(["set", "nDCG@10"], [["scifact", 0.7161]]))
    | set | nDCG@10 |
    |---|---|
    | scifact | 0.716 |
    """
    lines = [header, ["---"] * len(header), *rows]
    cells = [[f"{c:.3f}" if isinstance(c, float) else str(c) for c in line] for line in lines]
    return "\n".join("|" + "|".join(c if c == "---" else f" {c} " for c in line) + "|" for line in cells)
