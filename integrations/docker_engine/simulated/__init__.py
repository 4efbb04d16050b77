"""A simulated Docker host for the demo and for fast tests."""
