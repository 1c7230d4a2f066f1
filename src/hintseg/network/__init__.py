"""Backbone, heads and the embedding network."""
