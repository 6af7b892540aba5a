"""From trials to evidence: statistics, pairing, the comparison by arm and its tables.

Pure functions on pandas DataFrames: nothing here reads a store, and nothing here draws on a terminal. The tracking
reader brings the frames, `comparison.compare` makes the evidence, `table` puts it into words.
"""
