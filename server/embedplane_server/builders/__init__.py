"""Exports become engines: compile, prove against the reference, measure, publish. The step itself is `step.build`."""
