"""The module chain as a portable graph, and fp32 reference vectors. The only importer of torch; see `step.export`."""
