"""How does a message reach a customer through a mail server (RFC 5321)?"""
