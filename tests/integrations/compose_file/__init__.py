"""Editing and showing Compose files: text in, text out, judged by `docker compose` and a second YAML reader."""
