"""The incident graph: from an alert to a verified repair."""
