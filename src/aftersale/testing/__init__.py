"""With what can an installation, or a part somebody else wrote, be tried out?"""
