"""Token vectors in few bytes: rotated, cut into subspaces, each told by the nearest of 256 centroids.

    token vectors [t, d] -> drop pieces that most passages hold -> average adjacent pairs
        -> subtract the mean, rotate onto ``dims`` principal directions, dealt out so that every
           subspace holds as much variance -> one byte a subspace

Subtracting the mean adds the same to a query token's similarity with every passage token, so that no
ranking changes. Sources: product quantisation, doi:10.1109/TPAMI.2010.57; eigenvalue allocation,
doi:10.1109/TPAMI.2013.240 (parametric OPQ); pooling, arXiv:2409.14683.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fingerpost.errors import CorruptError, InputError

Floats = NDArray[np.float32]
Pieces = NDArray[np.int32]

CENTROIDS = 256
SAMPLE = 12_800  # vectors that k-means sees: 50 a centroid; twice as many changed no ranking
ROUNDS = 8
_PARTS = frozenset({"mean", "rotation", "codebook", "scale", "idf", "form"})


@dataclass(frozen=True, slots=True)
class Form:
    """What a code looks like. ``common``: pieces in a larger share of passages are dropped."""

    dims: int = 192
    subspaces: int = 32
    pool: int = 2
    common: float = 1.0


@dataclass(frozen=True, slots=True)
class Codec:
    """A trained codec: ``rotation`` [d, dims], ``codebook`` int8 [subspaces, 256, dims / subspaces].

    ``scale`` is what one step of the codebook is worth; ``idf`` [vocabulary] weighs word pieces.
    """

    form: Form
    mean: Floats
    rotation: Floats
    codebook: NDArray[np.int8]
    scale: float
    idf: Floats

    @classmethod
    def train(
        cls, tokens: Sequence[Floats], pieces: Sequence[Pieces], *, seed: int = 0, form: Form | None = None
    ) -> Codec:
        """A codec for passages like the sample: ``tokens[i]`` [t_i, d], ``pieces[i]`` [t_i] word pieces.

        A few thousand passages are enough. Raises InputError (E_EMPTY) without a single token.
        """
        idf = inverse_frequency(pieces)
        form = _fitting(form or Form(), tokens)
        kept = [_pooled(_kept(t, p, idf, form), form.pool) for t, p in zip(tokens, pieces, strict=True)]
        vectors = np.concatenate(kept).astype(np.float32)
        rng = np.random.default_rng(seed)
        sample = vectors[np.sort(rng.permutation(len(vectors))[: 4 * SAMPLE])]
        mean = sample.mean(axis=0)
        rotation = _rotation(sample - mean, form)
        rotated = (sample - mean) @ rotation
        books = [_centroids(part, rng) for part in np.split(rotated, form.subspaces, axis=1)]
        book = np.stack(books)
        scale = float(np.abs(book).max() / 127) or 1.0
        return cls(form, mean, rotation, np.rint(book / scale).astype(np.int8), scale, idf)

    def encode(self, tokens: Sequence[Floats], pieces: Sequence[Pieces]) -> list[bytes]:
        """One code a passage, ``subspaces`` bytes a kept token pair; empty for a passage without tokens."""
        kept = [
            _pooled(_kept(t, p, self.idf, self.form), self.form.pool)
            for t, p in zip(tokens, pieces, strict=True)
        ]
        ends = np.cumsum([len(vectors) for vectors in kept])
        flat = np.concatenate([*kept, np.empty((0, len(self.mean)), np.float32)]).astype(np.float32)
        codes = self._nearest(np.asarray((flat - self.mean) @ self.rotation, np.float32))
        return [part.tobytes() for part in np.split(codes, ends)[:-1]]

    def decode(self, codes: Sequence[bytes]) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Rotated vectors [T, dims] in steps of ``scale``; where each passage begins, and the end [n + 1].

        Raises CorruptError (E_CORRUPT) where a code is not a whole number of vectors long.
        """
        width = self.form.subspaces
        lengths = np.array([len(code) for code in codes], np.int64)
        if (lengths % width).any():
            at = int(np.flatnonzero(lengths % width)[0])
            raise CorruptError(
                "E_CORRUPT",
                f"a token code of {lengths[at]} bytes is not a multiple of {width}",
                cure="rebuild the index's token vectors with `fingerpost doctor --repair`",
            )
        rows = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, width)
        flat = self.codebook.reshape(width * CENTROIDS, -1)
        at_book = rows.astype(np.intp) + np.arange(width) * CENTROIDS
        vectors = np.take(flat, at_book, axis=0, mode="clip").reshape(len(rows), self.form.dims)
        return vectors, np.concatenate([[0], np.cumsum(lengths // width)])

    def to_bytes(self) -> bytes:
        """The codec as a safetensors file."""
        form = np.array([self.form.dims, self.form.subspaces, self.form.pool, self.form.common], np.float64)
        parts = {"mean": self.mean, "rotation": self.rotation, "codebook": self.codebook, "idf": self.idf}
        scale = np.array([self.scale], np.float64)
        return bytes(
            save(
                {name: np.ascontiguousarray(part) for name, part in parts.items()}
                | {"form": form, "scale": scale}
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Codec:
        """The codec that ``to_bytes`` wrote. Raises CorruptError (E_CORRUPT) for anything else."""
        try:
            parts = load(data)
        except (SafetensorError, ValueError) as error:
            raise _not_a_codec(str(error)) from error
        if set(parts) != _PARTS:
            raise _not_a_codec(f"it holds {sorted(parts)}")
        dims, subspaces, pool = (int(number) for number in parts["form"][:3])
        form = Form(dims, subspaces, pool, float(parts["form"][3]))
        if parts["codebook"].shape != (subspaces, CENTROIDS, dims // max(subspaces, 1)):
            raise _not_a_codec(f"its codebook has shape {parts['codebook'].shape}")
        return cls(
            form, parts["mean"], parts["rotation"], parts["codebook"], float(parts["scale"][0]), parts["idf"]
        )

    def _nearest(self, rotated: Floats) -> NDArray[np.uint8]:
        codes = np.empty((len(rotated), self.form.subspaces), np.uint8)
        for at, part in enumerate(np.split(rotated, self.form.subspaces, axis=1)):
            codes[:, at] = _assign(part, self.codebook[at].astype(np.float32) * np.float32(self.scale))
        return codes


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


def _kept(tokens: Floats, pieces: Pieces, idf: Floats, form: Form) -> Floats:
    """Tokens without the common pieces; all of them where nothing would be left."""
    if form.common >= 1 or not len(tokens):
        return tokens
    rare = weights_of(pieces, idf) > -np.log(form.common)
    return tokens[rare] if rare.any() else tokens


def weights_of(pieces: Pieces, idf: Floats) -> Floats:
    """The idf of each piece; a piece never seen in training is as rare as the rarest.

    >>> weights_of(np.array([1, 99], np.int32), np.array([0.0, 0.5], np.float32)).tolist()
    [0.5, 0.5]
    """
    known = pieces < len(idf)
    return np.where(known, idf[np.where(known, pieces, 0)], idf.max()).astype(np.float32)


def _pooled(tokens: Floats, pool: int) -> Floats:
    """Unit means of every ``pool`` adjacent tokens."""
    if pool == 1 or not len(tokens):
        return tokens
    means = np.add.reduceat(tokens.astype(np.float32), np.arange(0, len(tokens), pool), axis=0)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return (means / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _fitting(form: Form, tokens: Sequence[Floats]) -> Form:
    """The form, made smaller for narrow models so that ``dims`` <= d and subspaces divide it."""
    if not sum(map(len, tokens)):
        raise InputError("E_EMPTY", "no token vectors to train on", cure="give passages with words in them")
    width = tokens[0].shape[1]
    dims = min(form.dims, width)
    subspaces = max(m for m in range(1, min(form.subspaces, dims) + 1) if dims % m == 0)
    return Form(dims, subspaces, form.pool, form.common)


def _rotation(centred: Floats, form: Form) -> Floats:
    """Principal directions [d, dims], dealt to the subspaces so that their variances' products are alike."""
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    order = np.argsort(-values, kind="stable")[: form.dims]
    size = form.dims // form.subspaces
    logs = np.log(np.maximum(values[order], 1e-12))
    logs -= logs.min()  # every direction adds, so that the fullest subspace is never the emptiest
    held: list[list[int]] = [[] for _ in range(form.subspaces)]
    weight = np.zeros(form.subspaces)
    for at, log in zip(order, logs, strict=True):
        free = [m for m in range(form.subspaces) if len(held[m]) < size]
        target = min(free, key=lambda m: weight[m])
        held[target].append(int(at))
        weight[target] += log
    return np.ascontiguousarray(vectors[:, np.concatenate(held).astype(np.intp)], dtype=np.float32)


def _centroids(vectors: Floats, rng: np.random.Generator) -> Floats:
    """256 centroids by Lloyd's rounds; a centroid that nothing is near stays where it was."""
    sample = vectors[rng.permutation(len(vectors))[:SAMPLE]]
    centroids = sample[np.arange(CENTROIDS) % len(sample)].copy()
    for _ in range(ROUNDS):
        nearest = _assign(sample, centroids)
        counts = np.bincount(nearest, minlength=CENTROIDS)
        for dim in range(sample.shape[1]):
            sums = np.bincount(nearest, weights=sample[:, dim], minlength=CENTROIDS)
            centroids[:, dim] = np.where(counts, sums / np.maximum(counts, 1), centroids[:, dim])
    return centroids


def _assign(vectors: Floats, centroids: Floats) -> NDArray[np.intp]:
    half_norms = (centroids * centroids).sum(axis=1) / 2
    nearest: NDArray[np.intp] = np.argmax(vectors @ centroids.T - half_norms, axis=1)
    return nearest


def _not_a_codec(detail: str) -> CorruptError:
    return CorruptError(
        "E_CORRUPT",
        f"not a codec of token vectors: {detail}",
        cure="rebuild the index's token vectors with `fingerpost doctor --repair`",
    )
