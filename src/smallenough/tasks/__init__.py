"""Task sources: each brings a suite from where it lies, one source a file; and what is done with suites."""
