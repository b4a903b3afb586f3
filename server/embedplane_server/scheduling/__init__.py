"""From admitted requests to batches for the engine: lanes, token budget, length grouping, cancellation.

Knows neither HTTP nor an engine library: it is given an `Engine` and calls it from one thread of its own.
"""
