"""Who is it now?"""
