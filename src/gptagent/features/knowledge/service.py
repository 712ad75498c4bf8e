"""The verbs of knowledge, by file: articles, documents (with their ingestion), retrieval."""

from gptagent.features.knowledge.articles import (
    create_article,
    delete_article,
    get_article,
    list_articles,
    update_article,
)
from gptagent.features.knowledge.documents import (
    INGEST_JOB,
    LIVE_TOPIC,
    claim_document,
    count_sources,
    delete_document,
    fail_document,
    get_document,
    list_documents,
    note_progress,
    record_pieces,
    register_document,
    retry_document,
)
from gptagent.features.knowledge.retrieval import (
    REFUSAL_COVERAGE,
    best_sentences,
    is_answerable,
    search,
)

__all__ = [
    "INGEST_JOB",
    "LIVE_TOPIC",
    "REFUSAL_COVERAGE",
    "best_sentences",
    "claim_document",
    "count_sources",
    "create_article",
    "delete_article",
    "delete_document",
    "fail_document",
    "get_article",
    "get_document",
    "is_answerable",
    "list_articles",
    "list_documents",
    "note_progress",
    "record_pieces",
    "register_document",
    "retry_document",
    "search",
    "update_article",
]
