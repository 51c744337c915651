"""Settings: strict sections, variants told apart by name, overrides, YAML."""
