"""Extends smallenough: see pyproject.toml for the names, and smallenough's docs/extending/ for how each is made."""
