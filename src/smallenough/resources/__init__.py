"""What a model's processes consume: probes that read, a ledger that accounts, a monitor that samples."""
