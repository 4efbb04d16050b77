"""The words behind a command: spans, selections, and the stack or service that they mean."""
