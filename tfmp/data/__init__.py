"""One reader of whatever a user hands over as data: arrays, `tf.data`, Keras data sets, functions of batches."""
