"""Reports of the contents and costs of models and files."""
