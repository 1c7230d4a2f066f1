"""Affinities behind two operations, W S and W 1."""
