"""What the parts of an explanation are called on the screen."""

from collections.abc import Mapping

# Gates that were open, in the order a turn comes to them. One that was closed is told by the turn's reason.
GATES: Mapping[str, str] = {
    "nobody_holds": "No colleague held the conversation",
    "workspace": "The workspace was working",
    "connection": "The CRM was connected and switched on",
    "channel": "An active agent works in the channel",
    "unanswered": "No colleague had answered",
    "in_time": "The message was not too old",
    "pace": "The chat was not crowded and the connection worked",
    "stage": "The agent works at the deal's stage",
    "hours": "It was within working hours",
}
# The gates at which a real message would have stopped, where it was only played.
CLOSED: Mapping[str, str] = {
    "channel": "The agent does not work in this channel",
    "stage": "The agent does not work at this stage of the deal",
    "hours": "It is outside of the agent's working hours",
}
BLOCKS: Mapping[str, str] = {
    "instructions": "Instructions of the agent",
    "stage": "Instructions for the stage",
    "goal": "Goal",
    "rules": "Rules of the platform",
    "files": "How the customer's files are used",
    "company": "Facts about the company",
    "deal": "Fields of the deal shown to the model",
    "contact": "Fields of the contact shown to the model",
    "memory": "What is remembered of the customer",
    "passage": "Passage",
    "no_passages": "No passages",
    "scripts": "How scripts are used",
    "script": "Script or objection",
    "history": "Said before",
    "question": "The customer's message",
    "other": "Something else",
}
PURPOSES: Mapping[str, str] = {
    "reply": "Answer",
    "rewrite": "Second wording",
    "actions": "What is to be done in the CRM",
    "embedding": "Meaning of the question",
    "reranking": "Order by the reranking model",
    "hearing": "What the customer sent, made into words",
}
STEPS: Mapping[str, str] = {
    "understand": "Meaning of the question",
    "rerank": "Order by the reranking model",
    "gather": "Search, scripts, memory, CRM fields",
    "answer": "Answer, with everything in it",
    "model:reply": "Model: answer",
    "model:rewrite": "Model: second wording",
}
REWRITES: Mapping[str, str] = {
    "rewritten": "Rewritten without them",
    "blocked": "Not said: the not-found text took its place",
}
TOOLS: Mapping[str, str] = {"done": "done", "planned": "planned", "refused": "refused"}
OUTCOMES: Mapping[str, str] = {
    "reply": "A reply",
    "not_found": "The not-found text",
    "handed_off": "Handed to a person",
    "refused": "No answer",
    "draft": "A draft",
    "rejected": "A rejected draft",
}
NOTES: Mapping[str, str] = {
    "injection_sign": "Looks like orders to the model",
    "only_promised": "Worded anew, for it only promised what nobody would get to know of",
    "masked": "Hidden from the model's provider",
}
# What was hidden is counted by kind: "phone 2".
MASKED: Mapping[str, str] = {
    "phone": "Phone numbers",
    "email": "E-mail addresses",
    "card": "Bank cards",
    "iban": "Bank accounts (IBAN)",
    "passport": "Passports",
    "inn": "Taxpayer numbers (INN)",
    "snils": "Insurance numbers (SNILS)",
}
# What a text looked like that wants to give orders, and whose text it was: the two parts of such a note.
SIGNS: Mapping[str, str] = {
    "override": "wants the rules to be ignored",
    "role": "wants the agent to be somebody else",
    "prompt": "asks for what the agent was told",
    "secret": "asks for keys or passwords",
    "authority": "claims to be in charge of the system",
    "tool": "wants an action to be called",
    "exfiltration": "wants data to be sent to an address",
    "block": "imitates the marks between the parts of what a model is told",
    "hidden": "has words that a reader does not see",
    "encoded": "has something encoded",
}
SIGN_ORIGINS: Mapping[str, str] = {
    "customer": "The customer's message:",
    "crm": "A field of the CRM:",
    "memory": "What is remembered of the customer:",
    "passage": "A passage of the knowledge base:",
    "script": "A script or objection:",
    "company": "The facts about the company:",
}
EVERYTHING: Mapping[str, Mapping[str, str]] = {
    "gate_names": GATES,
    "closed_names": CLOSED,
    "block_names": BLOCKS,
    "purpose_names": PURPOSES,
    "step_names": STEPS,
    "rewrite_names": REWRITES,
    "tool_states": TOOLS,
    "outcome_names": OUTCOMES,
    "note_names": NOTES,
    "masked_names": MASKED,
    "sign_names": SIGNS,
    "sign_origins": SIGN_ORIGINS,
}
