"""Replicas from tokens: one loop, PromQL demand, and a pure policy."""
