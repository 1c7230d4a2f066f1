"""Photographs of scikit-image with scribbles drawn for this package."""
