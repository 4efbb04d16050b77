"""The chat page of the playground."""
