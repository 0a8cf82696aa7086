"""Taking in: documents become chunks, vectors and a generation."""
