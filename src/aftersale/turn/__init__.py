"""What do we do?"""
