"""The incident memory: lessons in the records, found again by likeness."""
