"""Hints → what the network is trained towards."""
