"""Repair: forget everything derived and keep the ledger, so that it can all be made again.

The next opening finds an empty generation where the log begins: every standing chunk is in the tail and waits
for its vector.
Artifacts that still match their digest are handed back, so that what cannot be made again is published again;
the others are named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fingerpost.errors import FingerpostError
from fingerpost.store import checkpoint, headmark
from fingerpost.store.check import ledger_findings
from fingerpost.store.disk import corrupt
from fingerpost.store.generation import ARTIFACTS, NAME, Manifest, read_manifest, write_manifest
from fingerpost.store.ledger import Ledger
from fingerpost.store.lock import WriterLock


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
