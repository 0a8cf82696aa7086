"""Corpus compiler: read, normalize, mask, chunk, contextualize, pair.

    from fingerpost.compiler import chunk, pairs, prepare, read

    for item in read.sources(["docs/"], settings):          # Document | Rejection
        document = prepare(item, settings)                  # normalized and masked, offsets kept
        chunks = chunk.split(document, count=encoder, settings=settings)

Nothing is loaded before it is used: the parsing processes start from this package and must start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fingerpost.compiler.clean import prepare
    from fingerpost.compiler.policy import policy_digest

__all__ = ["policy_digest", "prepare"]


def __getattr__(name: str) -> object:
    if name == "prepare":
        from fingerpost.compiler.clean import prepare

        return prepare
    if name == "policy_digest":
        from fingerpost.compiler.policy import policy_digest

        return policy_digest
    raise AttributeError(f"module 'fingerpost.compiler' has no attribute {name!r}")
