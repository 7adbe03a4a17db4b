"""The numbers by which spaCy's files name strings: its reserved symbols, else a hash."""

from collections.abc import Iterable
from itertools import count

_LEXEME_FLAGS = """
IS_ALPHA IS_ASCII IS_DIGIT IS_LOWER IS_PUNCT IS_SPACE IS_TITLE IS_UPPER LIKE_URL LIKE_NUM LIKE_EMAIL IS_STOP
IS_OOV_DEPRECATED IS_BRACKET IS_QUOTE IS_LEFT_PUNCT IS_RIGHT_PUNCT IS_CURRENCY
"""
_OTHERS = """
ID ORTH LOWER NORM SHAPE PREFIX SUFFIX LENGTH CLUSTER LEMMA POS TAG DEP ENT_IOB ENT_TYPE HEAD SENT_START SPACY PROB LANG
ADJ ADP ADV AUX CONJ CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X EOL SPACE
"""
_NAMES = """
PERSON NORP FACILITY ORG GPE LOC PRODUCT EVENT WORK_OF_ART LANGUAGE LAW DATE TIME PERCENT MONEY QUANTITY ORDINAL CARDINAL
acomp advcl advmod agent amod appos attr aux auxpass cc ccomp complm conj cop csubj csubjpass dep det dobj expl hmod hyph
infmod intj iobj mark meta neg nmod nn npadvmod nsubj nsubjpass num number oprd obj obl parataxis partmod pcomp pobj poss
possessive preconj prep prt punct quantmod relcl rcmod root xcomp acl ENT_KB_ID MORPH ENT_ID IDX _
"""

SYMBOLS: dict[str, int] = dict(
    zip(
        [
            "",
            *_LEXEME_FLAGS.split(),
            *(f"FLAG{number}" for number in range(19, 64)),
            *_OTHERS.split(),
            *(f"DEPRECATED{number:03}" for number in range(1, 277)),
            *_NAMES.split(),
        ],
        count(),
        strict=False,
    )
)
"""The strings that spaCy 3 numbers by their place in a list (spacy.symbols), such as the usual names of entities."""

ORTH, ENT_IOB, ENT_TYPE = (SYMBOLS[name] for name in ("ORTH", "ENT_IOB", "ENT_TYPE"))

_MASK = (1 << 64) - 1
_MULTIPLIER = 0xC6A4A7935BD1E995
_SEED = 1


def strings_by_number(strings: Iterable[str]) -> dict[int, str]:
    """Return strings by the numbers that stand for them."""
    return {number_of(string): string for string in strings}


def number_of(string: str) -> int:
    """Return the number that spaCy gives a string: its symbol's, else its hash by MurmurHash64A."""
    symbol = SYMBOLS.get(string)
    return _murmur_hash(string.encode()) if symbol is None else symbol


def _murmur_hash(key: bytes) -> int:
    whole = len(key) // 8 * 8
    hashed = _SEED ^ (len(key) * _MULTIPLIER & _MASK)
    for start in range(0, whole, 8):
        block = int.from_bytes(key[start : start + 8], "little") * _MULTIPLIER & _MASK
        block = (block ^ (block >> 47)) * _MULTIPLIER & _MASK
        hashed = (hashed ^ block) * _MULTIPLIER & _MASK
    if whole < len(key):
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _MULTIPLIER & _MASK
    hashed = (hashed ^ (hashed >> 47)) * _MULTIPLIER & _MASK
    return hashed ^ (hashed >> 47)
