"""Domain rules, pure and asynchronous over their own protocols; this package opens no file, socket or database."""
