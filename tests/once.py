"""What takes long to build, built once a run, though several workers need it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Once:
    """``shared`` is a folder that all workers of a run have, ``fresh`` makes one of this worker's own."""

    shared: Path
    fresh: Callable[[str], Path]

    def __call__(self, name: str, build: Callable[[Path], object]) -> Path:
        """A folder as ``build`` filled it, by the worker that asked first while the others waited. Each has
        a copy, so that what a reader leaves behind meets no other worker's.
        """
        whole, half = self.shared / f"once-{name}", self.shared / f"once-{name}-half"
        with (self.shared / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.is_dir():
                shutil.rmtree(half, ignore_errors=True)  # of a build that failed
                half.mkdir()
                build(half)
                half.rename(whole)
        return Path(shutil.copytree(whole, self.fresh(name) / name))
