"""Actions: the catalogue, the policy, and the one gateway through which everybody acts."""
