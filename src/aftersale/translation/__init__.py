"""What did a sender mean?"""
