"""The Bot API side of the playground."""
