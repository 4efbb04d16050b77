"""Answers to free text: rules first, the model for the rest."""
