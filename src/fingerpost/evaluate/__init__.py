"""Measures, significance, attribution of misses, reports."""
