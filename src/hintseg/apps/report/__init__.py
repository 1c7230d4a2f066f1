"""Images and pages."""
