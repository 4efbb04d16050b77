"""Dokploy's API: how it is spoken to, and its calls by noun."""
