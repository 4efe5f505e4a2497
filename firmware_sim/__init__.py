"""Simulated units, readers and people on simulated lines."""
