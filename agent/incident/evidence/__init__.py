"""Evidence of an incident: gathered within fixed times, looked up by name."""
