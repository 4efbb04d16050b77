"""Dokploy's API calls, one file per noun."""
