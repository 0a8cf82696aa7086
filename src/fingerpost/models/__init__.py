"""The encoder and the language model wire, and how their bytes are checked."""
