"""Dokploy's HTTP API: what it manages, its deployments and its containers."""
