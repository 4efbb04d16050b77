"""Incidents: alerts, their evidence, and the tracker that opens, groups and closes them."""
