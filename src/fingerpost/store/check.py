"""What ``status`` and ``doctor`` tell: counts, and findings with their cures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fingerpost.errors import CorruptError, StoreError, UsageError
from fingerpost.store import access, checkpoint, headmark
from fingerpost.store.disk import MEND_KEPT, REBUILD, RESTORE, corrupt, no_index
from fingerpost.store.generation import NAME, folder_name, held, read_kept, read_manifest, verify
from fingerpost.store.ledger import Ledger
from fingerpost.store.state import State
from fingerpost.store.writes import EMPTY, unfinished
from fingerpost.text.counts import counted

NO_VECTOR = "without a vector"
NO_WAY_BACK = "today's searches are whole, going back to generation"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: where, what, and what to do."""

    file: str
    problem: str
    cure: str


def status(state: State) -> dict[str, int | str]:
    """Counts and versions, all cheap."""
    manifest, live, kept = state.generation.manifest, state.live, held(state.root)
    missing = len(state.fresh.lacking(live.fresh_keys)) if state.dim else 0
    files = [path for path in state.root.rglob("*") if path.is_file()]
    return {
        "generation": manifest.generation,
        "seq": live.seq,
        "folded_seq": manifest.seq,
        "held_generations": ", ".join(str(each.generation) for each in kept),
        "held_since_seq": min(each.seq for each in kept),
        "documents": state.documents,
        "chunks": len(live.keys),
        "fresh_chunks": len(live.fresh_keys),
        "tombstones": len(live.dead_keys),
        "missing_vectors": missing,
        "leaves": manifest.leaves,
        "dim": state.dim,
        "fingerprint": manifest.fingerprint,
        "policy": manifest.policy,
        "unlabelled": state.access.told(),
        "bytes": sum(path.stat().st_size for path in files),
    }


def check(state: State) -> list[Finding]:
    """Verify every file and every record: digests, and counts across ledger, arrays and lexical index."""
    found = [*_files(state), *ledger_findings(state.ledger), *_pairs(state.ledger), *_counts(state)]
    found += kept_findings(state.root)
    if state.dim:
        missing = len(state.fresh.lacking(state.live.fresh_keys))
        if missing:
            cure = "run `fingerpost doctor --repair`; it encodes them"
            found.append(Finding(state.fresh.path.name, f"{counted(missing, 'chunk')} {NO_VECTOR}", cure))
    return found


def _files(state: State) -> Iterator[Finding]:
    manifest = state.generation.manifest
    for name, problem in verify(state.root / manifest.folder, manifest, "full"):
        yield Finding(f"{manifest.folder}/{name}", problem, REBUILD)


def kept_findings(root: Path) -> list[Finding]:
    """What is damaged of the generation that is kept for ``rollback`` and ``as_of``: no search of today reads
    it. One that is let go meanwhile is not missed.
    """
    found = [(number, list(_kept(root, number))) for number in read_manifest(root / NAME).history]
    still = read_manifest(root / NAME).history
    return [finding for number, findings in found if number in still for finding in findings]


def _kept(root: Path, number: int) -> Iterator[Finding]:
    folder, problems = folder_name(number), []
    try:
        problems += verify(root / folder, read_kept(root, number), "full")
    except StoreError as error:
        problems.append((NAME, error.message.removeprefix(f"{folder}/{NAME} is damaged: ")))
    for name, problem in problems:
        yield Finding(f"{folder}/{name}", f"{problem} ({NO_WAY_BACK} {number} is not)", MEND_KEPT)


def ledger_findings(ledger: Ledger) -> Iterator[Finding]:
    """Every record of the ledger that does not match its digest."""
    try:
        for (line,) in ledger.rows("PRAGMA integrity_check"):
            if line != "ok":
                yield Finding("ledger.db", str(line), RESTORE)
        ledger.verify_documents(again=True)
        checkpoint.verify(ledger)
        access.verify(ledger)
        sql = "SELECT key FROM documents NOT INDEXED WHERE valid_to IS NULL ORDER BY key"
        keys = [int(row[0]) for row in ledger.rows(sql)]
    except CorruptError as error:
        yield Finding("ledger.db", error.message, RESTORE)
        return
    for key in keys:
        yield from _document(ledger, key)


def _document(ledger: Ledger, key: int) -> Iterator[Finding]:
    try:
        version = ledger.versions([key])[key]
        ledger.document(version)
        ledger.passages(version)
    except (StoreError, ValueError) as error:
        yield Finding("ledger.db", str(error), RESTORE)


def _pairs(ledger: Ledger) -> Iterator[Finding]:
    """A damaged training pair: no search needs it, so that it does not stop a repair."""
    try:
        for _ in ledger.pairs():
            pass
    except (StoreError, TypeError) as error:
        yield Finding("ledger.db", str(error), f"{RESTORE}; searches are not harmed, `learn` is")


def _counts(state: State) -> Iterator[Finding]:
    manifest, held = state.generation.manifest, state.generation
    chunks = len(held.keys)
    if held.lexical is not None and held.lexical.documents != chunks:
        yield Finding(
            f"{manifest.folder}/lexical",
            f"holds {counted(held.lexical.documents, 'chunk')} instead of {chunks:,}",
            REBUILD,
        )
    if manifest.chunks != chunks or len(np.unique(held.keys)) != chunks:
        said = f"{counted(chunks, 'key')} for {counted(manifest.chunks, 'chunk')}"
        yield Finding(f"{manifest.folder}/keys.npy", said, REBUILD)
    standing, found = state.ledger.head().chunks, len(state.live.keys)
    if standing != found:
        said = counted(found, "chunk stands", "chunks stand")
        yield Finding("ledger.db", f"{said} instead of {standing:,}", RESTORE)


def check_empty(root: Path) -> None:
    """Refuse to make an index where there is one; what is left of one that never held anything goes."""
    if (root / NAME).exists():
        if not (root / "ledger.db").exists():
            raise no_index(root)
        raise UsageError(
            "E_EXISTS", f"{root} holds an index", cure="open it, or choose another folder", detail=str(root)
        )
    path = root / "ledger.db"
    if path.exists() and not path.stat().st_size:
        headmark.check(root, lambda: EMPTY)  # an emptied ledger is no new one
    if path.exists() and not unfinished(path):
        ledger = Ledger(path)
        seq = ledger.head().seq
        ledger.close()
        if seq:
            raise corrupt(NAME, "it is missing beside a ledger that holds documents")
    for path in root.glob("ledger.db*"):
        path.unlink()
