"""Views: cards and other read models as structure and text keys, for any face."""
