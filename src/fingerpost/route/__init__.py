"""The router: addresses, leaf scores, docid memory, plans.

address.py      lays chunks out in leaves and names them       describe.py   says what a leaf is about
statistics.py   what a leaf's vectors say of a query           router.py     scores leaves, chooses the plan
graph.py        nearest chunks, kept as chunks come and go     pack.py       artifacts as checked bytes
"""
