"""Fine-tuning: from a suite's references to a LoRA adapter, in a process of its own."""
