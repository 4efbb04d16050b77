"""Docker engines: local socket, TCP with TLS, SSH; and the simulated one for the demo and fast tests."""
