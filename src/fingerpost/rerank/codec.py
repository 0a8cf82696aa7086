"""Token vectors in few bytes: each is told by its word piece and by how it differs from that piece's mean.

    token vectors [t, d] -> drop pieces that most passages hold -> put alike repeats of a piece into one
        -> subtract the piece's mean
        -> rotate onto ``dims`` directions, dealt out so that every subspace holds as much variance
        -> two bytes for the piece, one for the length, one a subspace for the nearest of its 256 centroids

A word piece's mean explains a third to a half of its vectors, for two bytes; that is what makes sixteen
more bytes as good as thirty-two without it (bench/LOG.md). Repeats put into one save a sixth to a quarter of
the tokens and no measurable quality. Quantised vectors are too short, the odd ones
most; the byte for the length makes up for it, worth a point of nDCG. Subtracting the mean of all tokens adds
the same to a query token's similarity with every passage token, so that no ranking changes. Sources: product
quantisation, doi:10.1109/TPAMI.2010.57; eigenvalue allocation, doi:10.1109/TPAMI.2013.240; centroids and
residuals for late interaction, arXiv:2112.01488 – there the centroids are k-means', here the vocabulary's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numkong
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fingerpost.errors import CorruptError, FingerprintError, InputError
from fingerpost.rerank import nearest, repeats, subspaces
from fingerpost.rerank.subspaces import CENTROIDS

Floats = NDArray[np.float32]
Pieces = NDArray[np.int32]

PRIOR = 1.0  # a piece's mean is drawn towards the mean of all as if seen there once
MOST_PIECES = 65_535  # two bytes name a piece; 0 is every other one
AT_ONCE = 16  # passages whose tokens are worked on together
PIECE_BYTES = 2
HEAD_BYTES = 3  # the piece, and how much longer the vector is than what its code says
ALL_KEPT = 2.0  # a cosine that nothing reaches
LEAST_STRETCH, STRETCH_STEP = 0.75, 1 / 128
_PARTS = frozenset({"mean", "rotation", "codebook", "known", "means", "idf", "form"})


@dataclass(frozen=True, slots=True)
class Form:
    """What a code looks like. ``common``: pieces that a larger share of passages hold are dropped. ``alike``:
    repeats of a piece in a passage with at least this cosine are coded as one; above 1 all are kept.
    """

    dims: int = 255
    subspaces: int = 17
    common: float = 0.25
    alike: float = 0.9

    def numbers(self) -> list[float]:
        """The form as its file has it."""
        return [self.dims, self.subspaces, self.common, self.alike]


SMALL = Form()
FINE = Form(dims=384, subspaces=48, common=0.5)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rotated ``vectors`` int8 [T, dims] in steps of the codec's scale, each ``stretch`` [T] times longer.

    Passage i has the rows ``bounds[i]`` to ``bounds[i + 1]``.
    """

    vectors: NDArray[np.int8]
    stretch: Floats
    bounds: NDArray[np.int64]


