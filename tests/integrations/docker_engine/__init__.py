"""The Docker engines: one contract for the real and the simulated one, and what only the real one must survive."""
