"""Stand-ins for the outside world, as real HTTP servers: a fake Kommo (`python -m gptagent.sandbox.kommo`)
and a fake OpenAI-compatible model (`python -m gptagent.sandbox.llm`). They serve the demo, the tests, the
load benches and people without accounts. Their state is in memory; they import nothing of the product and
the product imports nothing of them. `kommo/control.py` and `llm/control.py` describe how to steer them.
"""
