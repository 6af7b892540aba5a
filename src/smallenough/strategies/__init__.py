"""Strategies: the policies that decide what a trial does next. Each is pure, and one file."""
