"""Finding: from a question to ranked evidence and an answer."""
