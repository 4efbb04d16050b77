"""Records: one file per noun over the tables."""
