"""The version of this library, which the package's own metadata take from here."""

VERSION = "0.2.0"
SAME_RESULTS_SINCE = "0.1.0"  # the first version whose interrupted runs this one resumes; VERSION once results differ
