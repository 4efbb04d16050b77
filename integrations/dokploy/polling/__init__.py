"""What is asked of Dokploy, how often, and what its answers mean."""
