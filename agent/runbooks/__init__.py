"""Runbooks: read, checked, matched against evidence, and rendered into plans."""
