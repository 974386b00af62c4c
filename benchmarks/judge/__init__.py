"""How good are the scores on real shops' pasts, and is that good enough?

Each module beside this one judges a kind of score: it has `rows`, which returns a `Row` for each
method on each data set. A new kind is a new module, named in `__main__`.
"""
