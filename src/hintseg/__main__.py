"""`python -m hintseg` is `hintseg`."""

from hintseg.cli.app import main

main()
