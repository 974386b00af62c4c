"""How do programs talk to an installation?"""
