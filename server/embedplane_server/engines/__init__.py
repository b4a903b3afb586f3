"""Inference engines behind one Protocol; their libraries are imported here and in `builders` only."""
