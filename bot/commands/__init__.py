"""The chat commands, one function each."""
