"""torch, imported when it is first used: the core installs and serves without it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fingerpost.errors import missing_extra

Tensor = Any


class _Torch:
    """Stands for the module torch until somebody asks it for something.

    Raises MissingExtraError E_EXTRA, with the install command, where torch is not installed.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspect and doctest ask every object for these
            raise AttributeError(name)
        try:
            module = import_module("torch")
        except ImportError as error:
            raise missing_extra("train", "deep training") from error
        return getattr(module, name)


torch: Any = _Torch()


def require() -> None:
    """Raise MissingExtraError E_EXTRA where torch is not installed: before minutes are spent on the rest."""
    _ = torch.Tensor
