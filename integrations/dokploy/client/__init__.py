"""Client of Dokploy's API: the connection, and the calls by noun."""
