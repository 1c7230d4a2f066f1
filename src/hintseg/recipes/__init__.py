"""Named recipes: every constant in one place, with its source."""
