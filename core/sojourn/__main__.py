"""`python -m sojourn`: the command line, for an interpreter whose scripts are not on the path."""

import sys

from sojourn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
