"""`python -m sojourn_operator`."""

from __future__ import annotations

import sys

from sojourn_operator.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
