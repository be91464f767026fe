"""Transforms models: relax, fix, fold, quantize, distill."""
