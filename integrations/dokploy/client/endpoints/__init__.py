"""Calls of Dokploy's API, one file per noun."""