@dataclass(frozen=True)
class Codec:
    """A trained codec: ``rotation`` [d, dims], ``codebook`` int8 [subspaces, 256, dims / subspaces].

    ``known`` [K] are the pieces that have a mean, ``means`` int8 [K + 1, dims], the first of them zero;
    ``scale`` is what one step of both tables is worth; ``idf`` [vocabulary] weighs word pieces.
    """

    form: Form
    mean: Floats
    rotation: Floats
    codebook: NDArray[np.int8]
    known: Pieces
    means: NDArray[np.int8]
    scale: float
    idf: Floats

    @property
    def width(self) -> int:
        """Bytes of one token."""
        return HEAD_BYTES + self.form.subspaces

    @cached_property
    def _turn(self) -> numkong.PackedMatrix:
        return numkong.dots_pack(np.ascontiguousarray(self.rotation.T))

    @cached_property
    def _fine(self) -> tuple[numkong.PackedMatrix, np.float32, Floats]:
        """The rotation in int8, packed for products; what one of them is worth in fine steps, for a token
        of which one step of int8 is worth 1; and the mean in fine steps.
        """
        step = float(np.abs(self.rotation).max()) / 127
        turn = np.ascontiguousarray(np.rint(self.rotation.T / step).astype(np.int8))
        worth = nearest.FINE / self.scale
        return (
            numkong.dots_pack(turn),
            np.float32(step * worth),
            self.mean @ self.rotation * np.float32(worth),
        )

    @cached_property
    def _rare(self) -> NDArray[np.bool_]:
        return _rare(self.idf, self.form)

    @cached_property
    def _books(self) -> Floats:
        return nearest.tables(self.codebook)

    def keeps(self, pieces: Pieces) -> NDArray[np.bool_]:
        """Which tokens of a text [t] would be coded: those of pieces that not most passages hold, all where
        nothing would be left.
        """
        return _kept(pieces.astype(np.int64), np.zeros(len(pieces), np.intp), self._rare)

    def fits(self, form: Form) -> bool:
        """Whether its codes are of this form, as far as the model is wide enough."""
        return self.form == _narrowed(form, len(self.mean))

    def rotated(self, tokens: Floats) -> Floats:
        """Token vectors [t, d] in the codec's directions, [t, dims]. Not by BLAS: its second thread wakes
        later than this takes where both cores are busy.
        """
        return np.asarray(numkong.dots_packed(tokens, self._turn))

    @classmethod
    def train(
        cls, tokens: Sequence[Floats], pieces: Sequence[Pieces], *, seed: int = 0, form: Form = SMALL
    ) -> Codec:
        """A codec for passages like the sample: ``tokens[i]`` [t_i, d], ``pieces[i]`` [t_i] word pieces.

        A few thousand passages are enough. Raises InputError (E_EMPTY) without a single token.
        """
        if not sum(map(len, tokens)):
            cure = "give passages with words in them"
            raise InputError("E_EMPTY", "no token vectors to train on", cure=cure)
        idf = inverse_frequency(pieces)
        form = _narrowed(form, tokens[0].shape[1])
        rare = _rare(idf, form)
        flat = [_flat(*few, rare, form.alike)[:2] for few in _few(tokens, pieces)]
        vectors, ids = (np.concatenate(part) for part in zip(*flat, strict=True))
        mean = vectors.mean(axis=0)
        known, means = _piece_means(vectors, ids, mean)
        rng = np.random.default_rng(seed)
        sample = np.sort(rng.permutation(len(vectors))[: 4 * subspaces.SAMPLE])
        centred = vectors[sample] - mean
        rest = centred - means[_places(known, ids[sample])]
        rotation = subspaces.rotation(centred, rest, dims=form.dims, count=form.subspaces)
        parts = np.split(rest @ rotation, form.subspaces, axis=1)
        book = np.stack([subspaces.centroids(part, rng) for part in parts])
        turned = means @ rotation
        scale = float(np.abs(book).max() + np.abs(turned).max()) / 127 or 1.0
        steps = [np.rint(table / scale).astype(np.int8) for table in (book, turned)]
        return cls(form, mean, rotation, steps[0], known, steps[1], scale, idf)

    def encode(self, tokens: Sequence[Floats], pieces: Sequence[Pieces]) -> list[bytes]:
        """One code a passage, ``width`` bytes a kept token; empty for a passage without tokens. A passage's
        code is the same whichever others are coded with it.
        """
        return [code for few in _few(tokens, pieces) for code in self._codes(*few)]

    def _codes(self, tokens: Sequence[Floats], pieces: Sequence[Pieces]) -> list[bytes]:
        if not sum(map(len, tokens)):
            return [b""] * len(tokens)
        vectors, ids, ends = _flat(tokens, pieces, self._rare, self.form.alike)
        at = _places(self.known, ids)
        turned = self._turned(vectors)
        near = nearest.nearest(turned - np.float32(nearest.FINE) * self.means[at], self._books)
        codes = np.empty((len(vectors), self.width), np.uint8)
        codes[:, :PIECE_BYTES] = at.astype("<u2")[:, None].view(np.uint8)
        codes[:, PIECE_BYTES] = _stretch(turned, self._vectors(at, near))
        codes[:, HEAD_BYTES:] = near
        return [part.tobytes() for part in np.split(codes, ends)[:-1]]

    def _turned(self, vectors: Floats) -> Floats:
        """Token vectors [t, d] less the mean, in the codec's directions and in whole fine steps, [t, dims].
        By int8, each token in steps of its own: that is off by a twelfth of a codebook's step.
        """
        turn, worth, mean = self._fine
        largest = np.maximum(np.maximum(vectors.max(axis=1), -vectors.min(axis=1)), 1e-9) / 127
        steps = np.rint(vectors / largest[:, None]).astype(np.int8)
        turned = np.asarray(numkong.dots_packed(steps, turn)) * (largest * worth)[:, None]
        turned -= mean
        return np.asarray(np.rint(turned, out=turned), np.float32)

    def _vectors(self, places: NDArray[np.intp], near: NDArray[np.uint8]) -> NDArray[np.int8]:
        """The vectors [t, dims] that codes mean, in steps."""
        book = self.codebook.reshape(self.form.subspaces * CENTROIDS, -1)
        at_book = near + np.arange(self.form.subspaces, dtype=np.intp) * CENTROIDS
        vectors = np.take(book, at_book, axis=0, mode="clip").reshape(len(near), self.form.dims)
        vectors += np.take(self.means, places, axis=0, mode="clip")
        return vectors

    def decode(self, codes: Sequence[bytes | memoryview]) -> Decoded:
        """The vectors of passages given by their codes.

        Raises CorruptError (E_CORRUPT) where a code is not a whole number of tokens long, or names a piece
        that this codec does not know.
        """
        lengths = np.array([len(code) for code in codes], np.int64)
        if (lengths % self.width).any():
            odd = int(lengths[lengths % self.width > 0][0])
            raise _damaged(f"a code of token vectors has {odd} bytes, not a multiple of {self.width}")
        rows = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, self.width)
        places = np.ascontiguousarray(rows[:, :PIECE_BYTES]).view("<u2").ravel().astype(np.intp)
        if len(places) and places.max() >= len(self.means):
            raise _damaged(f"a code names word piece {places.max()} of {len(self.means)}")
        vectors = self._vectors(places, rows[:, HEAD_BYTES:])
        stretch = rows[:, PIECE_BYTES] * np.float32(STRETCH_STEP) + np.float32(LEAST_STRETCH)
        return Decoded(vectors, stretch, np.concatenate([[0], np.cumsum(lengths // self.width)]))

    def to_bytes(self) -> bytes:
        """The codec as a safetensors file."""
        form = np.array([*self.form.numbers(), self.scale], np.float64)
        tables = {name: getattr(self, name) for name in _PARTS - {"form"}}
        arrays = {name: np.ascontiguousarray(table) for name, table in sorted(tables.items())}
        return bytes(save(arrays | {"form": form}))

    @classmethod
    def from_bytes(cls, data: bytes) -> Codec:
        """The codec that ``to_bytes`` wrote, here or in version 0.1.

        Raises CorruptError (E_CORRUPT) for anything else, FingerprintError for a later format.
        """
        try:
            parts = load(data)
        except (SafetensorError, ValueError) as error:
            raise _damaged(f"not a codec of token vectors: {error}") from error
        if set(parts) != _PARTS or parts["form"].ndim != 1:
            raise _damaged(f"not a codec of token vectors: it holds {sorted(parts)}")
        form, scale = _form(parts.pop("form").tolist())
        expected = {
            "codebook": (form.subspaces, CENTROIDS, form.dims // max(form.subspaces, 1)),
            "means": (len(parts["known"]) + 1, form.dims),
            "rotation": (len(parts["mean"]), form.dims),
        }
        for name, shape in expected.items():
            if parts[name].shape != shape:
                raise _damaged(f"not a codec of token vectors: {name} is {parts[name].shape}, not {shape}")
        return cls(form=form, scale=scale, **parts)


def inverse_frequency(pieces: Sequence[Pieces]) -> Floats:
    """log((n + 1) / (df + 1)) for every word piece, df the passages that hold it; 0 = in all of them.

    >>> inverse_frequency([np.array([0, 1]), np.array([0, 0])]).round(2)
    array([0.  , 0.41], dtype=float32)
    """
    size = 1 + max((int(ids.max()) for ids in pieces if len(ids)), default=0)
    held = np.zeros(size, np.int64)
    for ids in pieces:
        held[np.unique(ids)] += 1
    return np.log((len(pieces) + 1) / (held + 1)).astype(np.float32)


def weights_of(pieces: Pieces, idf: Floats) -> Floats:
    """The idf of each piece; a piece never seen in training is as rare as the rarest. What is no word of a
    query (an id below 0, such as what fills up a ColBERT query) counts as its words do on average.

    >>> weights_of(np.array([1, 99, -1], np.int32), np.array([0.0, 0.5], np.float32)).tolist()
    [0.5, 0.5, 0.5]
    """
    known, words = pieces < len(idf), pieces >= 0
    found = np.where(known, idf[np.where(known & words, pieces, 0)], idf.max()).astype(np.float32)
    return np.where(words, found, found[words].mean() if words.any() else np.float32(1))


def _few(
    tokens: Sequence[Floats], pieces: Sequence[Pieces]
) -> Iterator[tuple[Sequence[Floats], Sequence[Pieces]]]:
    """The passages, a few at a time: what is worked on stays small, and near."""
    for at in range(0, len(tokens), AT_ONCE):
        yield tokens[at : at + AT_ONCE], pieces[at : at + AT_ONCE]


def _flat(
    tokens: Sequence[Floats], pieces: Sequence[Pieces], rare: NDArray[np.bool_], alike: float
) -> tuple[Floats, Pieces, NDArray[np.int64]]:
    """Kept tokens of all passages [T, d], their pieces [T], and where each passage ends."""
    passage = np.repeat(np.arange(len(pieces)), [len(ids) for ids in pieces])
    ids = np.concatenate(pieces).astype(np.int64)
    rows = np.flatnonzero(_kept(ids, passage, rare))
    joined = tokens[0] if len(tokens) == 1 else np.concatenate(tokens)
    vectors = joined[rows].astype(np.float32, copy=False)
    ids, passage = ids[rows], passage[rows]
    kept = repeats.once(vectors, passage * (ids.max(initial=0) + 1) + ids, alike=alike)
    if not kept.all():
        vectors, ids, passage = vectors[kept], ids[kept], passage[kept]
    ends = np.cumsum(np.bincount(passage, minlength=len(pieces)))
    return vectors, ids.astype(np.int32), ends


def _rare(idf: Floats, form: Form) -> NDArray[np.bool_]:
    """Whether a piece is kept, and last, whether one never seen in training is."""
    return np.asarray(np.append(idf, idf.max()) > -np.log(form.common))


def _kept(ids: NDArray[np.int64], passage: NDArray[np.intp], rare: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which tokens are not of common pieces; all of a passage where nothing would be left of it."""
    kept = rare[np.minimum(ids, len(rare) - 1)]
    empty = np.bincount(passage, kept) == 0
    return np.asarray(kept | empty[passage])


def _stretch(turned: Floats, coded: NDArray[np.int8]) -> NDArray[np.uint8]:
    """The byte that brings coded vectors, in steps, back to the length they had in fine steps."""
    ratio = _lengths(turned) / np.maximum(nearest.FINE * _lengths(coded.astype(np.float32)), 1e-6)
    return np.clip(np.rint((ratio - LEAST_STRETCH) / STRETCH_STEP), 0, 255).astype(np.uint8)


def _lengths(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("td,td->t", vectors, vectors)))


def _piece_means(vectors: Floats, ids: Pieces, mean: Floats) -> tuple[Pieces, Floats]:
    """The pieces that have a mean, sorted, and how far their means [K + 1, d] are from the ``mean`` of all,
    after a row of zeros.
    """
    known, counts = np.unique(ids, return_counts=True)
    often = np.sort(np.argsort(-counts, kind="stable")[:MOST_PIECES])
    order = np.argsort(ids, kind="stable")
    first = np.searchsorted(ids[order], known)
    sums = np.stack([vectors[rows].sum(axis=0) for rows in np.split(order, first[1:])])
    means = ((sums - counts[:, None] * mean) / (counts + PRIOR)[:, None])[often].astype(np.float32)
    return known[often].astype(np.int32), np.concatenate([np.zeros((1, len(mean)), np.float32), means])


def _places(known: Pieces, ids: Pieces) -> NDArray[np.intp]:
    """Each piece's row in the table of means; 0 for one without."""
    at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.where(known[at] == ids, at + 1, 0)


def _narrowed(form: Form, width: int) -> Form:
    """The form, made smaller for narrow models so that ``dims`` <= d and subspaces divide it."""
    dims = min(form.dims, width)
    subspaces = max(m for m in range(1, min(form.subspaces, dims) + 1) if dims % m == 0)
    return replace(form, dims=dims, subspaces=subspaces)


def _form(numbers: list[float]) -> tuple[Form, float]:
    """The form and the scale. Version 0.1 knew no ``alike``: such a codec goes on keeping every repeat, so
    that all codes of its index are made in one way.
    """
    if len(numbers) > 5:
        raise FingerprintError(
            "E_FINGERPRINT",
            f"the token codec's form has {len(numbers)} numbers; this program reads up to 5",
            cure="update fingerpost, or compile into a new folder",
        )
    if len(numbers) < 4:
        raise _damaged(f"not a codec of token vectors: its form has {len(numbers)} numbers")
    dims, subspaces, common, *alike, scale = numbers
    return Form(int(dims), int(subspaces), common, alike[0] if alike else ALL_KEPT), scale


def _damaged(what: str) -> CorruptError:
    return CorruptError(
        "E_CORRUPT", what, cure="rebuild the index's token vectors with `fingerpost doctor --repair`"
    )
