"""Deep training (extra ``train``): what is trained with torch and served without it.

``queries.train`` fine-tunes the query encoder, ``artifact`` is what an index keeps of it.
"""
