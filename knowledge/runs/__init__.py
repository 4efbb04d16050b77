"""Runs: durable units of work, in one process or over several workers."""
