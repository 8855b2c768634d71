"""`python -m sojourn_trainer.driver`: one driver process; the node supervisor starts it."""

import sys

from sojourn_trainer.driver.main import main

sys.exit(main(sys.argv[1:]))
