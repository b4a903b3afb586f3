"""Pure functions from a model and settings to manifests, one module per kind."""
