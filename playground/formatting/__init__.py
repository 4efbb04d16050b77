"""Message formatting as Telegram does it: entities, HTML, MarkdownV2."""
