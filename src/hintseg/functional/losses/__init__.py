"""Losses on plain tensors."""
