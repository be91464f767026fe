"""Bit assignments: from a searched model, from sensitivities, from validation data, at random."""
