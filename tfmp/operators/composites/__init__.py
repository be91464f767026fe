"""Layers that are computed by several simpler layers, into which they are split before anything else.

A composite kind has no `lower`; its `Operator.parts` says what it is made of, one family a file. What a family cannot
split (unusual arguments) stays one layer in floating point.
"""
