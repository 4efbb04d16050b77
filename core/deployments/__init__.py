"""Deployments: what a platform manages, deploys followed to a verdict, versions to go back to."""
