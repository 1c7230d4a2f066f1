"""`python -m hintseg` is `hintseg`."""

from hintseg.apps.cli.app import main

main()
