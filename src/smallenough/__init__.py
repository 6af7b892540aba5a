"""smallenough: the smallest model that is good enough, with the evidence in MLflow."""

__version__ = "0.1.0"
