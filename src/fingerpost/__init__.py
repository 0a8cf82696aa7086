"""fingerpost: a search index that learns where to look, and shows its evidence.

    import fingerpost

    index = fingerpost.compile("docs/", to="kb")
    for span in index.search("why does login fail with E4012?"):
        print(span.score, span.doc_id, span.start, span.end, span.text)
    answer = index.ask("How do I rotate the signing key?")

The public names are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fingerpost.config import Settings
    from fingerpost.errors import FingerpostError
    from fingerpost.index import Index, compile, doctor, open, restore
    from fingerpost.records import Answer, Document, Pair, Plan, Report, Span, Trace

__version__ = "0.1.0"

_HOMES = {
    "Answer": "records",
    "Document": "records",
    "FingerpostError": "errors",
    "Index": "index",
    "Pair": "records",
    "Plan": "records",
    "Report": "records",
    "Settings": "config",
    "Span": "records",
    "Trace": "records",
    "compile": "index",
    "doctor": "index",
    "open": "index",
    "restore": "index",
}

__all__ = [
    "Answer",
    "Document",
    "FingerpostError",
    "Index",
    "Pair",
    "Plan",
    "Report",
    "Settings",
    "Span",
    "Trace",
    "compile",
    "doctor",
    "open",
    "restore",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fingerpost' has no attribute {name!r}")
    return getattr(import_module(f"fingerpost.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
