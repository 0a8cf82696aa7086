"""The learned fusion: LambdaMART trees over the features, kept as plain arrays.

The trees add to a straight line (``line``) that is held near the untrained sum, so a forest that has learned
little changes little. Training is LightGBM's (``learn``); what is served is numpy, all trees walked at once.
Source: LambdaMART, Burges 2010, MSR-TR-2010-82.

    >>> leaf = {"leaf_value": 2.0, "leaf_count": 1}
    >>> root = {"split_feature": 1, "threshold": 0.5, "default_left": True, "missing_type": "NaN",
    ...         "left_child": leaf | {"leaf_value": -1.0}, "right_child": leaf}
    >>> names = ("sum_z", "near")
    >>> forest = Forest.from_trees([root], names, line=Line.of(names, "sum_z", 1.0))
    >>> forest.predict(np.array([[0.1, 0.2], [0.1, 0.8], [0.1, np.nan]], np.float32)).round(3).tolist()
    [-0.9, 2.1, -0.9]
    >>> [parts] = forest.explain(np.array([[0.1, 0.8]], np.float32))
    >>> {name: round(part, 3) for name, part in parts.items()}
    {'bias': 0.5, 'near': 1.5, 'sum_z': 0.1}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fingerpost.errors import CorruptError, UsageError
from fingerpost.rerank.line import Line

Table = NDArray[np.float32]
Tree = Mapping[str, Any]

START = "sum_z"
_PLANES: dict[str, type[np.generic]] = {
    "feature": np.int32,
    "threshold": np.float64,
    "value": np.float64,
    "missing_left": np.bool_,
    "expected": np.float64,
}


@dataclass(frozen=True, slots=True)
class Forest:
    """Arrays [trees, nodes], each tree's root at 0; a leaf points at itself.

    A row goes to ``children[..., 0]`` where its feature is <= ``threshold``, or is missing (NaN) and
    ``missing_left``. ``value`` is what a leaf adds to the score, ``expected`` a node's mean over training.
    """

    names: tuple[str, ...]
    line: Line
    depth: int
    children: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    expected: NDArray[np.float64]

    def predict(self, rows: Table) -> NDArray[np.float64]:
        """Scores of rows [n, F]: the line's and one leaf a tree.

        Raises UsageError (E_RANGE) where the rows have another number of features.
        """
        _check_width(rows.shape[1], self.names)
        (trees, nodes), count = self.feature.shape, len(rows)
        roots = np.arange(trees) * nodes
        steps = (self.children + roots[:, None, None]).astype(np.intp).ravel()
        ends = steps[::2] == np.arange(trees * nodes)
        feature, threshold = self.feature.ravel().astype(np.intp), self.threshold.ravel()
        missing_right, flat = ~self.missing_left.ravel(), rows.astype(np.float64).ravel()
        leaf = np.repeat(roots, count)
        under_way, at = np.arange(trees * count), leaf.copy()
        row = np.tile(np.arange(count) * rows.shape[1], trees)
        for _ in range(self.depth):
            given = np.take(flat, np.take(feature, at, mode="clip") + row, mode="clip")
            right = given > np.take(threshold, at, mode="clip")
            right |= np.isnan(given) & np.take(missing_right, at, mode="clip")
            at = np.take(steps, 2 * at + right, mode="clip")
            leaf[under_way] = at
            go_on = np.flatnonzero(~np.take(ends, at, mode="clip"))  # most paths are short
            at, under_way, row = at[go_on], under_way[go_on], row[go_on]
        total: NDArray[np.float64] = self.value.ravel()[leaf].reshape(trees, count).sum(axis=0)
        return total + self.line.scores(rows)

    def reads(self, name: str) -> bool:
        """Whether any score can hang on a feature."""
        if name not in self.names:
            return False
        at = self.names.index(name)
        inner = self.children[..., 0] != np.arange(self.children.shape[1])
        return bool(self.line.weights[at] or (inner & (self.feature == at)).any())

    def explain(self, rows: Table) -> list[dict[str, float]]:
        """What each feature added to the scores of rows [n, F], largest first; with ``bias`` they sum to the
        row's score.

        Along every path a split is credited with the change of the node's mean (Saabas' attribution).
        """
        _check_width(rows.shape[1], self.names)
        count, width = rows.shape
        first = float(self.expected[:, 0].sum())
        trees, each = np.arange(len(self.feature)), np.arange(count)[:, None]
        node = np.zeros((count, len(trees)), np.int32)
        added = np.zeros(count * width)
        for _ in range(self.depth):
            feature = self.feature[trees, node]
            given = rows[each, feature].astype(np.float64)
            unknown = ~self.missing_left[trees, node]
            right = np.where(np.isnan(given), unknown, given > self.threshold[trees, node])
            then = self.children[trees, node, right.astype(np.int8)]
            gain = self.expected[trees, then] - self.expected[trees, node]
            added += np.bincount((feature + each * width).ravel(), gain.ravel(), count * width)
            node = then
        table = added.reshape(count, width) + self.line.parts(rows)
        return [{"bias": first} | self._named(row) for row in table]

    def _named(self, added: NDArray[np.float64]) -> dict[str, float]:
        order = np.argsort(-np.abs(added), kind="stable")
        return {self.names[at]: float(added[at]) for at in order.tolist() if added[at]}

    def to_bytes(self) -> bytes:
        """The forest as a safetensors file."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in (*_PLANES, "children")}
        names = np.frombuffer(json.dumps(self.names).encode(), np.uint8)
        line = {"line_weights": self.line.weights, "line_worst": self.line.worst}
        depth = np.array([self.depth], np.float64)
        return bytes(save(arrays | line | {"names": names, "numbers": depth}))

    @classmethod
    def from_bytes(cls, data: bytes) -> Forest:
        """The forest that ``to_bytes`` wrote. Raises CorruptError (E_CORRUPT) for anything else."""
        try:
            arrays = load(data)
            names = tuple(json.loads(arrays.pop("names").tobytes()))
            *start, depth = arrays.pop("numbers").tolist()
            line = _line(arrays, names, start)
            forest = cls(names=names, line=line, depth=int(depth), **arrays)
            _check_shape(forest)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CorruptError(
                "E_CORRUPT",
                f"not a learned fusion: {error}",
                cure="learn again, or roll back to an earlier generation",
            ) from error
        return forest

    @classmethod
    def from_trees(
        cls, roots: Sequence[Tree], names: Sequence[str], *, line: Line, share: float = 1.0
    ) -> Forest:
        """The forest of LightGBM's ``dump_model()``: its trees' ``tree_structure``, numeric splits only. Each
        tree adds its ``share``: 1 / m makes the mean of m models from all their trees.
        """
        flat = [_flatten(root) for root in roots]
        shape = (len(flat), max((len(tree) for tree in flat), default=1))
        children = np.broadcast_to(np.arange(shape[1], dtype=np.int32)[None, :, None], (*shape, 2)).copy()
        planes = {name: np.zeros(shape, kind) for name, kind in _PLANES.items()}
        for tree, nodes in enumerate(flat):
            for node, content in enumerate(nodes):
                children[tree, node] = content.children
                for name, plane in planes.items():
                    plane[tree, node] = getattr(content, name)
        planes |= {name: planes[name] * share for name in ("value", "expected")}
        depth = max((_depth(root) for root in roots), default=0)
        return cls(names=tuple(names), line=line, depth=depth, children=children, **planes)


