"""Checkpoints: a run interrupted goes on from its last pass and ends in the same bytes.

A checkpoint is one safetensors file (nothing is pickled) that names what it belongs to; one of another run,
or a damaged one, is ignored with a warning and written anew.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from fingerpost.errors import FingerpostError
from fingerpost.route.deep.lazy import Tensor, torch
from fingerpost.route.pack import Arrays, pack, unpack


class Net(Protocol):
    """What is trained."""

    @property
    def weights(self) -> dict[str, Tensor]:
        """Tensors by name."""
        ...


class Trainer(Protocol):
    """A run between steps."""

    done: int
    optimiser: Any

    @property
    def net(self) -> Net:
        """Its network."""
        ...


_log = logging.getLogger(__name__)
_MOMENTS = ("exp_avg", "exp_avg_sq")


def save(path: Path, trainer: Trainer, *, key: str) -> None:
    """Write the trainer's weights, moments and step at ``path``: all or nothing."""
    arrays: Arrays = {}
    for name, value in trainer.net.weights.items():
        arrays[name] = value.detach().numpy()
        for moment in _MOMENTS:
            if moment in trainer.optimiser.state[value]:
                arrays[f"{moment}/{name}"] = trainer.optimiser.state[value][moment].numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(pack("checkpoint", arrays, {"key": key, "done": trainer.done}))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def resume(path: Path, trainer: Trainer, *, key: str) -> bool:
    """Put the trainer where the checkpoint at ``path`` stands; False where there is none for this run."""
    if not path.is_file():
        return False
    try:
        arrays, facts = unpack("checkpoint", path.read_bytes())
    except FingerpostError as error:
        _log.warning("the checkpoint %s is not used: %s", path, error)
        return False
    if facts.get("key") != key or not trainer.net.weights.keys() <= arrays.keys():
        _log.warning("the checkpoint %s belongs to another run and is written anew", path)
        return False
    trainer.done = cast(int, facts["done"])
    _fill(trainer, arrays)
    return True


def _fill(trainer: Trainer, arrays: Arrays) -> None:
    with torch.no_grad():
        for name, value in trainer.net.weights.items():
            value.copy_(torch.from_numpy(np.array(arrays[name])))
            state = trainer.optimiser.state[value]
            state["step"] = torch.tensor(float(trainer.done))
            for moment in _MOMENTS:
                state[moment] = torch.from_numpy(np.array(arrays[f"{moment}/{name}"]))
