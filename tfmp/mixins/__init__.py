"""Framework-independent base classes of layers, callback and optimizer; TensorFlow only."""
