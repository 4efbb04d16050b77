"""Parsers of the words behind a command; pure functions over text."""
