"""The encoder's network in torch: the weights of models/bert.py in, the same arrays out again.

It computes what models/graph.py builds in float32, over padded batches and with gradients in the upper
layers; the lower ones, and the word embeddings, stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.models.bert import Array, Bert, Layer
from fingerpost.route.deep.lazy import Tensor, torch

Weights = dict[str, Tensor]
"""Trained tensors by name, such as ``5.qkv`` or ``5.output_norm.0``: layer, field, part."""


def trainable(bert: Bert, depth: int) -> Weights:
    """Copies of the weights of the last ``depth`` layers, with gradients."""
    weights = {}
    for at in range(len(bert.layers) - depth, len(bert.layers)):
        for name, value in _parts(bert.layers[at]).items():
            weights[f"{at}.{name}"] = torch.tensor(value, requires_grad=True)
    return weights


def merged(bert: Bert, weights: Mapping[str, Tensor]) -> Bert:
    """The network with these weights in the place of its own."""
    layers = []
    for at, layer in enumerate(bert.layers):
        own = {name: weights.get(f"{at}.{name}") for name in _parts(layer)}
        layers.append(_rebuilt(layer, {name: value for name, value in own.items() if value is not None}))
    return replace(bert, layers=tuple(layers))


class Net:
    """A frozen network and the weights that are trained in its upper layers."""

    def __init__(self, bert: Bert, weights: Weights, *, pooling: str) -> None:
        self._shape, self._pooling, self.weights = bert.shape, pooling, weights
        self._words, self._positions = torch.from_numpy(bert.words), torch.from_numpy(bert.positions)
        self._norm = [torch.from_numpy(part) for part in bert.norm]
        self._frozen = [
            {name: torch.from_numpy(value) for name, value in _parts(layer).items()} for layer in bert.layers
        ]
        self._first = min((int(name.split(".")[0]) for name in weights), default=len(bert.layers))

    def vectors(self, texts: Sequence[NDArray[np.int32]]) -> Tensor:
        """Vectors [b, hidden], of length one, of texts given as word pieces with their special ones."""
        x, mask = self.states(texts)
        if self._pooling == "cls":
            pooled = x[:, 0]
        else:
            share = mask / mask.sum(dim=1, keepdim=True)
            pooled = (x * share[:, :, None]).sum(dim=1)
        return torch.nn.functional.normalize(pooled, dim=1)

    def states(self, texts: Sequence[NDArray[np.int32]]) -> tuple[Tensor, Tensor]:
        """The last layer's states [b, t, hidden] and the mask [b, t], 1.0 where a text has a word piece."""
        ids, mask = _padded(texts)
        keep = mask[:, None, None, :] > 0
        with torch.no_grad():
            x = self._normed(self._words[ids] + self._positions[: ids.shape[1]], self._norm)
            for at in range(self._first):
                x = self._layer(x, keep, self._frozen[at])
        for at in range(self._first, self._shape.layers):
            own = {name: self.weights.get(f"{at}.{name}", value) for name, value in self._frozen[at].items()}
            x = self._layer(x, keep, own)
        return x, mask

    def _layer(self, x: Tensor, keep: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        batch, length, hidden = x.shape
        heads = (batch, length, self._shape.heads, hidden // self._shape.heads)
        split = (x @ own["qkv"] + own["qkv_bias"]).split(hidden, dim=2)
        query, key, value = (part.view(heads).transpose(1, 2) for part in split)
        attend = torch.nn.functional.scaled_dot_product_attention
        mixed = attend(query, key, value, attn_mask=keep).transpose(1, 2).reshape(batch, length, hidden)
        mixed = x + mixed @ own["out"] + own["out_bias"]
        x = self._normed(mixed, [own["attention_norm.0"], own["attention_norm.1"]])
        inner = torch.nn.functional.gelu(x @ own["inner"] + own["inner_bias"])
        return self._normed(
            x + inner @ own["outer"] + own["outer_bias"], [own["output_norm.0"], own["output_norm.1"]]
        )

    def _normed(self, x: Tensor, norm: Sequence[Tensor]) -> Tensor:
        return torch.nn.functional.layer_norm(x, (x.shape[-1],), norm[0], norm[1], self._shape.epsilon)


def _padded(texts: Sequence[NDArray[np.int32]]) -> tuple[Tensor, Tensor]:
    """Word pieces [b, t] and their mask; what is padded is piece 0, which nobody attends to."""
    ids = np.zeros((len(texts), max(len(text) for text in texts)), np.int64)
    mask = np.zeros(ids.shape, np.float32)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1.0
    return torch.from_numpy(ids), torch.from_numpy(mask)


def _parts(layer: Layer) -> dict[str, Array]:
    """A layer's arrays by name, the two of a norm apart."""
    found: dict[str, Array] = {}
    for field in fields(layer):
        value = getattr(layer, field.name)
        several = {f"{field.name}.{at}": part for at, part in enumerate(value)}
        found |= several if isinstance(value, tuple) else {field.name: value}
    return found


def _rebuilt(layer: Layer, weights: Mapping[str, Tensor]) -> Layer:
    parts = {**_parts(layer), **{name: value.detach().numpy() for name, value in weights.items()}}
    changed: dict[str, Any] = {name: value for name, value in parts.items() if "." not in name}
    for name in ("attention_norm", "output_norm"):
        changed[name] = (parts[f"{name}.0"], parts[f"{name}.1"])
    return replace(layer, **changed)
