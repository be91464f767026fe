"""The page of a run: one HTML file with pictures and the tables of their numbers, made by Jinja from templates."""
