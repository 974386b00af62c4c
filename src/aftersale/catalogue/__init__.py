"""What do we sell?"""
