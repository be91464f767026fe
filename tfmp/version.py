"""The version of this library, which the package's own metadata take from here."""

VERSION = "0.2.0"
