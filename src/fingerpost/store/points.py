"""Failpoints: named places on the way of a write where a test can stop the program."""

from __future__ import annotations

PLACES = {
    "ledger.written": "the rows of a transaction are written, before COMMIT",
    "ledger.committed": "they are on disk, before HEAD is marked",
    "ledger.marked": "HEAD is marked, before this process sees the write",
    "fold.begun": "nothing of the next generation is there yet",
    "fold.sealed": "its files are on disk, nothing names them",
    "promote.sealed": "the same for new artifacts beside the old slices",
    "rollback.sealed": "the same for the generation before",
    "publish.named": "the folder has its own MANIFEST",
    "publish.carried": "the next tail holds the vectors of what came later",
    "publish.published": "MANIFEST names the generation, before this process uses it",
    "publish.adopted": "this process uses it, before what is old is removed",
    "ledger.trimmed": "old rows of the log are deleted, before the checkpoint moves and COMMIT",
    "fold.purged": "old versions and the log that led to them are gone from the ledger",
}


class Points:
    """What is told of each place; this one does nothing. A test gives its own to ``Store.open``."""

    def reach(self, name: str) -> None:
        """The writer is at the place ``name``, one of PLACES."""
