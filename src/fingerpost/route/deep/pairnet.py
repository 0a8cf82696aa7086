"""A cross-encoder that starts as late interaction: query and passage pass through the network together.

    logit = scale · Σᵢ shareᵢ · maxⱼ cos(queryᵢ, passageⱼ) + first · state₀

Its states already compare the two before anything is trained, so a few thousand examples move it from there
instead of teaching it from nothing. The same head stands in models/graph.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.models.bert import Bert
from fingerpost.models.graph import PairHead
from fingerpost.route.deep.lazy import Tensor, torch
from fingerpost.route.deep.net import Net, Weights, trainable

START_SCALE = 10.0
HEAD = ("head.share", "head.first", "head.scale")


@dataclass(frozen=True, slots=True)
class Pair:
    """What the network reads: ``ids`` int32 [t] with special pieces, the passage from ``passage`` on."""

    ids: NDArray[np.int32]
    passage: int


class PairNet:
    """The network and its head; ``weights`` are what is trained."""

    def __init__(self, bert: Bert, depth: int) -> None:
        hidden = bert.shape.hidden
        self.weights: Weights = trainable(bert, depth)
        starts = (np.zeros(hidden), np.zeros(hidden), np.full(1, START_SCALE))
        for name, start in zip(HEAD, starts, strict=True):
            self.weights[name] = torch.tensor(start, dtype=torch.float32, requires_grad=True)
        body = {name: value for name, value in self.weights.items() if name not in HEAD}
        self._net = Net(bert, body, pooling="mean")

    def logits(self, pairs: Sequence[Pair]) -> Tensor:
        """One number a pair: [b]."""
        states, mask = self._net.states([pair.ids for pair in pairs])
        share, first, scale = (self.weights[name] for name in HEAD)
        unit = torch.nn.functional.normalize(states, dim=2)
        places = torch.arange(states.shape[1])
        begins = torch.tensor([pair.passage for pair in pairs])[:, None]
        query = (places[None] < begins).float() * mask
        passage = (places[None] >= begins).float() * mask
        alike = unit @ unit.transpose(1, 2) + 4 * (passage - 1)[:, None, :]
        best = alike.amax(dim=2)
        weight = torch.softmax(states @ share + (query - 1) * 1e4, dim=1)
        return scale * (best * weight).sum(dim=1) + states[:, 0] @ first

    def head(self) -> PairHead:
        """The head as it stands, for export."""
        share, first, scale = (self.weights[name].detach().numpy() for name in HEAD)
        return PairHead(share, first, float(scale[0]))
