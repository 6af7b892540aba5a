"""The runner: carries out a plan; it alone knows budgets, retries, timing, logging and which model is loaded."""
