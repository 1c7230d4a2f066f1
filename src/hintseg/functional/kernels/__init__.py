"""CUDA kernels of the contrastive loss and of k-means, and the plain paths they stand in for."""
