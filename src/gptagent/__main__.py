"""`python -m gptagent` is `gptagent`."""

from gptagent.entrypoints.cli import main

main()
