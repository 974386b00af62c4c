"""How good are the scores on real shops' pasts, and is that good enough?

Each module beside this one judges a kind of score: it has `figures`, which returns what it found
about a shop. A new kind is a new module, named in `__main__`.
"""
