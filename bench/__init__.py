"""Benchmarks: one script a published number."""
