"""Positive controls: the writer of worker.py with one guard taken out, so that a campaign must catch it.

Run as ``python broken.py GUARD FOLDER SEED STEPS``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import worker

import fingerpost.store.disk as disk
import fingerpost.store.folds as folds
import fingerpost.store.publish as publish
import fingerpost.store.schema as schema
import fingerpost.store.writes as writes
from fingerpost.store import checkpoint


def files_not_synced() -> None:
    """Generations and MANIFEST are written, but not brought to the disk."""
    os.fsync = lambda _: None  # type: ignore[assignment]


def folders_not_synced() -> None:
    """Contents reach the disk, names when the system likes."""
    for module in (disk, folds, publish):
        module.sync_folder = lambda _: None  # type: ignore[attr-defined]


def ledger_not_synced() -> None:
    """SQLite does not wait for the disk."""
    writes.connect = lambda path, write: schema.connect(path, write=write, synchronous="OFF")  # type: ignore[attr-defined]
    import fingerpost.store.ledger as ledger

    ledger.connect = writes.connect  # type: ignore[attr-defined]


def manifest_first() -> None:
    """MANIFEST names the next generation before its files are on the disk."""
    publish.seal = unsealed  # type: ignore[assignment]
    folds.seal = unsealed  # type: ignore[attr-defined]


def unsealed(folder: Path) -> publish.Files:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "lock" not in path.name]
    return {p.relative_to(folder).as_posix(): (p.stat().st_size, disk.sha256(p)) for p in files}


def promoted_in_place() -> None:
    """New artifacts are written over the old ones, one after the other, beside rows of whatever fold."""

    def republish(self: folds.Folds, artifacts: Mapping[str, bytes], *, drop: Iterable[str] = ()) -> int:
        before = self._state.generation
        files = dict(before.manifest.files)
        for name, body in artifacts.items():
            path = self._root / before.manifest.folder / "artifacts" / name
            path.unlink(missing_ok=True)
            path.write_bytes(body)
            files[f"artifacts/{name}"] = (len(body), disk.sha256(path))
            self._reach("promote.sealed")
            self._publish(replace(before.manifest, files=files))
        return before.manifest.generation

    folds.Folds.republish = republish  # type: ignore[method-assign]


def trimmed_apart() -> None:
    """The log's old rows go in one transaction, the checkpoint moves in the next."""

    def trim(self: writes.Writer, until: int) -> None:
        if until > checkpoint.read(self.ledger).seq:
            there = checkpoint.moved(self.ledger, until)
            self.connection.execute("DELETE FROM log WHERE seq <= ?", (until,))
            self.connection.execute("COMMIT")
            self.points.reach("ledger.trimmed")
            self.connection.execute("BEGIN IMMEDIATE")
            checkpoint.write(self.connection, there)

    writes.Writer._trim = trim  # type: ignore[method-assign]


def of_now() -> None:
    """A generation claims what was written while it was folded."""
    publish_ = folds.Folds._publish

    def publish(self: folds.Folds, manifest: folds.Manifest) -> None:
        if manifest.tail != self._state.generation.manifest.tail:
            head = self._state.ledger.head()
            manifest = replace(manifest, seq=head.seq, chain=head.chain.hex())
        publish_(self, manifest)

    folds.Folds._publish = publish  # type: ignore[method-assign]


def acknowledged_early() -> None:
    """A write is acknowledged before it is committed."""
    begin = worker.say

    def say(**line: object) -> None:
        begin(**line)
        if "begin" in line:
            begin(done=True)

    worker.say = say  # type: ignore[assignment]


POWER = (files_not_synced, folders_not_synced, ledger_not_synced, manifest_first)
"""What only a power cut brings to light."""
GUARDS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (*POWER, promoted_in_place, acknowledged_early, trimmed_apart, of_now)
}

if __name__ == "__main__":
    GUARDS[sys.argv[1]]()
    worker.main(Path(sys.argv[2]), *map(int, sys.argv[3:]))
