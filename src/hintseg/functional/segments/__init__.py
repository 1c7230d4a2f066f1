"""Segments: spherical k-means, over-segmentation, prototypes, memory."""
