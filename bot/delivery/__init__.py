"""Outgoing messages: stored, paced, and retried until Telegram has them."""
