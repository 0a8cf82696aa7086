"""Learning: pairs become a lesson, which held-out questions accept or refuse."""
