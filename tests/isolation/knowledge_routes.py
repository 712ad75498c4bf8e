"""The cases of the knowledge base's routes; routes.py says which kinds there are."""

from uuid import uuid4

from isolation.cases import PAGES, Case, Foreign, Own

ARTICLE = {"article_id": "article_id"}
GAP = {"gap_id": "gap_id"}
FINDING = {"finding_id": "finding_id"}
SCRIPT = {"script_id": "script_id"}
OBJECTION = {"script_id": "objection_id"}
COMPANY_FACT = {"company_fact_id": "company_fact_id"}
TOLD = {"content": "New", "priority": "50"}
SPOKEN = {"kind": "greeting", "title": "New", "content": "New.", "priority": "5"}
ANSWERED = {**SPOKEN, "kind": "price"}
SENT_FILE = ARTICLE | {"file_id": "file_id"}
CATEGORY = {"category_id": "category_id"}
QUESTION = {"question_id": "question_id"}
DRAFT = {"draft_id": "draft_id"}
ENTITY = {"entity_id": "entity_id"}
FACT = ENTITY | {"fact_id": "fact_id"}
RELATION = ENTITY | {"relation_id": "relation_id"}
RELATED = {"kind": "uses", "other_id": str(uuid4())}
SAID = {"attribute": "price", "value": "Stolen"}
IMPORTED = b"title,content\r\nTaken,Long enough a text.\r\n"
ASKED = b"text\r\nTaken?\r\n"
DOCUMENT = {"document_id": "document_id"}
AGENT = {"agent_id": "agent_id"}
AGENT_FILE = AGENT | {"file_id": "agent_file_id"}
SITE = {"site_id": "site_id"}
INSIDE = "https://127.0.0.1/"
RENAMED = {"json": {"name": "Stolen"}}

