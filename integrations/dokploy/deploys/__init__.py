"""Deploys of Dokploy: submitted, followed, rolled back, their versions kept."""
