"""May we?"""
