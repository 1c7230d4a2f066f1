"""Spreading labels inside one image or between images."""
