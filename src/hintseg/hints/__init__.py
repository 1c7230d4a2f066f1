"""Partial annotations: what a person drew, read from and written to the folder format."""
