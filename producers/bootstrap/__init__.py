"""How the environment of this checkout is found and made; see ``environment.py``.

It runs under any Python from 3.6 on, whatever ``python`` is, and needs nothing beside
the standard library.
"""
