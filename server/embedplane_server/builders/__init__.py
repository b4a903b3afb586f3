"""Exports become engines: compile, prove against the reference, measure, publish. The step is `build.build`."""
