"""The actions on Dokploy, by noun, and what they share."""
