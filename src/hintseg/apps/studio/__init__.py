"""A local page to draw hints, train and look at masks."""
