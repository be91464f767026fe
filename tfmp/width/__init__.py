"""Networks of other widths, and what they cost."""