@dataclass(frozen=True, slots=True)
class _Node:
    children: tuple[int, int]
    expected: float
    value: float = 0.0
    feature: int = 0
    threshold: float = 0.0
    missing_left: bool = False


def _flatten(root: Tree, at: int = 0) -> list[_Node]:
    """The nodes of a tree in pre-order, root first, which stands at ``at``."""
    if "leaf_value" in root:
        return [_Node((at, at), root["leaf_value"], value=root["leaf_value"])]
    left = _flatten(root["left_child"], at + 1)
    right = _flatten(root["right_child"], at + 1 + len(left))
    both = _count(root["left_child"]), _count(root["right_child"])
    mean = (left[0].expected * both[0] + right[0].expected * both[1]) / max(sum(both), 1)
    children = at + 1, at + 1 + len(left)
    return [
        _Node(children, mean, 0.0, root["split_feature"], root["threshold"], _goes_left(root)),
        *left,
        *right,
    ]


def _goes_left(root: Tree) -> bool:
    """A missing value: LightGBM's default where training saw some, else it is taken for zero."""
    return bool(root["default_left"] if root["missing_type"] == "NaN" else root["threshold"] >= 0)


def _count(root: Tree) -> int:
    return int(root.get("leaf_count", root.get("internal_count", 0)))


def _depth(root: Tree) -> int:
    return 0 if "leaf_value" in root else 1 + max(_depth(root["left_child"]), _depth(root["right_child"]))


def _check_width(width: int, names: Sequence[str]) -> None:
    if width != len(names):
        raise UsageError(
            "E_RANGE",
            f"the learned fusion reads {len(names)} features, not {width}",
            cure="learn again: it was trained by another version",
        )


def _line(arrays: dict[str, NDArray[Any]], names: Sequence[str], start: Sequence[float]) -> Line:
    """The line of a stored forest; those of before started from so many times the untrained sum."""
    if start:
        return Line.of(names, START, *start)
    return Line(arrays.pop("line_weights"), arrays.pop("line_worst"))


def _check_shape(forest: Forest) -> None:
    shape = forest.feature.shape
    nodes = np.arange(shape[1])[None, :, None]
    alike = all(getattr(forest, name).shape == shape for name in _PLANES)
    alike &= forest.line.weights.shape == forest.line.worst.shape == (len(forest.names),)
    if not alike or forest.children.shape != (*shape, 2) or START not in forest.names:
        raise ValueError("its arrays do not fit together")
    if not 0 <= forest.depth <= shape[1] or forest.feature.min(initial=0) < 0:
        raise ValueError("its depth or a feature is out of range")
    if forest.feature.max(initial=0) >= len(forest.names) or (forest.children >= shape[1]).any():
        raise ValueError("a node points outside")
    if (forest.children < nodes).any():
        raise ValueError("a node points back")
