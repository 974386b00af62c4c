"""How is a whole store kept in one SQLite file?"""
