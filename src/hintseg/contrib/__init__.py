"""Published methods that no default uses."""
