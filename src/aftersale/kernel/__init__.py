"""Which few words does every stage use?"""