KNOWLEDGE: dict[str, Case] = {
    "GET /api/v1/articles": Own(options={"params": {"search": "canary7q2x"}}),
    "POST /api/v1/articles": Own(201, {"json": {"title": "New", "content": "Long enough a text."}}),
    "GET /api/v1/articles/{article_id}": Foreign(ARTICLE),
    "PATCH /api/v1/articles/{article_id}": Foreign(ARTICLE, {"json": {"title": "Stolen"}}),
    "DELETE /api/v1/articles/{article_id}": Foreign(ARTICLE),
    "POST /api/v1/articles/bulk": Own(200, {"json": {"ids": [], "action": "activate"}}),
    "GET /api/v1/articles/{article_id}/versions": Foreign(ARTICLE),
    "GET /api/v1/articles/{article_id}/versions/{version}": Foreign(ARTICLE | {"version": "version"}),
    "POST /api/v1/articles/{article_id}/versions/{version}/restore": Foreign(
        ARTICLE | {"version": "version"}
    ),
    "GET /api/v1/articles/{article_id}/files": Foreign(ARTICLE),
    "POST /api/v1/articles/{article_id}/files": Foreign(ARTICLE, {"files": {"file": ("a.txt", b"Stolen")}}),
    "GET /api/v1/articles/{article_id}/files/{file_id}": Foreign(SENT_FILE),
    "DELETE /api/v1/articles/{article_id}/files/{file_id}": Foreign(SENT_FILE),
    "GET /api/v1/articles/export": Own(),
    "POST /api/v1/articles/import": Own(200, {"files": {"file": ("a.csv", IMPORTED)}}),
    "GET /api/v1/knowledge-gaps": Own(options={"params": {"search": "canary7q2x"}}),
    "GET /api/v1/knowledge-gaps/shares": Own(),
    "GET /api/v1/knowledge-gaps/{gap_id}": Foreign(GAP),
    "GET /api/v1/knowledge-gaps/{gap_id}/questions": Foreign(GAP),
    "PUT /api/v1/knowledge-gaps/{gap_id}/article": Foreign(GAP, {"json": {"article_id": str(uuid4())}}),
    "POST /api/v1/knowledge-gaps/{gap_id}/check": Foreign(GAP),
    "PUT /api/v1/knowledge-gaps/{gap_id}/dismissal": Foreign(GAP),
    "DELETE /api/v1/knowledge-gaps/{gap_id}/dismissal": Foreign(GAP),
    "GET /api/v1/knowledge-drafts": Own(),
    "GET /api/v1/knowledge-drafts/{draft_id}": Foreign(DRAFT),
    "POST /api/v1/knowledge-drafts/{draft_id}/acceptance": Foreign(DRAFT, {"json": {"is_active": False}}),
    "POST /api/v1/knowledge-drafts/{draft_id}/rejection": Foreign(DRAFT),
    "GET /api/v1/knowledge-checks/latest": Own(),
    "POST /api/v1/knowledge-checks": Own(202),
    "GET /api/v1/knowledge-checks/findings": Own(),
    "PUT /api/v1/knowledge-checks/findings/{finding_id}/dismissal": Foreign(FINDING),
    "DELETE /api/v1/knowledge-checks/findings/{finding_id}/dismissal": Foreign(FINDING),
    "GET /api/v1/scripts": Own(),
    "POST /api/v1/scripts": Own(201, {"json": {"kind": "greeting", "title": "New", "content": "New."}}),
    "GET /api/v1/scripts/{script_id}": Foreign(SCRIPT),
    "PATCH /api/v1/scripts/{script_id}": Foreign(SCRIPT, {"json": {"title": "Stolen"}}),
    "DELETE /api/v1/scripts/{script_id}": Foreign(SCRIPT),
    "GET /api/v1/objections": Own(),
    "POST /api/v1/objections": Own(201, {"json": {"kind": "price", "title": "New", "content": "New."}}),
    "GET /api/v1/objections/{script_id}": Foreign(OBJECTION),
    "PATCH /api/v1/objections/{script_id}": Foreign(OBJECTION, {"json": {"title": "Stolen"}}),
    "DELETE /api/v1/objections/{script_id}": Foreign(OBJECTION),
    "GET /api/v1/knowledge-usage": Own(),
    "GET /api/v1/company-facts": Own(),
    "GET /api/v1/budgets": Own(),
    "PUT /api/v1/budgets": Own(
        200, {"json": {"workspace": {"month_cents": 5000}, "contact": {}, "when_exhausted": "quote"}}
    ),
    "GET /api/v1/budgets/usage": Own(),
    "GET /api/v1/masking": Own(),
    "PUT /api/v1/masking": Own(200, {"json": {"kinds": ["card"]}}),
    "POST /api/v1/company-facts": Own(201, {"json": {"content": "New"}}),
    "GET /api/v1/company-facts/{company_fact_id}": Foreign(COMPANY_FACT),
    "PATCH /api/v1/company-facts/{company_fact_id}": Foreign(COMPANY_FACT, {"json": {"content": "Stolen"}}),
    "DELETE /api/v1/company-facts/{company_fact_id}": Foreign(COMPANY_FACT),
    "GET /api/v1/knowledge-questions": Own(),
    "POST /api/v1/knowledge-questions": Own(201, {"json": {"text": "New"}}),
    "POST /api/v1/knowledge-questions/try": Own(200, {"json": {"text": "Any"}}),
    "GET /api/v1/knowledge-questions/export": Own(),
    "POST /api/v1/knowledge-questions/import": Own(200, {"files": {"file": ("q.csv", ASKED)}}),
    "GET /api/v1/knowledge-questions/{question_id}": Foreign(QUESTION),
    "PATCH /api/v1/knowledge-questions/{question_id}": Foreign(QUESTION, {"json": {"sources": []}}),
    "DELETE /api/v1/knowledge-questions/{question_id}": Foreign(QUESTION),
    "GET /api/v1/knowledge-runs": Own(),
    "POST /api/v1/knowledge-runs": Own(202),
    "GET /api/v1/knowledge-runs/{run_id}": Foreign({"run_id": "run_id"}),
    "GET /api/v1/graph": Own(),
    "PATCH /api/v1/graph": Own(200, {"json": {"daily_tokens": 1}}),
    "POST /api/v1/graph/readings": Own(202, {"json": {"failed_only": True}}),
    "POST /api/v1/graph/measurements": Own(202),
    "GET /api/v1/graph/entities": Own(),
    "GET /api/v1/graph/entities/{entity_id}": Foreign(ENTITY),
    "PATCH /api/v1/graph/entities/{entity_id}": Foreign(ENTITY, RENAMED),
    "DELETE /api/v1/graph/entities/{entity_id}": Foreign(ENTITY),
    "POST /api/v1/graph/entities/{entity_id}/merge": Foreign(ENTITY, {"json": {"other_id": str(uuid4())}}),
    "POST /api/v1/graph/entities/{entity_id}/aliases/removal": Foreign(ENTITY, {"json": {"name": "Stolen"}}),
    "POST /api/v1/graph/entities/{entity_id}/facts": Foreign(ENTITY, {"json": SAID}),
    "GET /api/v1/graph/entities/{entity_id}/facts": Foreign(ENTITY),
    "GET /api/v1/graph/entities/{entity_id}/relations": Foreign(ENTITY),
    "POST /api/v1/graph/entities/{entity_id}/relations": Foreign(ENTITY, {"json": RELATED}),
    "DELETE /api/v1/graph/entities/{entity_id}/relations/{relation_id}": Foreign(RELATION),
    "PUT /api/v1/graph/entities/{entity_id}/facts/{fact_id}": Foreign(FACT, {"json": SAID}),
    "DELETE /api/v1/graph/entities/{entity_id}/facts/{fact_id}": Foreign(FACT),
    "GET /api/v1/meaning": Own(),
    "POST /api/v1/meaning/measurements": Own(404),  # no embedding model is set there
    "GET /api/v1/reranking": Own(),
    "POST /api/v1/reranking/measurements": Own(404),  # no reranking model is set there
    "GET /api/v1/categories": Own(),
    "POST /api/v1/categories": Own(201, {"json": {"title": "New"}}),
    "GET /api/v1/categories/{category_id}": Foreign(CATEGORY),
    "PATCH /api/v1/categories/{category_id}": Foreign(CATEGORY, {"json": {"title": "Stolen"}}),
    "DELETE /api/v1/categories/{category_id}": Foreign(CATEGORY),
    "POST /api/v1/categories/{category_id}/move": Foreign(CATEGORY, {"json": {"direction": "up"}}),
    "GET /api/v1/documents": Own(),
    "POST /api/v1/documents": Own(201, {"files": {"file": ("new.txt", b"A text of our own.")}}),
    "GET /api/v1/documents/{document_id}": Foreign(DOCUMENT),
    "POST /api/v1/documents/{document_id}/retry": Foreign(DOCUMENT),
    "PATCH /api/v1/documents/{document_id}": Foreign(DOCUMENT, {"json": {"categories": []}}),
    "DELETE /api/v1/documents/{document_id}": Foreign(DOCUMENT),
    "GET /api/v1/agents/{agent_id}/files": Foreign(AGENT),
    "POST /api/v1/agents/{agent_id}/files": Foreign(AGENT, {"files": {"file": ("new.txt", b"A text.")}}),
    "GET /api/v1/agents/{agent_id}/files/{file_id}": Foreign(AGENT_FILE),
    "POST /api/v1/agents/{agent_id}/files/{file_id}/retry": Foreign(AGENT_FILE),
    "DELETE /api/v1/agents/{agent_id}/files/{file_id}": Foreign(AGENT_FILE),
    f"GET {PAGES}/ai-agents/{{agent_id}}/files": Foreign(AGENT),
    f"POST {PAGES}/ai-agents/{{agent_id}}/files": Foreign(
        AGENT, {"files": {"files": ("page.txt", b"A text.")}}
    ),
    f"POST {PAGES}/ai-agents/{{agent_id}}/files/{{file_id}}/retry": Foreign(AGENT_FILE),
    f"POST {PAGES}/ai-agents/{{agent_id}}/files/{{file_id}}/delete": Foreign(AGENT_FILE),
    "GET /api/v1/sites": Own(),
    "POST /api/v1/sites": Own(422, {"json": {"url": INSIDE}}),
    "GET /api/v1/sites/{site_id}": Foreign(SITE),
    "PATCH /api/v1/sites/{site_id}": Foreign(SITE, {"json": {"depth": 1}}),
    "DELETE /api/v1/sites/{site_id}": Foreign(SITE),
    "POST /api/v1/sites/{site_id}/sync": Foreign(SITE),
    "GET /api/v1/sites/{site_id}/pages": Foreign(SITE),
    f"GET {PAGES}/knowledge-base": Own(),
    f"POST {PAGES}/knowledge-base/documents": Own(303, {"files": {"files": ("page.txt", b"A text.")}}),
    f"GET {PAGES}/knowledge-base/documents/{{document_id}}/edit": Foreign(DOCUMENT),
    f"POST {PAGES}/knowledge-base/documents/{{document_id}}/edit": Foreign(DOCUMENT),
    f"POST {PAGES}/knowledge-base/documents/{{document_id}}/retry": Foreign(DOCUMENT),
    f"POST {PAGES}/knowledge-base/documents/{{document_id}}/delete": Foreign(DOCUMENT),
    f"GET {PAGES}/knowledge-items": Own(),
    f"GET {PAGES}/knowledge-items/create": Own(),
    f"POST {PAGES}/knowledge-items/create": Own(303, {"data": {"title": "New", "content": "Long enough."}}),
    f"POST {PAGES}/knowledge-items/preview": Own(200, {"data": {"content": "*kind*"}}),
    f"GET {PAGES}/knowledge-items/{{article_id}}/edit": Foreign(ARTICLE),
    f"POST {PAGES}/knowledge-items/{{article_id}}/edit": Foreign(ARTICLE, {"data": {"title": "Stolen"}}),
    f"POST {PAGES}/knowledge-items/{{article_id}}/active": Foreign(ARTICLE),
    f"POST {PAGES}/knowledge-items/{{article_id}}/delete": Foreign(ARTICLE),
    f"POST {PAGES}/knowledge-items/bulk": Own(303, {"data": {"action": "activate"}}),
    f"POST {PAGES}/knowledge-items/related": Own(200, {"data": {"related_q": "canary7q2x"}}),
    f"GET {PAGES}/knowledge-items/{{article_id}}/versions": Foreign(ARTICLE),
    f"GET {PAGES}/knowledge-items/{{article_id}}/versions/{{version}}": Foreign(
        ARTICLE | {"version": "version"}
    ),
    f"POST {PAGES}/knowledge-items/{{article_id}}/versions/{{version}}/restore": Foreign(
        ARTICLE | {"version": "version"}
    ),
    f"POST {PAGES}/knowledge-items/{{article_id}}/files": Foreign(
        ARTICLE, {"files": {"files": ("a.txt", b"Stolen")}}
    ),
    f"GET {PAGES}/knowledge-items/{{article_id}}/files/{{file_id}}": Foreign(SENT_FILE),
    f"POST {PAGES}/knowledge-items/{{article_id}}/files/{{file_id}}/delete": Foreign(SENT_FILE),
    f"GET {PAGES}/knowledge-items/export": Own(),
    f"GET {PAGES}/knowledge-items/import": Own(),
    f"POST {PAGES}/knowledge-items/import": Own(303, {"files": {"file": ("a.csv", IMPORTED)}}),
    f"GET {PAGES}/knowledge-sites": Own(),
    f"GET {PAGES}/knowledge-sites/create": Own(),
    f"POST {PAGES}/knowledge-sites/create": Own(422, {"data": {"url": INSIDE}}),
    f"GET {PAGES}/knowledge-sites/{{site_id}}": Foreign(SITE),
    f"POST {PAGES}/knowledge-sites/{{site_id}}/edit": Foreign(SITE, {"data": {"depth": "1"}}),
    f"POST {PAGES}/knowledge-sites/{{site_id}}/sync": Foreign(SITE),
    f"POST {PAGES}/knowledge-sites/{{site_id}}/delete": Foreign(SITE),
    f"GET {PAGES}/knowledge-gaps": Own(),
    f"GET {PAGES}/knowledge-gaps/{{gap_id}}": Foreign(GAP),
    f"POST {PAGES}/knowledge-gaps/{{gap_id}}/check": Foreign(GAP),
    f"POST {PAGES}/knowledge-gaps/{{gap_id}}/dismiss": Foreign(GAP),
    f"POST {PAGES}/knowledge-gaps/{{gap_id}}/restore": Foreign(GAP),
    f"GET {PAGES}/knowledge-drafts": Own(),
    f"GET {PAGES}/knowledge-drafts/{{draft_id}}": Foreign(DRAFT),
    f"POST {PAGES}/knowledge-drafts/{{draft_id}}/accept": Foreign(DRAFT, {"data": {"title": "Stolen"}}),
    f"POST {PAGES}/knowledge-drafts/{{draft_id}}/reject": Foreign(DRAFT),
    f"GET {PAGES}/knowledge-checks": Own(),
    f"POST {PAGES}/knowledge-checks": Own(303),
    f"POST {PAGES}/knowledge-checks/findings/{{finding_id}}/dismiss": Foreign(FINDING),
    f"POST {PAGES}/knowledge-checks/findings/{{finding_id}}/restore": Foreign(FINDING),
    f"GET {PAGES}/knowledge-scripts": Own(),
    f"GET {PAGES}/knowledge-scripts/create": Own(),
    f"POST {PAGES}/knowledge-scripts/create": Own(303, {"data": SPOKEN}),
    f"GET {PAGES}/knowledge-scripts/{{script_id}}/edit": Foreign(SCRIPT),
    f"POST {PAGES}/knowledge-scripts/{{script_id}}/edit": Foreign(SCRIPT, {"data": SPOKEN}),
    f"POST {PAGES}/knowledge-scripts/{{script_id}}/delete": Foreign(SCRIPT),
    f"GET {PAGES}/knowledge-objections": Own(),
    f"GET {PAGES}/knowledge-objections/create": Own(),
    f"POST {PAGES}/knowledge-objections/create": Own(303, {"data": ANSWERED}),
    f"GET {PAGES}/knowledge-objections/{{script_id}}/edit": Foreign(OBJECTION),
    f"POST {PAGES}/knowledge-objections/{{script_id}}/edit": Foreign(OBJECTION, {"data": ANSWERED}),
    f"POST {PAGES}/knowledge-objections/{{script_id}}/delete": Foreign(OBJECTION),
    f"GET {PAGES}/knowledge-facts": Own(),
    f"GET {PAGES}/knowledge-bench": Own(200, {"params": {"q": "Any"}}),
    f"GET {PAGES}/knowledge-bench/runs": Own(),
    f"POST {PAGES}/knowledge-bench/runs": Own(303),
    f"POST {PAGES}/knowledge-bench/questions": Own(303, {"data": {"text": "Newer"}}),
    f"GET {PAGES}/knowledge-bench/export": Own(),
    f"GET {PAGES}/knowledge-bench/import": Own(),
    f"POST {PAGES}/knowledge-bench/import": Own(303, {"files": {"file": ("q.csv", ASKED)}}),
    f"GET {PAGES}/knowledge-bench/questions/{{question_id}}": Foreign(QUESTION),
    f"POST {PAGES}/knowledge-bench/questions/{{question_id}}/sources": Foreign(QUESTION),
    f"POST {PAGES}/knowledge-bench/questions/{{question_id}}/delete": Foreign(QUESTION),
    f"GET {PAGES}/knowledge-facts/create": Own(),
    f"POST {PAGES}/knowledge-facts/create": Own(303, {"data": TOLD}),
    f"GET {PAGES}/knowledge-facts/{{company_fact_id}}/edit": Foreign(COMPANY_FACT),
    f"POST {PAGES}/knowledge-facts/{{company_fact_id}}/edit": Foreign(COMPANY_FACT, {"data": TOLD}),
    f"POST {PAGES}/knowledge-facts/{{company_fact_id}}/delete": Foreign(COMPANY_FACT),
    f"GET {PAGES}/knowledge-graph": Own(),
    f"POST {PAGES}/knowledge-graph/readings": Own(303, {"data": {"only": "failed"}}),
    f"POST {PAGES}/knowledge-graph/budget": Own(303, {"data": {"daily_tokens": "1"}}),
    f"POST {PAGES}/knowledge-graph/measure": Own(303),
    f"GET {PAGES}/knowledge-graph/{{entity_id}}": Foreign(ENTITY),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/edit": Foreign(
        ENTITY, {"data": {"name": "Stolen", "type": "person"}}
    ),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/merge": Foreign(
        ENTITY, {"data": {"other_id": str(uuid4())}}
    ),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/delete": Foreign(ENTITY),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/aliases/delete": Foreign(
        ENTITY, {"data": {"name": "Stolen"}}
    ),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/relations": Foreign(ENTITY, {"data": RELATED}),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/relations/{{relation_id}}/delete": Foreign(RELATION),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/facts": Foreign(ENTITY, {"data": SAID}),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/facts/{{fact_id}}": Foreign(FACT, {"data": SAID}),
    f"POST {PAGES}/knowledge-graph/{{entity_id}}/facts/{{fact_id}}/delete": Foreign(FACT),
    f"GET {PAGES}/knowledge-meaning": Own(),
    f"POST {PAGES}/knowledge-meaning/measure": Own(404),
    f"GET {PAGES}/knowledge-reranking": Own(),
    f"POST {PAGES}/knowledge-reranking/measure": Own(404),
    f"GET {PAGES}/knowledge-categories": Own(),
    f"GET {PAGES}/knowledge-categories/create": Own(),
    f"POST {PAGES}/knowledge-categories/create": Own(303, {"data": {"title": "New by hand"}}),
    f"GET {PAGES}/knowledge-categories/{{category_id}}/edit": Foreign(CATEGORY),
    f"POST {PAGES}/knowledge-categories/{{category_id}}/edit": Foreign(
        CATEGORY, {"data": {"title": "Stolen"}}
    ),
    f"POST {PAGES}/knowledge-categories/{{category_id}}/move": Foreign(CATEGORY),
    f"POST {PAGES}/knowledge-categories/{{category_id}}/delete": Foreign(CATEGORY),
}
