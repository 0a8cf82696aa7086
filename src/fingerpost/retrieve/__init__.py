"""The legs of retrieval and their fusion."""
