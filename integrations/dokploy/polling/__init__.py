"""Polling of Dokploy: the questions, their frequency, and the meaning of the answers."""
