"""Graph edits, one per file."""
