"""Monitoring: the inventory, snapshots of hosts, and the watchers that compare them."""
