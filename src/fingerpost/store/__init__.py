"""The evidence store: ledger, lexical index, sorted vectors, generations."""
