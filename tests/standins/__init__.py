"""Servers and parts that stand in for the real ones: shipped, complete, and tested against the same contracts."""
