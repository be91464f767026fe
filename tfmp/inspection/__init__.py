"""Reports of what a model or a file holds and costs."""
