"""Where programs run that may be hostile or merely wrong: one sandbox a file, shared parts in the private modules."""
