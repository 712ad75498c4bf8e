"""What a model answers about passages is data, whatever it is."""

import pytest

from gptagent.features.knowledge.graph.prompting import BadOutputError, read_answer


@pytest.mark.parametrize("said", ["", "no object", "{", '{"entities":' + "[" * 100_000])
def test_an_answer_that_is_no_object_is_refused(said):
    with pytest.raises(BadOutputError):
        read_answer(said, [])
