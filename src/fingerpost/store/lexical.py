"""The lexical leg over a generation: tantivy's BM25 over body terms and codes.

User text never reaches tantivy's query parser: a query is a boolean *should* of term queries. The term ``w``
of the base is weighted by idf(base + tail) / idf(base), so that base and tail rank by the same statistics.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tantivy
from numpy.typing import NDArray

from fingerpost.store.bm25 import BODY, CODE, FIELDS
from fingerpost.store.disk import corrupt

Clause = tuple[str, str, float]
"""Field, term, weight."""

_HEAP = 96_000_000
SET_LIMIT = 512
"""Up to so many allowed keys are given to tantivy as a set; beyond, its ranking is read deeper."""
_LOCKS = (".tantivy-writer.lock", ".tantivy-meta.lock")


@dataclass(frozen=True, slots=True)
class FieldStatistics:
    """Documents and average length (in terms) that a field's scores rest on."""

    documents: int = 0
    average: float = 0.0


def schema() -> tantivy.Schema:
    """Body with positions, codes with frequencies, the chunk key as an indexed fast field."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(BODY, stored=False, tokenizer_name="whitespace", index_option="position")
    builder.add_text_field(CODE, stored=False, tokenizer_name="whitespace", index_option="freq")
    builder.add_unsigned_field("key", stored=False, indexed=True, fast=True)
    return builder.build()


class Lexical:
    """An opened lexical folder of a generation; read-only. Without ``statistics`` they are measured."""

    def __init__(self, folder: Path, statistics: Mapping[str, FieldStatistics] | None = None) -> None:
        self._schema = schema()
        self._links = None if os.access(folder, os.W_OK) else TemporaryDirectory()
        with _damage_named():
            try:
                self._index = _opened(folder, self._links)
            except ValueError as error:
                if self._links is not None or "Lockfile" not in str(error):
                    raise
                self._links = TemporaryDirectory()  # a file system without locks
                self._index = _opened(folder, self._links)
            self._searcher = self._index.searcher()
            self.statistics = statistics or {name: self._measured(name) for name in FIELDS}

    @property
    def documents(self) -> int:
        """Chunks that stand in the index."""
        return int(self._searcher.num_docs)

    def frequency(self, field: str, term: str) -> int:
        """In how many chunks of the base ``term`` occurs (chunks deleted but not merged away included)."""
        with _damage_named():
            return int(self._searcher.doc_freq(field, term))

    def search(
        self, clauses: Sequence[Clause], *, limit: int, among: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Keys and scores, best first; fewer than ``limit`` means that the ranking is exhausted.

        ``among`` restricts the search to a small set of keys without changing any score.
        """
        query = self._query(clauses)
        if among is not None:
            allowed = tantivy.Query.term_set_query(self._schema, "key", [int(key) for key in among])
            unscored = tantivy.Query.const_score_query(allowed, 0.0)
            must = tantivy.Occur.Must
            query = tantivy.Query.boolean_query([(must, query), (must, unscored)])
        with _damage_named():
            hits = self._searcher.search(query, limit, count=False).hits
            keys = self._searcher.fast_field_values("key", [address for _, address in hits])
        return np.array(keys, dtype=np.int64), np.array([score for score, _ in hits], dtype=np.float32)

    def _query(self, clauses: Sequence[Clause]) -> tantivy.Query:
        terms = []
        for field, term, weight in clauses:
            query = tantivy.Query.term_query(self._schema, field, term, "freq")
            boosted = query if weight == 1.0 else tantivy.Query.boost_query(query, weight)
            terms.append((tantivy.Occur.Should, boosted))
        return tantivy.Query.boolean_query(terms)

    def _measured(self, field: str) -> FieldStatistics:
        """N and average length, read from tantivy's own explanation of one hit. Slow: it lists the terms."""
        for term, _ in self._searcher.terms_with_prefix(field, "", limit=16):
            query = tantivy.Query.term_query(self._schema, field, term, "freq")
            hits = self._searcher.search(query, 1, count=False).hits
            if hits:
                tree = json.loads(query.explain(self._searcher, hits[0][1]).to_json())
                found = dict(_values(tree))
                return FieldStatistics(int(found["N"]), found["avgdl"])
        return FieldStatistics()


@contextmanager
def _damage_named() -> Iterator[None]:
    """CorruptError for what tantivy says of files that were damaged after they were opened. Its panics are no
    Exceptions: they went past everybody who would have told them.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise corrupt("lexical", str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise corrupt("lexical", str(error)) from error


def _opened(folder: Path, links: TemporaryDirectory[str] | None) -> tantivy.Index:
    index = tantivy.Index.open(str(folder if links is None else _linked(folder, links)))
    index.config_reader("manual", 0)
    index.reload()
    return index


def _linked(folder: Path, links: TemporaryDirectory[str]) -> Path:
    """A folder of links: tantivy wants a lock file to open an index, also where none can be made."""
    for path in folder.iterdir():
        if path.name not in _LOCKS:
            (Path(links.name) / path.name).symlink_to(path.absolute())
    return Path(links.name)


def _values(tree: dict[str, object]) -> Iterator[tuple[str, float]]:
    name = str(tree["description"]).split(",")[0]
    yield name, float(tree["value"])  # type: ignore[arg-type]
    for branch in tree.get("details") or ():  # type: ignore[attr-defined]
        yield from _values(branch)


def write_lexical(
    folder: Path, documents: Iterable[tuple[int, str, str]], *, without: Sequence[int] = ()
) -> None:
    """Change the index in ``folder`` (made if empty): remove the keys ``without``, add ``(key, body, codes)``
    with terms joined by blanks, commit, wait for merges, close.
    """
    shape = schema()
    index = tantivy.Index(shape, path=str(folder))
    writer = index.writer(_HEAP, 1)
    for at in range(0, len(without), 10_000):
        keys = [int(key) for key in without[at : at + 10_000]]
        writer.delete_documents_by_query(tantivy.Query.term_set_query(shape, "key", keys))
    for key, body, codes in documents:
        document = tantivy.Document()
        document.add_unsigned("key", key)
        document.add_text(BODY, body)
        if codes:
            document.add_text(CODE, codes)
        writer.add_document(document)
    writer.commit()
    writer.garbage_collect_files()
    writer.wait_merging_threads()
    for name in _LOCKS:
        with suppress(FileNotFoundError):
            (folder / name).unlink()
