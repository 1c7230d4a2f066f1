"""Segments: spherical k-means, superpixels, prototypes, memory bank."""
