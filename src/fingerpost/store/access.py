"""Whether documents without access labels may be seen: the rule of an index, and since when it has labels.

The ledger's ``meta`` keeps both. ``unlabelled`` is the rule it was made with; ``labelled`` is the seq at
which a document first bore labels, ``0`` before. The mark is written by the transaction that brings the
first labels and never taken back: deleting the last document with labels opens no other. It is asked of the
ledger as it is now, not of a view, so that labels hold at once for every process, every kept view and all
of the past.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from fingerpost.config import Settings, Unlabelled, stored
from fingerpost.store.digest import digest
from fingerpost.store.disk import corrupt
from fingerpost.store.ledger import Ledger
from fingerpost.text.counts import counted

LAXEST_FIRST: tuple[Unlabelled, ...] = ("visible", "until-labels", "hidden")
_BEFORE: Mapping[str, Unlabelled] = {"1": "visible", "0": "hidden"}
"""What ``unlabelled`` was when it was a truth value; such an index has no mark before its next labels."""
NEVER = "0"
FIRST = (
    "these are the index's first access labels: from now on documents without labels are found by nobody, "
    "and that stays so; to show them, give them labels (store.unlabelled, docs/reliability.md)"
)


def begun(settings: Settings) -> dict[str, str]:
    """What ``meta`` says of access in an index that is made."""
    return {"unlabelled": settings.store.unlabelled, "labelled": NEVER}


def made(meta: Mapping[str, str]) -> Unlabelled:
    """The rule that an index was made with.

    >>> made({"unlabelled": "1"}), made({"unlabelled": "until-labels", "labelled": "0"})
    ('visible', 'until-labels')
    """
    said = meta["unlabelled"]
    if said in _BEFORE:
        return _BEFORE[said]
    for rule in LAXEST_FIRST:
        if rule == said and meta.get("labelled", "").isdigit():
            return rule
    raise corrupt("ledger.db meta 'labelled'", "it is missing")


def settings(meta: Mapping[str, str]) -> Settings:
    """The settings that an index was made with; what bore another name then, under its name of today."""
    tree = json.loads(meta["settings"])
    tree["store"]["unlabelled"] = made(meta)
    return stored(tree)


def named(given: Settings | None) -> Unlabelled | None:
    """The rule that settings name; None where they leave it to the index."""
    if given is None or "unlabelled" not in given.store.model_fields_set:
        return None
    return given.store.unlabelled


def stricter(one: Unlabelled, other: Unlabelled | None) -> Unlabelled:
    """The rule that holds where an index says one thing and who opens it another.

    >>> stricter("until-labels", "visible"), stricter("visible", "hidden"), stricter("visible", None)
    ('until-labels', 'hidden', 'visible')
    """
    return one if other is None else max(one, other, key=LAXEST_FIRST.index)


def mark(connection: sqlite3.Connection, seq: int) -> None:
    """Note, as part of the transaction that is open, that documents have borne labels since ``seq``; once."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'labelled'").fetchone()
    if row is None or row[0] == NEVER:
        values = ("labelled", str(seq), digest("labelled", str(seq)))
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", values)


class Access:
    """What holds for one opened index: its own rule or, where it is stricter, ``asked``."""

    def __init__(self, ledger: Ledger, asked: Unlabelled | None) -> None:
        self._ledger, self.rule = ledger, stricter(made(ledger.meta()), asked)
        self._passed_over = asked if asked is not None and asked != self.rule else None
        self._labelled, self._clear_at = False, -1

    def hides(self) -> bool:
        """Whether documents without labels are hidden from everybody now."""
        return self.rule == "hidden" or (self.rule == "until-labels" and self.labelled())

    def labelled(self) -> bool:
        """Whether a document has ever borne labels, as far as the ledger knows."""
        if not self._labelled:
            head = self._ledger.head()
            if head.seq != self._clear_at:  # labels come with a seq of their own
                self._labelled = bool(head.labelled) or self._marked()
                self._clear_at = head.seq
        return self._labelled

    def told(self) -> str:
        """The rule and what it does now, for the operator."""
        if self.rule == "until-labels" and not self.labelled():
            said = "no document has borne labels, everybody finds all"
        else:
            head = self._ledger.head()
            count = counted(head.documents - head.labelled, "document") + " without labels"
            said = f"{'nobody' if self.hides() else 'everybody'} finds {count}"
        return "; ".join(filter(None, (f"{self.rule}: {said}", self.unheeded())))

    def unheeded(self) -> str:
        """What is said to who opens an index with a laxer rule than its own; empty where nobody does."""
        if self._passed_over is None:
            return ""
        return (
            f"store.unlabelled = {self._passed_over!r} in the settings does not count: the index was made "
            f"with {self.rule!r}, which cannot be made laxer; compile into a new folder, or give "
            "documents labels"
        )

    def _marked(self) -> bool:
        since = self._ledger.meta().get("labelled")
        if since is not None:
            return since != NEVER
        rows = self._ledger.rows("SELECT 1 FROM documents NOT INDEXED WHERE labels IS NOT NULL LIMIT 1")
        return bool(rows)


def verify(ledger: Ledger) -> None:
    """Raise CorruptError where the mark is missing, or denies labels that stand."""
    meta = ledger.meta()
    made(meta)
    if meta.get("labelled") == NEVER and ledger.head().labelled:
        raise corrupt("ledger.db meta 'labelled'", "it denies labels that stand")
