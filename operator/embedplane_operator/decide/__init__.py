"""What should be, from what is. Pure: no call to the cluster, no clock of its own; `stages.py` is the way in."""
