"""Atomic files and folders, locks, JSON records, and identities of runs."""
