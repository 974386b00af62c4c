"""Which pages does the merchant open, and which does the customer?"""
