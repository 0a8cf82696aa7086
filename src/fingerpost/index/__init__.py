"""Index: opens the rooms and passes records between them."""

from fingerpost.index.facade import Index
from fingerpost.index.opening import compile, doctor, open, restore

__all__ = ["Index", "compile", "doctor", "open", "restore"]
