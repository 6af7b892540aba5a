"""The command line: one command a file, and presentation only. Start-up is quick: heavy imports happen where used."""
