"""Annotations of other tools, brought into a project: uploaded, read, looked at, then taken."""
