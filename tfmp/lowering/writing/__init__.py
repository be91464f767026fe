"""Integer operations as the operators of a file, one module a family; what they write to is a `Sink`."""
