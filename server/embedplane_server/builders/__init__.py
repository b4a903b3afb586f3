"""Exports become engines: compile, prove against the reference, measure, publish."""
