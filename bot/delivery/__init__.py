"""Messages on their way out: stored, paced, retried until Telegram has them."""
