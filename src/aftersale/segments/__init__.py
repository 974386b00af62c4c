"""Whom does it concern?"""
