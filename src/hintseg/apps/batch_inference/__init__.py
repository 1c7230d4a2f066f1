"""Many images: where they are, where their masks go, and who computes them."""
