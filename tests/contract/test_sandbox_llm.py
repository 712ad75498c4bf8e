"""The fake model speaks the OpenAI protocol, as its official client understands it, and fails on demand."""

import itertools

import httpx2
import openai
import pytest

from contract.sandbox_tools import until
from gptagent.sandbox.spawn import running
from trust import TRUST

PROMPT = [
    {"role": "system", "content": "<passage id='1'>Delivery costs 300 roubles. It takes two days.</passage>"},
    {"role": "user", "content": "What does delivery cost?"},
]
ANSWER = "Delivery costs 300 roubles."


@pytest.fixture(scope="module")
def url():
    with running("llm") as address:
        yield address


@pytest.fixture
def control(url):
    with httpx2.Client(base_url=f"{url}/_sandbox", verify=TRUST) as http:
        http.post("/reset").raise_for_status()
        yield http


@pytest.fixture
def client(url, control):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=60) as made:
        yield made


def ask(client, messages=PROMPT, **options):
    return client.chat.completions.create(model="sandbox", messages=messages, **options)


def words(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_without_a_script_the_first_sentence_of_a_passage_is_said(client):
    answer = ask(client)
    assert answer.choices[0].message.content == ANSWER
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert ask(client, PROMPT[1:]).choices[0].message.content == "Echo: What does delivery cost?"


def test_a_stream_adds_up_to_the_answer_and_ends_with_its_usage(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert words(chunks) == ANSWER
    assert len(chunks) > 4
    assert chunks[-1].usage == ask(client).usage
    assert all(chunk.usage is None for chunk in ask(client, stream=True))


def test_the_first_fitting_rule_speaks_and_is_used_up(client, control):
    rules = [{"match": "deliver", "reply": "Once.", "count": 1}, {"match": "deliver", "json": {"ok": True}}]
    control.post("/script", json=rules).raise_for_status()
    assert [ask(client).choices[0].message.content for _ in range(2)] == ["Once.", '{"ok":true}']


@pytest.mark.parametrize("stream", [False, True])
def test_a_scripted_tool_is_called_once_and_its_result_spoken(client, control, stream):
    tool = {"name": "find_lead", "arguments": {"id": 7}}
    control.post("/script", json={"match": "lead", "tools": [tool], "after_tools": "It is Ann's."})
    question = [{"role": "user", "content": "Whose lead is it?"}]
    answer = ask(client, question, stream=stream)
    call = _tool_call(answer, stream)
    assert (call.function.name, call.function.arguments) == ("find_lead", '{"id":7}')
    asked = {"id": call.id, "type": "function", "function": {"name": "find_lead", "arguments": '{"id":7}'}}
    history = [
        *question,
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": call.id, "content": "Ann"},
    ]
    assert ask(client, history).choices[0].message.content == "It is Ann's."


def _tool_call(answer, stream):
    if not stream:
        return answer.choices[0].message.tool_calls[0]
    deltas = [chunk.choices[0].delta for chunk in answer]
    return next(delta.tool_calls[0] for delta in deltas if delta.tool_calls)


def test_a_demanded_schema_is_kept(client):
    schema = {
        "type": "object",
        "properties": {"reply": {"type": "string"}, "sure": {"type": "boolean"}},
        "required": ["reply", "sure"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    said = ask(client, response_format=form).choices[0].message.content
    assert said == '{"reply":"Delivery costs 300 roubles.","sure":false}'
    tools = [{"type": "function", "function": {"name": "final_result", "parameters": schema}}]
    call = ask(client, tools=tools, tool_choice="required").choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("final_result", said)


def test_refusals_carry_their_status_and_retry_after(client, control):
    control.post("/faults", json={"status": 429, "retry_after": 3, "count": 1}).raise_for_status()
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert caught.value.response.headers["retry-after"] == "3"
    control.post("/faults", json={"status": 500, "count": 1}).raise_for_status()
    with pytest.raises(openai.InternalServerError):
        ask(client)
    assert ask(client).choices[0].message.content == ANSWER


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("timeout", openai.APITimeoutError),
        ("stall", openai.APITimeoutError),
        ("broken", openai.APIConnectionError),
        ("wrong_json", ValueError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_can_fail_in_every_other_way(client, control, action, error, stream):
    control.post("/faults", json={"action": action, "count": 1}).raise_for_status()
    patience = {"timeout": 3} if error is openai.APITimeoutError else {}
    with pytest.raises(error):
        words(ask(client, stream=True, **patience)) if stream else ask(client, **patience)

    def last():
        return control.get("/calls").json()["calls"][-1:]

    until(lambda: [call["outcome"] for call in last()] == [action])  # a busy model notes it later
    assert [call["usage"] for call in last()] == [None]
    assert ask(client).choices[0].message.content == ANSWER


def test_a_broken_stream_has_said_its_first_half(client, control):
    control.post("/faults", json={"action": "broken", "count": 1}).raise_for_status()
    stream = ask(client, stream=True)
    heard = [chunk.choices[0].delta.content for chunk in itertools.islice(stream, 2)]
    assert heard == ["", "Delivery "]
    with pytest.raises(openai.APIConnectionError):
        list(stream)


def test_faults_can_be_for_one_model_only(client, control):
    control.post("/faults", json={"status": 500, "model": "^large$"}).raise_for_status()
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="large", messages=PROMPT)
    assert ask(client).choices[0].message.content == ANSWER


def test_calls_are_logged_with_their_prompts_and_usage(client, control):
    used = ask(client).usage.total_tokens
    (call,) = control.get("/calls").json()["calls"]
    assert (call["prompt"], call["answer"], call["outcome"]) == (PROMPT, ANSWER, "answered")
    assert call["usage"]["total_tokens"] == used
    ask(client)
    (newer,) = control.get("/calls", params={"after": call["n"], "prompts": 0}).json()["calls"]
    assert "prompt" not in newer


def test_embeddings_repeat_and_bring_texts_with_common_words_together(client):
    texts = ["delivery in Moscow", "delivery to Moscow costs", "return of a broken phone"]
    rows = [row.embedding for row in client.embeddings.create(model="e", input=texts, dimensions=64).data]
    again = client.embeddings.create(model="e", input=texts[0], dimensions=64).data[0].embedding
    near, far = (sum(a * b for a, b in zip(rows[0], row, strict=True)) for row in rows[1:])
    assert (len(again), again == rows[0], near > far) == (64, True, True)


def test_a_wrong_key_is_refused_once_a_key_is_set(client, control):
    control.post("/knobs", json={"api_key": "right"}).raise_for_status()
    with pytest.raises(openai.AuthenticationError):
        ask(client)


def test_the_models_are_listed(client):
    assert "sandbox" in [model.id for model in client.models.list().data]
