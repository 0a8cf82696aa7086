"""Reranking: token vectors (``codec``, ``late``), features and the learned forest, spans, cross-encoder."""
