"""How is a worker watched from outside?"""
