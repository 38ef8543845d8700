"""`python -m otad` is the command `otad`."""

from otad.daemon import main

main()
