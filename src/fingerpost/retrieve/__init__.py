"""Retrieve: BM25 over everything, dense search where the plan says, neighbours, memory; then fusion.

``legs.gather`` finds the candidates; ``fuse`` turns the legs' scores into one, and says how.
"""
