"""The forms of hints: one file each, and one line in `by_name`."""
