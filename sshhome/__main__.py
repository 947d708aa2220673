"""`python -m sshhome` is the `sshhome` command."""

import sys

try:
    from sshhome.cli import main

    main()
except KeyboardInterrupt:
    sys.exit(130)
