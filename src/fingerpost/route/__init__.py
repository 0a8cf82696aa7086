"""The router: addresses, leaf scores, docid memory, plans."""
