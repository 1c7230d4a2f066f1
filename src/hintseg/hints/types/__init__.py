"""The types of hints: one file each, and one line in `registry`."""
