"""Deploys followed to a verdict by the containers that came up."""
