"""Reads and edits the text of Compose files; opens nothing."""
