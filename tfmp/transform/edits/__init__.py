"""One edit of a graph a file."""
