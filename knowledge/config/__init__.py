"""Files read at the start: settings, texts, and the program's own log."""
