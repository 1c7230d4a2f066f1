"""Slow twins: the formulas written as they read, with loops."""
