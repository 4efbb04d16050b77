"""Dokploy through its HTTP API: the services it manages, their deployments and their containers."""
