"""The command in this process."""

import pytest

from sojourn.cli.main import main


@pytest.fixture
def sojourn(capsys):
    """Run the command in this process: exit code, standard output, standard error."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
