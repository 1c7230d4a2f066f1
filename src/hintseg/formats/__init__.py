"""Annotations of other tools ↔ data set folders; one file a format, one line in `registry`."""
