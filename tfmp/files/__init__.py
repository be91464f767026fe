"""Files and folders that are written whole or not at all, records and identities of runs."""
