"""What layers, callback and optimizer do, for any Keras: TensorFlow only."""
