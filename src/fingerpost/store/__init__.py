"""store: ledger, lexical index, sorted vector slices, token codes, the fresh tail, generations."""

from fingerpost.store.check import Finding
from fingerpost.store.filters import Filter
from fingerpost.store.live import Standing
from fingerpost.store.permits import Allow
from fingerpost.store.publish import Layout
from fingerpost.store.puts import PutResult
from fingerpost.store.snapshot import Snapshot
from fingerpost.store.store import Store

__all__ = ["Allow", "Filter", "Finding", "Layout", "PutResult", "Snapshot", "Standing", "Store"]
