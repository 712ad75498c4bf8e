"""What the routes of scenarios may do for another workspace's member."""

from isolation.cases import PAGES, Case, Foreign, Own

SCENARIO, RUN, AGENT = {"scenario_id": "scenario_id"}, {"run_id": "scenario_run_id"}, {"agent_id": "agent_id"}
NOBODY = "0197a1b2-0000-7000-8000-000000000001"
LOOKED_FOR = {"subject": "contains", "value": "x"}
ASKED = {"name": "Asked", "messages": ["When?"], "checks": [LOOKED_FOR]}
FILE = b'{"format": "gptagent.scenarios", "version": 1, "scenarios": []}'
FORM = {
    "name": "Written",
    "customer": "fixed",
    "messages": "When?",
    "check-0-look": "contains",
    "check-0-value": "x",
}
V1 = "/api/v1"

SCENARIOS: dict[str, Case] = {
    f"GET {V1}/scenarios": Own(),
    f"POST {V1}/scenarios": Own(201, {"json": ASKED}),
    f"GET {V1}/scenarios/export": Own(),
    f"POST {V1}/scenarios/import": Own(200, {"files": {"file": ("s.json", FILE)}}),
    f"GET {V1}/scenarios/{{scenario_id}}": Foreign(SCENARIO),
    f"PATCH {V1}/scenarios/{{scenario_id}}": Foreign(SCENARIO, {"json": {"name": "Stolen"}}),
    f"DELETE {V1}/scenarios/{{scenario_id}}": Foreign(SCENARIO),
    f"GET {V1}/scenario-runs": Own(),
    f"POST {V1}/scenario-runs": Own(404, {"json": {"agent_id": NOBODY}}),
    f"GET {V1}/scenario-runs/forecast": Own(404, {"params": {"agent_id": NOBODY}}),
    f"POST {V1}/scenario-runs/replays": Own(404, {"json": {"agent_id": NOBODY}}),
    f"GET {V1}/scenario-runs/{{run_id}}": Foreign(RUN),
    f"PUT {V1}/scenario-runs/{{run_id}}/cancellation": Foreign(RUN),
    f"GET {V1}/scenario-runs/{{run_id}}/attempts": Foreign(RUN),
    f"GET {V1}/scenario-runs/{{run_id}}/replayed": Foreign(RUN),
    f"GET {V1}/agents/{{agent_id}}/publish-condition": Foreign(AGENT),
    f"PUT {V1}/agents/{{agent_id}}/publish-condition": Foreign(AGENT, {"json": {"is_on": True}}),
    f"GET {PAGES}/scenarios": Own(),
    f"GET {PAGES}/scenarios/create": Own(),
    f"POST {PAGES}/scenarios/create": Own(303, {"data": FORM}),
    f"GET {PAGES}/scenarios/export": Own(),
    f"GET {PAGES}/scenarios/import": Own(),
    f"POST {PAGES}/scenarios/import": Own(303, {"files": {"file": ("s.json", FILE)}}),
    f"POST {PAGES}/scenarios/runs": Own(422),
    f"POST {PAGES}/scenarios/condition": Own(422),
    f"GET {PAGES}/scenarios/{{scenario_id}}/edit": Foreign(SCENARIO),
    f"POST {PAGES}/scenarios/{{scenario_id}}/edit": Foreign(SCENARIO, {"data": FORM}),
    f"POST {PAGES}/scenarios/{{scenario_id}}/delete": Foreign(SCENARIO),
    f"GET {PAGES}/scenario-runs/replay": Own(),
    f"POST {PAGES}/scenario-runs/replay": Own(422),
    f"GET {PAGES}/scenario-runs/{{run_id}}": Foreign(RUN),
    f"POST {PAGES}/scenario-runs/{{run_id}}/cancel": Foreign(RUN),
}
