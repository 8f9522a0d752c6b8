"""CACHE.md, proof 4: readers and writers in processes of their own against real servers, and faults at random.

Versions only grow. Each reader notes which version of a thing has been answered for before it asks: what it gets is
that one or a later one. `test_hammer.py` runs it for seconds, `make hammer` for as long as you like.

- `board.py`: what its processes share
- `reader.py`, `writer.py`: the clients; `plan.py`: what they are told
- `worlds.py`: databases, Redis, servers, hosts; `rows.py`: what is in them
- `unprotected.py`: their app, with a switch for the control
- `nemesis.py`: the faults
- `run.py`: all of it together; `report.py`: what came of it
"""
