"""python -m sojourn.mover send|receive|probe|retire: what the operator's pods run."""

from __future__ import annotations

import sys

from sojourn.mover.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
