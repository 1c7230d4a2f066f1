"""Hints drawn by a program from dense masks, as people would give them."""
