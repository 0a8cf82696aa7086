"""In which words a document was asked for: what its past questions have in common with a new one.

Three figures a document, all from idf-weighted terms: ``alike``, the best share of terms in common with one
question (weighted Jaccard); ``worded``, the share of the new question's idf that any of them used;
``voiced``, BM25 with the questions as the document's text. Two questions may be near in meaning and yet ask
for different documents; their rare words tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

NAMES = ("alike", "worded", "voiced")
PLANES = ("terms", "lengths", "mass")
K1, B = 1.2, 0.75
USUAL = 40.0
"""Terms of a document's questions, all together, from which on BM25 takes them for long."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Questions' terms as numbers: those of question i are ``terms[sum(lengths[:i]) :][: lengths[i]]``;
    ``mass`` [m] is their idf together.
    """

    terms: I64
    lengths: I64
    mass: F32

    @classmethod
    def of(cls, questions: Sequence[Sequence[str]], idf: Mapping[str, float]) -> Wording:
        """The wording of some questions, given by their distinct terms.

        >>> Wording.of([["rotat", "key"], ["key"]], {"rotat": 3.0, "key": 1.0}).mass.tolist()
        [4.0, 1.0]
        """
        known = {term: number(term) for question in questions for term in question}
        mass = [sum(idf.get(term, 0.0) for term in question) for question in questions]
        return cls(
            np.array([known[term] for question in questions for term in question], np.int64),
            np.array([len(question) for question in questions], np.int64),
            np.array(mass, np.float32),
        )

    def take(self, rows: I64) -> Wording:
        """The wording of these questions, in this order; of none where nothing is known."""
        if not len(self.lengths):
            return self
        lengths = self.lengths[rows]
        first = np.cumsum(self.lengths)[rows] - lengths
        return Wording(self.terms[ranges(first, lengths)], lengths, self.mass[rows])

    def compare(self, counts: I64, said: Mapping[str, float]) -> NDArray[np.float64]:
        """``NAMES`` of each document, [3, n], whose ``counts`` [n] questions lie side by side here; ``said``
        are the new question's terms with their idf.

        >>> known = Wording.of([["rotat", "key"], ["key"]], {"rotat": 3.0, "key": 1.0})
        >>> known.compare(np.array([1, 1]), {"rotat": 3.0, "sign": 1.0})[:2].tolist()
        [[0.6, 0.0], [0.75, 0.0]]
        """
        numbers = np.array([number(term) for term in said], np.int64)
        order, idf = np.argsort(numbers), np.array(list(said.values()), np.float64)
        numbers, idf = numbers[order], idf[order]
        total, documents = max(float(idf.sum()), 1e-9), len(counts)
        at = np.minimum(np.searchsorted(numbers, self.terms), len(numbers) - 1)
        hit = np.flatnonzero(numbers[at] == self.terms)
        question = np.repeat(np.arange(len(self.lengths)), self.lengths)[hit]
        document = np.repeat(np.arange(documents), counts)
        common = np.bincount(question, weights=idf[at[hit]], minlength=len(self.lengths))
        alike = common / np.maximum(total + self.mass - common, 1e-9)
        cells = np.bincount(document[question] * len(idf) + at[hit], minlength=documents * len(idf))
        times = cells.reshape(documents, len(idf)).astype(np.float64)
        length = np.bincount(document, weights=self.lengths, minlength=documents)
        damp = K1 * (1 - B + B * length / USUAL)[:, None]
        return np.stack(
            [
                np.maximum.reduceat(alike, np.cumsum(counts) - counts),
                (times > 0) @ idf / total,
                (times * (K1 + 1) / (times + damp)) @ idf,
            ]
        )


SILENT = Wording(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


def number(term: str) -> int:
    """A term's number: 63 bits of its digest."""
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "little") >> 1


def ranges(first: I64, counts: I64) -> I64:
    """All of first, first + 1, … of each range.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    bounds = np.cumsum(counts) - counts
    at: I64 = np.arange(counts.sum()) + np.repeat(first - bounds, counts)
    return at
