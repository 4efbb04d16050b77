"""Dokploy: the client against recordings of a real server, and against servers that misbehave."""
