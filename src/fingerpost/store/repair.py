"""Repair: forget everything derived and keep the ledger, so that it can all be made again.

The next opening finds an empty generation where the log begins: every standing chunk is in the tail and waits
for its vector.
Learned artifacts that still match their digest are handed back, so that they can be published again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from fingerpost.errors import FingerpostError
from fingerpost.store import checkpoint, headmark
from fingerpost.store.check import ledger_findings
from fingerpost.store.disk import corrupt
from fingerpost.store.generation import ARTIFACTS, NAME, Manifest, read_manifest, write_manifest
from fingerpost.store.ledger import Ledger
from fingerpost.store.lock import WriterLock


def reset(root: Path) -> dict[str, bytes]:
    """Publish an empty generation over a whole ledger; returns the artifacts that could be saved, by name.

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


def _artifacts(root: Path) -> dict[str, bytes]:
    """The artifacts of the last published generation that match their digest; none without a MANIFEST."""
    try:
        manifest = read_manifest(root / NAME)
    except FingerpostError:
        return {}
    saved = {}
    for name, (_, expected) in manifest.files.items():
        path = root / manifest.folder / name
        if name.startswith(ARTIFACTS) and path.is_file():
            body = path.read_bytes()
            if hashlib.sha256(body).hexdigest() == expected:
                saved[name.removeprefix(ARTIFACTS)] = body
    return saved


def _unused(root: Path) -> int:
    """A generation number that no folder and no file bears."""
    numbers = [int(path.name[4:10]) for path in root.glob("gen-??????")]
    numbers += [int(path.name[5:11]) for path in root.glob("tail-??????.db")]
    return max(numbers, default=0) + 1
