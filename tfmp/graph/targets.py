"""The runtimes that a file can be written for."""

# How a runtime requantizes: with float32 factors, or with integers and shifts.
FLOATING_POINT, FIXED_POINT = "floating_point", "fixed_point"
