"""Index: opens the rooms and passes records between them."""

from fingerpost.index.facade import Index, compile, open

__all__ = ["Index", "compile", "open"]
