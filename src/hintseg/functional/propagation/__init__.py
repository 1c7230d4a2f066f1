"""Propagating labels inside one image or between images."""
