"""What a model or a file holds and costs."""
