"""CACHE.md, proof 3: the protocol as a model whose every interleaving is looked at.

Written from CACHE.md, not from the code: each step has the name it has there. `state.py` says what there is,
`writing.py`, `agent.py` and `reading.py` who does what, `search.py` goes through all of it, `mutants.py` holds the
faults that must be found. `make explore` looks at the large configurations.
"""
