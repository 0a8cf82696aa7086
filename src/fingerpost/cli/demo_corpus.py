"""The demo's corpus: the Python standard library as installed, and the language reference.

No download: the modules lie in the interpreter's own folder, and the text of the language reference ships
with it for `help()`.
"""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

LEFT_OUT = ("antigravity", "optparse", "pickletools", "this", "turtle")
PACKAGES = (
    "asyncio",
    "collections",
    "concurrent",
    "http",
    "importlib",
    "json",
    "logging",
    "sqlite3",
    "urllib",
)
"""Chosen so that encoding takes about two minutes on two cores; what an interpreter lacks is passed over."""


def gather(folder: Path) -> int:
    """Copy the corpus into ``folder`` and return the number of files; what is there already stays."""
    library = Path(sysconfig.get_paths()["stdlib"])
    count = 0
    for path in _modules(library):
        target = folder / "library" / path.relative_to(library)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(path, target)
        count += 1
    return count + _reference(folder / "reference")


def _modules(library: Path) -> Iterator[Path]:
    yield from (path for path in sorted(library.glob("[a-z]*.py")) if path.stem not in LEFT_OUT)
    for name in PACKAGES:
        for path in sorted((library / name).rglob("*.py")):
            if not {"test", "tests", "idle_test"} & set(path.relative_to(library).parts):
                yield path


def _reference(folder: Path) -> int:
    """The chapters behind `help("with")`, one file a topic."""
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions ship Python without them
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in topics.items():
        path = folder / f"{name}.rst"
        if not path.exists():
            path.write_text(text, encoding="utf-8")
    return len(topics)
