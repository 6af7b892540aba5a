"""The embedded engine: a model on torch and transformers, in a process of its own.

`python -m smallenough.models.engine` is that process (`__main__`); `process` starts it and talks to it by `messages`.
Only modules that run there import torch: `network` (the model's forward pass over a batch of sequences), `batch` (who
is in the batch), `sampling`, `tokens`, and `convert`, which is a process of its own too.
"""
