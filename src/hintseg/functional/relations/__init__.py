"""The four relationships between pixels and segments."""
