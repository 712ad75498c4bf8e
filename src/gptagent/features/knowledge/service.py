"""The verbs of knowledge, by file: articles, documents (with their ingestion), retrieval."""

from gptagent.features.knowledge.articles.service import (
    ARTICLE_ORDERS,
    VERSION_ORDERS,
    article_titles,
    change_articles,
    create_article,
    delete_article,
    find_articles,
    get_article,
    get_version,
    page_articles,
    page_versions,
    restore_version,
    update_article,
)
from gptagent.features.knowledge.attachments.service import files_to_send, path_of
from gptagent.features.knowledge.categories.model import Within, within
from gptagent.features.knowledge.categories.service import read_tree
from gptagent.features.knowledge.citing import supporting_sentences
from gptagent.features.knowledge.documents import (
    DOCUMENT_ORDERS,
    INGEST_JOB,
    LIVE_TOPIC,
    claim_document,
    count_sources,
    delete_document,
    delete_documents_of,
    fail_document,
    get_document,
    list_documents,
    note_progress,
    page_documents,
    place_document,
    queue_again,
    record_entries,
    record_pieces,
    register_document,
    retry_document,
)
from gptagent.features.knowledge.drafts.model import from_words as draft_from_words
from gptagent.features.knowledge.drafts.prompting import read as read_draft
from gptagent.features.knowledge.drafts.prompting import request as draft_request
from gptagent.features.knowledge.drafts.service import may_ask_model, read_talk
from gptagent.features.knowledge.drafts.service import propose as propose_draft
from gptagent.features.knowledge.facts.model import Told
from gptagent.features.knowledge.facts.service import choose_facts
from gptagent.features.knowledge.facts.service import note_told as note_facts_told
from gptagent.features.knowledge.gaps.model import Asked
from gptagent.features.knowledge.gaps.service import forget_questions, note_question
from gptagent.features.knowledge.questions.asking import Asker
from gptagent.features.knowledge.questions.opening import opening_questions
from gptagent.features.knowledge.rebuilding.model import Leg, Proof
from gptagent.features.knowledge.rebuilding.service import prove, rebuild, rebuild_and_prove, workspaces
from gptagent.features.knowledge.reranking.service import Reranking
from gptagent.features.knowledge.retrieval import (
    Asking,
    add_related,
    best_sentences,
    is_answerable,
    read_question,
    refusal_support,
    search,
)
from gptagent.features.knowledge.scripts.service import find_scripts, give_scripts
from gptagent.features.knowledge.scripts.service import note_used as note_scripts_used
from gptagent.features.knowledge.scripts.variables import fill, placeholders_in, without_sentences
from gptagent.features.knowledge.vectors.service import Understanding

__all__ = [
    "ARTICLE_ORDERS",
    "DOCUMENT_ORDERS",
    "INGEST_JOB",
    "LIVE_TOPIC",
    "VERSION_ORDERS",
    "Asked",
    "Asker",
    "Asking",
    "Leg",
    "Proof",
    "Reranking",
    "Told",
    "Understanding",
    "Within",
    "add_related",
    "article_titles",
    "best_sentences",
    "change_articles",
    "choose_facts",
    "claim_document",
    "count_sources",
    "create_article",
    "delete_article",
    "delete_document",
    "delete_documents_of",
    "draft_from_words",
    "draft_request",
    "fail_document",
    "files_to_send",
    "fill",
    "find_articles",
    "find_scripts",
    "forget_questions",
    "get_article",
    "get_document",
    "get_version",
    "give_scripts",
    "is_answerable",
    "list_documents",
    "may_ask_model",
    "note_facts_told",
    "note_progress",
    "note_question",
    "note_scripts_used",
    "opening_questions",
    "page_articles",
    "page_documents",
    "page_versions",
    "path_of",
    "place_document",
    "placeholders_in",
    "propose_draft",
    "prove",
    "queue_again",
    "read_draft",
    "read_question",
    "read_talk",
    "read_tree",
    "rebuild",
    "rebuild_and_prove",
    "record_entries",
    "record_pieces",
    "refusal_support",
    "register_document",
    "restore_version",
    "retry_document",
    "search",
    "supporting_sentences",
    "update_article",
    "within",
    "without_sentences",
    "workspaces",
]
