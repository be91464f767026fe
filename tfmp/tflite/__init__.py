"""From a folded model to a file, and back from the file to numbers."""
