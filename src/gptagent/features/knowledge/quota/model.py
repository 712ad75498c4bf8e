"""What the knowledge base takes, and what the plan has room for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """`articles_max` None: any number. Bytes are those of documents and of files that articles send."""

    articles: int
    articles_max: int | None
    storage_bytes: int
    storage_bytes_max: int

    @property
    def is_nearly_full(self) -> bool:
        """Whether less than a tenth of the storage, or of the articles, is left."""
        few = self.articles_max is not None and self.articles * 10 >= self.articles_max * 9
        return few or self.storage_bytes * 10 >= self.storage_bytes_max * 9
