"""Saved models of either Keras: read, checked, written."""
