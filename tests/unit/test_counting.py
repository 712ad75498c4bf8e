"""What providers say a call has used: whatever is no count is no count, in whichever JSON it is told."""

import json

import pytest

from gptagent.adapters.counting import sound


@pytest.mark.parametrize("wrong", ["NaN", "Infinity", "-Infinity", "1e999", "-1", "1" * 30, '"many"'])
@pytest.mark.parametrize("head", ["", "data: "])
def test_what_is_no_number_of_tokens_is_never_handed_on(head, wrong):
    """MSG-5: Python's own servers write NaN, which JSON has not"""
    told = f'{head}{{"id": "a", "usage": {{"prompt_tokens": {wrong}, "completion_tokens": 3}}}}'
    answer = json.loads(sound(told.encode()).removeprefix(b"data: "))
    assert answer["id"] == "a"
    assert [answer["usage"][name] for name in ("prompt_tokens", "completion_tokens")] == [0, 0]


@pytest.mark.parametrize(
    "told", [b"", b"data: [DONE]", b'the "usage" of it', b'{"usage": null}', b'["usage"]']
)
def test_what_tells_no_usage_stays_as_it_is(told):
    assert sound(told) is told
