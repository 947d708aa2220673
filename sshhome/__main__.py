"""`python -m sshhome` is the `sshhome` command."""

from sshhome.cli import main

main()
