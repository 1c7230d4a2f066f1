"""Masks in seconds: a small head on frozen features that are computed once."""
