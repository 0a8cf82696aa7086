"""Corpus compiler: read, normalize, mask, chunk, contextualize, pair."""
