"""How do facts come in?"""
