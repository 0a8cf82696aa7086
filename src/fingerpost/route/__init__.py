"""The router: addresses, leaf scores, docid memory, plans.

address.py      lays chunks out in leaves and names them       describe.py   says what a leaf is about
statistics.py   what a leaf's vectors say of a query           router.py     scores leaves, chooses the plan
train.py        the leaf head                                  graph.py      nearest chunks, kept up to date
pairs.py        training pairs: checked, grouped, folded       descent.py    softmax training in numpy
memory.py       query map and document rows                    gate.py       how far they may move
calibrate.py    probabilities, scope, shares                   drift.py      audits, and when to train again
kmeans.py       balanced clusters                              pack.py       artifacts as checked bytes
"""
