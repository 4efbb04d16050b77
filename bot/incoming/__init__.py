"""Incoming updates: stored, authorised, routed, answered."""
