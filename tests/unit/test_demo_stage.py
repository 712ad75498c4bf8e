"""The stage of the demonstration, where processes come and go."""

import subprocess
import sys

from gptagent.entrypoints.demo import stage


def test_a_process_that_ended_while_it_was_looked_for_is_no_worker():
    """A killed worker may be reaped between the list of children and a look at one of them."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert stage._arguments(ended.pid) == []
