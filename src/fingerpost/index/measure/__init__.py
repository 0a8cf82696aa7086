"""Measuring: how good the answers are, where the misses went, and which way of searching fits."""
