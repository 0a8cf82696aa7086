"""Index: opens the rooms and passes records between them."""

from fingerpost.index.facade import Index, compile, doctor, open

__all__ = ["Index", "compile", "doctor", "open"]
