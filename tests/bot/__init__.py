"""Tests of the chat face, through a Bot API server and the real client."""
