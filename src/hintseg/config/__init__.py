"""Configuration: `schema` says what can be set, `load` reads it, `aliases` knows earlier names."""
