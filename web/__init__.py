"""The web face: one application, one port."""
