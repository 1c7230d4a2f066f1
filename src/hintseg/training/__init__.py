"""The loop, its data, and the stages around it."""
