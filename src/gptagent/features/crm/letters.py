"""Letters: which of them somebody may answer, and what an answer is called. Pure."""

import re

from gptagent.features.crm.model import Letter
from gptagent.features.identity.model import normalise_email
from gptagent.features.mail.model import SUBJECT_MAX_CHARS

# Programs write from such addresses, and would answer an answer.
_PROGRAM = re.compile(
    r"(no|do-?not)[-_.]?reply|mailer-?daemon|postmaster|bounces?|notifications?", re.IGNORECASE
)
# How mail programs begin the subject of an answer or of what is passed on, in English and Russian.
_ANSWERED = re.compile(r"(re|fwd?|отв|ответ|пересл)(\[\d+\])?\s*:", re.IGNORECASE)


def is_answerable(letter: Letter) -> bool:
    """Whether a letter has an address of a person, and not one that programs write from."""
    local, _, _domain = letter.address.partition("@")
    return normalise_email(letter.address) is not None and _PROGRAM.match(local) is None


def answer_subject(subject: str) -> str:
    """Return the subject of an answer: `Re: ` once, in one line."""
    words = " ".join(subject.split())
    return (words if _ANSWERED.match(words) else f"Re: {words}")[:SUBJECT_MAX_CHARS]
