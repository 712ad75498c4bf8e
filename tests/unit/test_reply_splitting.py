"""Where a long reply is cut into messages."""

from gptagent.features.dialog.splitting.model import PART_CHARS, PARTS_MAX, SPLIT_MIN_CHARS, cut

SENTENCE = "Delivery to Moscow costs 490 roubles and takes two days. "
LIST = "Bring with you:\n\n- your passport\n- the receipt\n- the box " + "x" * 60


def test_a_short_reply_is_one_message():
    assert cut(" Hello. ") == ("Hello.",)
    assert cut("x" * (SPLIT_MIN_CHARS - 1)) == ("x" * (SPLIT_MIN_CHARS - 1),)
    assert cut("") == ("",)


def test_a_long_one_is_cut_between_paragraphs_and_sentences_and_says_every_word_in_order():
    for text in (SENTENCE * 8, f"{SENTENCE * 4}\n\n{SENTENCE * 4}\n\n{LIST}", SENTENCE * 40, "y" * 3_000):
        parts = cut(text)
        assert " ".join(parts).split() == text.split()
        assert 1 <= len(parts) <= PARTS_MAX
        assert all(part == part.strip() and part for part in parts)
        assert all(len(part) <= max(PART_CHARS, len(text) // 3 + 1) for part in parts[:-1])
    assert len(cut(SENTENCE * 8)) == 2
    assert all(part.endswith(".") for part in cut(SENTENCE * 40))


def test_what_belongs_together_stays_together():
    announced = f"{SENTENCE * 5}\n\n{LIST}"
    assert cut(announced)[1].startswith("Bring with you:\n\n- your passport")
    quoted = f"«{SENTENCE * 8}»\n— Delivery"
    assert cut(quoted) == (quoted,)
    assert all(part.endswith("1.5 roubles.") for part in cut("It costs 1.5 roubles. " * 30)), "nor a number"
