"""Ground: an answer whose every statement cites a span verified against the store, or a refusal that says
why.
"""
