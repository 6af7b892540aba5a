"""Model clients: one provider a file, each behind `protocols.ModelClient`."""
