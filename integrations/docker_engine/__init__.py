"""Docker engines over a local socket, TCP with TLS or SSH; and a simulated one for the demo and fast tests."""
