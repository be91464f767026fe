"""Framework-independent bodies of layers, callback and optimizer; TensorFlow only."""
