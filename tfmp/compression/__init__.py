"""From a trained model to a verified file in one call, and the report of a run."""
