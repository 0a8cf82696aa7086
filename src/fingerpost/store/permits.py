"""What a query may see: filters and access labels become masks over rows before any leg scores a chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.store import filters
from fingerpost.store.access import Access
from fingerpost.store.digest import Field
from fingerpost.store.filters import Filter
from fingerpost.store.ledger import Ledger
from fingerpost.store.vectors import Mask
from fingerpost.store.view import View
from fingerpost.text import labels

_KEPT = 64


@dataclass(frozen=True, slots=True, eq=False)
class Allow:
    """The standing chunks that a query may see, as masks over the base's rows and the tail's, and the keys of
    the documents they belong to. Good for the snapshot that made it, ``of``.
    """

    base: Mask
    tail: Mask
    documents: frozenset[int]
    of: View

    @property
    def n_chunks(self) -> int:
        """How many chunks may be seen."""
        return int(self.base.sum()) + int(self.tail.sum())


class Permits:
    """Answers for one state of the index, remembered until it changes."""

    def __init__(
        self, ledger: Ledger, *, access: Access, tokens: Callable[[list[int]], dict[int, bytes]]
    ) -> None:
        self._ledger, self._access, self.tokens = ledger, access, tokens
        self._known: dict[tuple[Filter, tuple[str, ...], bool], Allow] = {}

    def allow(
        self, view: View, wanted: Filter | str | Sequence[str] | None, principals: Sequence[str] | None
    ) -> Allow | None:
        """See Snapshot.allow."""
        chosen = wanted if isinstance(wanted, Filter) else Filter.parse(wanted or ())
        held = labels.held(principals)
        hides = self._access.hides()
        if not (hides or chosen.conditions or self._labelled()):
            return None
        known = self._known.get((chosen, held, hides))
        if known is None or known.of is not view:
            known = self._decide(view, chosen, held, hides)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[chosen, held, hides] = known
        return known

    def _decide(self, view: View, chosen: Filter, held: tuple[str, ...], hides: bool) -> Allow:
        self._ledger.verify_documents()
        return _masks(view, self._keys(view, chosen, held, hides))

    def _labelled(self) -> bool:
        """Whether labels hide anything."""
        return bool(self._ledger.head().labelled)

    def _keys(self, view: View, chosen: Filter, held: tuple[str, ...], hides: bool) -> NDArray[np.int64]:
        """Document keys that the filter and the labels allow."""
        visible, bound = filters.readable(held, unlabelled=not hides)
        terms, values = [filters.STANDING, visible], [view.seq, view.seq, *bound]
        self._check_keys(chosen, terms, values)
        for condition in chosen.conditions:
            term, more = condition.sql()
            terms.append(term)
            values += more
        sql = f"SELECT key FROM documents NOT INDEXED WHERE {' AND '.join(terms)}"
        return np.array([row[0] for row in self._ledger.rows(sql, values)], dtype=np.int64)

    def _check_keys(self, chosen: Filter, terms: list[str], values: list[Field]) -> None:
        """A key that no visible document has is refused in the same words as one that no document has."""
        for key in sorted(chosen.keys - {*filters.COLUMNS, "path"}):
            named = " AND ".join([*terms, "json_type(metadata, ?) IS NOT NULL"])
            if not self._ledger.rows(
                f"SELECT 1 FROM documents WHERE {named} LIMIT 1", [*values, f'$."{key}"']
            ):
                raise filters.refused(f"no document has the metadata key {key!r}")


def _masks(view: View, keys: NDArray[np.int64]) -> Allow:
    distinct, which = view.generation.owners
    base = np.isin(distinct, keys)[which] if len(distinct) else np.zeros(0, dtype=np.bool_)
    if view.alive is not None:
        base &= view.alive
    tail = np.isin(view.tail.docs, keys) & view.tail.alive
    return Allow(base, tail, frozenset(keys.tolist()), view)
