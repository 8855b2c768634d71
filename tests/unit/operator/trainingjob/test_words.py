"""The conditions of docs/concepts/training-job.md are those of the code: none is missing, none is made up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from sojourn_operator.trainingattempt import reasons as of_attempts
from sojourn_operator.trainingjob import reasons

PAGE: Final = Path(__file__).parents[4] / "docs" / "concepts" / "training-job.md"
# Shown by the column READY, and explained by the others.
NOT_IN_THE_TABLE: Final = {reasons.READY}


def words(module: object) -> set[str]:
    return {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


def test_every_condition_and_reason_is_in_the_table_and_no_other() -> None:
    table = PAGE.read_text().partition("| condition | reason |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("|") and "---" not in line]
    written = {word for row in cells for cell in row for word in re.findall(r"[A-Z][A-Za-z]+", cell)}
    assert words(reasons) - NOT_IN_THE_TABLE - written == set()
    assert written - words(reasons) - words(of_attempts) == set()
