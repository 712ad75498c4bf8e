"""What plans and failures of a rehearsal are called on the screen."""

from collections.abc import Mapping

from gptagent.features.dialog.acting.web import ACTIONS

PLANS: Mapping[str, str] = {
    **ACTIONS,
    "write_field": "Write a field",
    "send_reply": "The reply would be sent to the customer",
    "put_down_draft": "A draft would wait for approval in the inbox",
    "create_task": "A task would be created on the deal",
    "send_file": "A file would be sent",
}
FAILURES: Mapping[str, str] = {
    "failed": "The agent could not answer. Try again.",
    "agent_gone": "The agent is gone.",
    "invalid": "What this chat overrides does not fit the agent any more.",
}
EVERYTHING: Mapping[str, Mapping[str, str]] = {"plan_names": PLANS, "failure_names": FAILURES}
