"""Monitoring: what runs where, snapshots of it, and the watchers that compare them."""
