"""What has the merchant written, and which of it is in force?"""
