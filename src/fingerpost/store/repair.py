"""Repair: forget everything derived and keep the ledger, so that it can all be made again; mend what is kept
to go back to, or let go of it.

The next opening finds an empty generation where the log begins: every standing chunk is in the tail and waits
for its vector.
Artifacts that still match their digest are handed back, so that what cannot be made again is published again;
the others are named.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fingerpost.errors import CorruptError, FingerpostError
from fingerpost.store import checkpoint, headmark
from fingerpost.store.check import Finding, kept_findings, ledger_findings
from fingerpost.store.disk import corrupt, named_errors, sync_file, sync_folder
from fingerpost.store.folds import sweep
from fingerpost.store.generation import (
    ARTIFACTS,
    NAME,
    Manifest,
    folder_name,
    read_kept,
    read_manifest,
    verify,
    write_alone,
    write_manifest,
)
from fingerpost.store.ledger import Ledger
from fingerpost.store.lock import WriterLock

_GONE = "it could not be mended and was let go, with what it alone had learned"


@dataclass(frozen=True, slots=True)
class Saved:
    """Artifacts by name: those that are whole, and the names of those that are damaged or gone."""

    whole: Mapping[str, bytes] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()


def reset(root: Path) -> Saved:
    """Publish an empty generation over a whole ledger; returns the artifacts that could be saved.

    Raises CorruptError when the ledger itself is damaged (nothing is changed then), LockedError.
    """
    lock = WriterLock(root)
    try:
        ledger = Ledger(root / "ledger.db", write=True)
        try:
            headmark.check(root, ledger.head)
            for finding in ledger_findings(ledger):
                raise corrupt(finding.file, finding.problem)
            meta, begins = ledger.meta(), checkpoint.read(ledger)
        finally:
            ledger.close()
        saved = _artifacts(root)
        number = _unused(root)
        empty = Manifest(
            number,
            begins.seq,
            begins.chain.hex(),
            int(meta["dim"]),
            meta["fingerprint"],
            meta["policy"],
            tail=number,
        )
        write_manifest(root, empty)
    finally:
        lock.release()
    return saved


def mend_kept(root: Path) -> list[Finding]:
    """Mend the generation that is kept to go back to: the one that serves, which must be whole, gives what
    both have the same. One that is not whole then is let go, and told.
    """
    lock = WriterLock(root)
    try:
        serving = read_manifest(root / NAME)
        for number in serving.history:
            with suppress(CorruptError):
                _take_over(root, serving, read_kept(root, number))
        if not kept_findings(root):
            return []
        _let_go(root)
    finally:
        lock.release()
    cure = "nothing to roll back to until the next fold or lesson; `fingerpost snapshot` keeps copies"
    return [Finding(folder_name(number), _GONE, cure) for number in serving.history]


def let_go(root: Path) -> None:
    """Keep nothing to go back to."""
    lock = WriterLock(root)
    try:
        _let_go(root)
    finally:
        lock.release()


def _let_go(root: Path) -> None:
    write_alone(root, read_manifest(root / NAME))
    sweep(root)


def _take_over(root: Path, serving: Manifest, old: Manifest) -> None:
    """Put files of the serving generation in the place of damaged ones that had the same bytes."""
    same = {entry: name for name, entry in serving.files.items()}
    for name, _ in verify(root / old.folder, old, "full"):
        if twin := same.get(old.files[name]):
            path = root / old.folder / name
            with named_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                whole = root / f"{NAME}.new"  # a leftover goes with the next writer
                shutil.copyfile(root / serving.folder / twin, whole)
                sync_file(whole)
                whole.replace(path)
                sync_folder(path.parent)


def _artifacts(root: Path) -> Saved:
    """The artifacts of the last published generation; where MANIFEST is lost, of the newest one that is
    there, which holds a copy of its own.
    """
    for path in (root / NAME, *sorted(root.glob(f"gen-??????/{NAME}"), reverse=True)):
        with suppress(FingerpostError):
            return _saved(root, read_manifest(path))
    return Saved()


def _saved(root: Path, manifest: Manifest) -> Saved:
    whole, lost = {}, set()
    for name, (_, expected) in manifest.files.items():
        if name.startswith(ARTIFACTS):
            path, own = root / manifest.folder / name, name.removeprefix(ARTIFACTS)
            body = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(body).hexdigest() == expected:
                whole[own] = body
            else:
                lost.add(own)
    return Saved(whole, frozenset(lost))


def _unused(root: Path) -> int:
    """A generation number that no folder and no file bears."""
    numbers = [int(path.name[4:10]) for path in root.glob("gen-??????")]
    numbers += [int(path.name[5:11]) for path in root.glob("tail-??????.db")]
    return max(numbers, default=0) + 1
