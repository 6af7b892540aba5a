"""`python -m smallenough`, the same as `smallenough`."""

from smallenough.cli.main import main

main()
