"""Reasons: from an alert to a verified repair, and from a question to an answer."""
