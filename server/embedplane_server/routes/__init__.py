"""The HTTP side: one thin module for each API family; `edge.py` is around them all, `errors.py` has the statuses."""
