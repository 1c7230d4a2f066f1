"""Benchmarks as they are distributed → data set folders."""
