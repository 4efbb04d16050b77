"""Deployments: the platform's stacks, deploys followed to a verdict, and versions to roll back to."""
