"""Images of scikit-image with scribbles drawn for this package."""
