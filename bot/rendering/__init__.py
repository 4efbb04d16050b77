"""Cards, buttons and charts as Telegram shows them."""
