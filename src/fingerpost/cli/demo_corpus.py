"""The demo's corpus: the Python standard library as installed, and the language reference.

No download: the modules lie in the interpreter's own folder, and the text of the language reference ships
with it for `help()`.
"""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

MODULES = frozenset(
    """
    abc argparse bisect bz2 calendar cmd configparser contextlib copy csv dataclasses fileinput fnmatch
    functools getpass glob graphlib gzip hashlib heapq hmac io linecache lzma operator os pathlib pickle queue
    random re sched secrets selectors shelve shlex shutil signal socket statistics string subprocess tempfile
    textwrap threading timeit traceback types uuid weakref zipfile
    """.split()  # noqa: SIM905 – a list of sixty quoted names is harder to read
)
PACKAGES = ("asyncio", "collections", "concurrent", "json", "logging", "sqlite3", "urllib")
"""What people ask about, and no more than two cores encode in about two minutes."""


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
    yield from (path for path in sorted(library.glob("[a-z]*.py")) if path.stem in MODULES)
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
