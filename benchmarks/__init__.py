"""How fast is it, measured where and how?"""
