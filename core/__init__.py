"""The words and the rules: pure, asynchronous over its own protocols; opens no file, socket or database."""
