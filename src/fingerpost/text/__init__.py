"""Words, identifiers, sentences and offset arithmetic."""
