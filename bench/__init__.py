"""Measures the promised figures on real parts; `make bench` runs all of it."""
