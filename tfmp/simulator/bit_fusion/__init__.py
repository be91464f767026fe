"""The Bit Fusion accelerator."""
