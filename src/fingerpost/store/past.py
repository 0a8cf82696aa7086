"""Time travel: an index as it was at an earlier seq that is still held.

Held are the published generation and the one before it (MANIFEST names both), each with the file of the
vectors that came after it, and in the ledger every version that stood at the older one's seq or later. The
past is read from the newest held generation that is not newer than the seq wanted, so its router and
everything learned are those of that time. Access is decided by today's labels where the document still
stands, and by those it carried where it does not: whoever lost a document lost its past as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import CorruptError, NotFoundError, UsageError
from fingerpost.store import filters, headmark
from fingerpost.store.disk import MEND_KEPT, no_index
from fingerpost.store.filters import Filter
from fingerpost.store.generation import NAME, Generation, Manifest, held
from fingerpost.store.ledger import Head, Ledger
from fingerpost.store.permits import Permits
from fingerpost.store.state import How, State
from fingerpost.store.view import View
from fingerpost.store.writes import EMPTY

_WRITTEN = re.compile(r"(gen-)?(\d{1,18})")


@dataclass(frozen=True, slots=True)
class AsOf:
    """A moment: a seq of the ledger, or the seq that a generation was folded at."""

    number: int
    generation: bool = False

    @classmethod
    def parse(cls, given: int | str) -> AsOf:
        """``118`` or ``"118"`` is a seq, ``"gen-7"`` a generation. Raises UsageError.

        >>> AsOf.parse("gen-7"), AsOf.parse(118)
        (AsOf(number=7, generation=True), AsOf(number=118, generation=False))
        """
        found = _WRITTEN.fullmatch(str(given)) if not isinstance(given, bool) else None
        if found is None:
            raise UsageError(
                "E_USAGE",
                f"as_of {str(given)[:80]!r} is neither a seq nor a generation",
                cure="write a seq such as 118, or a generation such as gen-7",
            )
        return cls(int(found[2]), bool(found[1]))


def told(manifests: Sequence[Manifest], head: Head) -> str:
    """What is held, in words."""
    since = min(manifest.seq for manifest in manifests)
    names = ", ".join(f"gen-{manifest.generation}" for manifest in manifests)
    return f"held are {names} and seq {since} to {head.seq}"


def opened(root: Path, ledger: Ledger, how: How, at: AsOf | None) -> State:
    """The newest state of an index, or an earlier one. Raises CorruptError, NotFoundError."""
    headmark.check(root, ledger.head)
    if not (root / NAME).exists() and ledger.head() == EMPTY:
        raise no_index(root)  # making it was cut off between its two files
    return State(root, ledger, how) if at is None else Past(root, ledger, how, at)


class Past(State):
    """The state as of one earlier seq. It is found when it is opened and never changes."""

    def __init__(self, root: Path, ledger: Ledger, how: How, at: AsOf) -> None:
        self._at, self._until = at, 0
        super().__init__(root, ledger, how)

    def follow(self) -> None:
        """Stay; raise NotFoundError E_NOT_HELD once the files are gone."""
        manifest = self.generation.manifest
        if manifest.files and not self.generation.folder.is_dir():
            raise _gone(self._at, f"gen-{manifest.generation} was let go by a later fold")

    def _open_newest(self) -> None:
        manifests, head = held(self.root), self.ledger.head()
        if self._at.generation:
            chosen = [each for each in manifests if each.generation == self._at.number]
        else:
            if self._at.number > head.seq:
                raise UsageError(
                    "E_RANGE", f"seq {self._at.number} is not written yet", cure=f"the index is at {head.seq}"
                )
            chosen = [each for each in manifests if each.seq <= self._at.number]
        if not chosen:
            raise _gone(self._at, told(manifests, head))
        base = max(chosen, key=lambda manifest: (manifest.seq, manifest.generation))
        self._until = base.seq if self._at.generation else self._at.number
        try:
            self._switch(Generation(self.root, base, how=self._how))
        except CorruptError as error:
            if base == manifests[0] or not (error.detail or "").startswith(base.folder):
                raise
            raise CorruptError(error.code, error.message, cure=MEND_KEPT, detail=error.detail) from error

    def _catch_up(self, head: Head) -> None:
        changes = self.ledger.changes(self.live.seq, self.live.chain, head)
        self.live.apply(change for change in changes if change.seq <= self._until)
        self._snapshot = None

    @property
    def documents(self) -> int:
        """Documents that stood."""
        sql = f"SELECT count(*) FROM documents NOT INDEXED WHERE {filters.STANDING}"
        return int(self.ledger.rows(sql, (self.live.seq, self.live.seq))[0][0])

    def permits(self) -> Permits:
        """What decides who sees what of the past."""
        return PastPermits(self.ledger, access=self.access, tokens=self.tokens)


class PastPermits(Permits):
    """What a query may see of the past."""

    def _labelled(self) -> bool:
        """Whether a version carries labels, standing or not."""
        return bool(self._ledger.rows("SELECT count(labels) FROM documents NOT INDEXED")[0][0])

    def _keys(self, view: View, chosen: Filter, held: tuple[str, ...], hides: bool) -> NDArray[np.int64]:
        keys = super()._keys(view, chosen, held, hides)
        visible, bound = filters.readable(held, unlabelled=not hides)
        sql = f"SELECT doc_id FROM documents NOT INDEXED WHERE valid_to IS NULL AND NOT {visible}"
        hidden = {row[0] for row in self._ledger.rows(sql, bound)}
        versions = self._ledger.versions(keys.tolist())
        return np.array([key for key in keys.tolist() if versions[key].doc_id not in hidden], dtype=np.int64)


def _gone(at: AsOf, why: str) -> NotFoundError:
    what = f"generation {at.number}" if at.generation else f"seq {at.number}"
    return NotFoundError(
        "E_NOT_HELD",
        f"{what} is not held any more: {why}",
        cure="open a version that is held, or a snapshot that was taken then",
    )
