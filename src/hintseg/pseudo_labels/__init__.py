"""Labels that training learns from besides the hints: propagated, localized and completed ones."""
