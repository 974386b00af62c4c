"""What connects the stages to the world outside?"""
