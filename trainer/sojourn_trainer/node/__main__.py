"""`python -m sojourn_trainer.node`: process 1 of every pod, and the parent of all of a local run."""

import sys

from sojourn_trainer.node.main import main

sys.exit(main(sys.argv[1:]))
