"""Tag schemes, which are ways to mark entities by tags of words: read, write, detect and check them.

The schemes are those of Ramshaw and Marcus (1995; IOB1), Tjong Kim Sang and Veenstra (1999; IOB2, IOE1, IOE2) and
Ratinov and Roth (2009; BILOU, of which IOBES is another spelling).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import EntityScheme, Scheme

OUTSIDE = "O"
"""The tag of a word that is in no entity."""

AS_IOBES: Mapping[str, str] = {"L": "E", "U": "S"}
"""BILOU's prefixes for the last word of an entity and for an entity of one word, in IOBES's letters."""
_UNKNOWN_PREFIX = ""


@dataclass(frozen=True)
class Entity:
    """The words `start` to `end`, exclusive, of a sentence."""

    type: str
    start: int
    end: int


class Tag(NamedTuple):
    """A tag, split into prefix and type. Outside of entities the prefix is `O` and the type empty."""

    prefix: str
    type: str


@dataclass(frozen=True)
class _Rules:
    """A scheme's prefixes, and which of them need a tag of the same type right before or after."""

    prefixes: str
    needs_previous: str = ""
    """The prefixes that may only stand right after one of `previous`."""
    previous: str = ""
    needs_next: str = ""
    """The prefixes that may only stand right before one of `next`."""
    next: str = ""

    def allow(self, before: str, after: str, *, same_type: bool) -> bool:
        """Whether prefix `after` may follow `before`; the edge of a sentence counts as `O`."""
        if not {before, after} <= {OUTSIDE, *self.prefixes}:
            return False
        has_previous = after not in self.needs_previous or (same_type and before in self.previous)
        has_next = before not in self.needs_next or (same_type and after in self.next)
        return has_previous and has_next


_RULES: Mapping[EntityScheme, _Rules] = {
    "iob2": _Rules("BI", needs_previous="I", previous="BI"),
    "iobes": _Rules("BIES", needs_previous="IE", previous="BI", needs_next="BI", next="IE"),
    "bilou": _Rules("BILU", needs_previous="IL", previous="BI", needs_next="BI", next="IL"),
    "ioe2": _Rules("IE", needs_next="I", next="IE"),
    "iob1": _Rules("BI", needs_previous="B", previous="BI"),
    "ioe1": _Rules("IE", needs_next="E", next="IE"),
}
"""In order of preference, for tags that fit several schemes. Tags that all begin with `I-`, for example, are IOB1."""
assert set(_RULES) == set(get_args(EntityScheme))


@lru_cache(maxsize=1 << 14)
def parse(tag: str) -> Tag | None:
    """Split a tag into prefix and type; None if it is neither `O` nor a prefix of BIESLU, a hyphen and a type."""
    if tag == OUTSIDE:
        return Tag(OUTSIDE, "")
    if tag[:1] in set("BIESLU") and tag[1:2] == "-" and len(tag) > 2:
        return Tag(tag[0], tag[2:])
    return None


def are_entity_tags(names: Collection[str]) -> bool:
    """Whether labels are entity tags. Scored by seqeval, plain tags would turn into types of its own making ("OUN")."""
    return all(parse(name) is not None for name in names) and any(name != OUTSIDE for name in names)


UNTYPED = "_"
"""The type of entities whose tags are prefixes alone, as seqeval calls it."""
_BARE = frozenset("OBIESLU")
OTHER_PREFIXES: Mapping[str, str] = {"M": "I", "W": "S"}
"""BMES's prefix for a word inside an entity, and BMEWO's for an entity of one word, in IOBES's letters."""


def spelled_out(names: Sequence[str], known: Collection[str] | None = None) -> list[str]:
    """Write tags that mark entities in other ways as those that `parse` takes apart; others stay as they are.

    Prefixes without types (`B`, `I`, `O`) get the type `_`, if all of `known` are such prefixes: a lone `B` among parts of
    speech is none. `M-` (BMES) becomes `I-`, and `W-` (BMEWO) `S-`. `known`: the tags that are sure to be of the data; if None,
    `names` are.
    """
    are_bare = set(names if known is None else known) <= _BARE
    return [_spelled_out(name, are_bare=are_bare) for name in names]


def _spelled_out(name: str, *, are_bare: bool) -> str:
    if are_bare and name in _BARE and name != OUTSIDE:
        return f"{name}-{UNTYPED}"
    is_other = name[:1] in OTHER_PREFIXES and name[1:2] == "-"
    return OTHER_PREFIXES[name[0]] + name[1:] if is_other else name


def decode(tags: Iterable[str]) -> list[Entity]:
    """Return the entities of a sentence, as CoNLL's scoring script reads them, whatever the scheme.

    All schemes are read alike, and every sequence means something: an entity begins where one can't go on, so that
    a misplaced `I-` begins one. Tags without a prefix are outside.
    """
    found: list[Entity] = []
    before = Tag(OUTSIDE, "")
    for place, tag in enumerate(tags):
        after = parse(tag) or Tag(OUTSIDE, "")
        if _goes_on(before, after):
            found[-1] = Entity(after.type, found[-1].start, place + 1)
        elif after.prefix != OUTSIDE:
            found.append(Entity(after.type, place, place + 1))
        before = after
    return found


def encode(entities: Iterable[Entity], length: int, scheme: EntityScheme) -> list[str]:
    """Return the tags of a sentence of `length` words. Entities may be in any order, and do not overlap."""
    ordered = sorted(entities, key=lambda entity: entity.start)
    assert all(before.end <= after.start for before, after in pairwise(ordered))
    tags = [OUTSIDE] * length
    for place, entity in enumerate(ordered):
        adjoins = place > 0 and _adjoin(ordered[place - 1], entity)
        adjoined = place + 1 < len(ordered) and _adjoin(entity, ordered[place + 1])
        prefixes = _prefixes(entity.end - entity.start, scheme, adjoins=adjoins, adjoined=adjoined)
        assert entity.end <= length
        tags[entity.start : entity.end] = [f"{prefix}-{entity.type}" for prefix in prefixes]
    return tags


def convert(tags: Iterable[str], target: EntityScheme) -> list[str]:
    """Return tags of the same entities in scheme `target`. In the same scheme, this corrects malformed tags."""
    tags = list(tags)
    return encode(decode(tags), len(tags), target)


def names_in_scheme(names: Iterable[str], scheme: EntityScheme) -> tuple[str, ...]:
    """Return all tags of a scheme for the types in `names`: `O`, then type by type in the order in which they first occur."""
    types = dict.fromkeys(tag.type for name in names if (tag := parse(name)) and tag.prefix != OUTSIDE)
    return (OUTSIDE, *(f"{prefix}-{type_}" for type_ in types for prefix in _RULES[scheme].prefixes))


def inside_tag(tag: str, names: Collection[str]) -> str:
    """Return the tag of a word's sub-words after the first, if all are labelled; `tag` itself if `names` lacks it.

    A beginning goes on as `I-`, as transformers' token classification example has it (`label_all_tokens`), and so
    does a whole entity (`S-`, `U-`). Other tags stay.
    """
    parsed = parse(tag)
    if parsed is None or parsed.prefix not in "BSU":
        return tag
    inside = f"I-{parsed.type}"
    return inside if inside in names else tag


Bigrams: TypeAlias = Mapping[tuple[str | None, str | None], int]
"""How often each tag stands right before each other; None is the edge of a sentence, on either side."""


def bigrams(codes: NDArray[np.int64], lengths: NDArray[np.int64], names: Sequence[str]) -> Bigrams:
    """Count the neighbours in sentences, which are given as `illegal_transitions` takes them."""
    edge = len(names)
    before, after, _ = _transitions(codes, lengths, edge)
    pairs, counts = np.unique(before * (edge + 1) + after, return_counts=True)
    tags = [*names, None]
    places = ((tags[pair // (edge + 1)], tags[pair % (edge + 1)]) for pair in pairs.tolist())
    return dict(zip(places, counts.tolist(), strict=True))


class SchemeDetector:
    """Detects the scheme of tags that are added bit by bit. Keeps only counts of neighbouring prefixes."""

    def __init__(self) -> None:
        self._kinds: Counter[tuple[str, str, bool]] = Counter()

    def add(self, tags: Sequence[str]) -> None:
        """Add a sentence."""
        self.add_bigrams(Counter(pairwise([None, *tags, None])))

    def add_codes(self, codes: NDArray[np.int64], lengths: NDArray[np.int64], names: Sequence[str]) -> None:
        """Add sentences as `illegal_transitions` takes them."""
        self.add_bigrams(bigrams(codes, lengths, names))

    def add_bigrams(self, counts: Bigrams) -> None:
        """Add what `bigrams` has counted."""
        unknown = Tag(_UNKNOWN_PREFIX, "")
        for pair, count in counts.items():
            before, after = (parse(tag or OUTSIDE) or unknown for tag in pair)
            self._kinds[before.prefix, after.prefix, before.type == after.type] += count

    @property
    def scheme(self) -> Scheme:
        """The scheme that has all the prefixes, and most rarely a tag where it may not stand.

        `plain` if any tag has no prefix, or if all are `O`.
        """
        seen = {prefix for before, after, _ in self._kinds for prefix in (before, after)} - {OUTSIDE}
        if not seen or _UNKNOWN_PREFIX in seen:
            return "plain"

        def faults(scheme: EntityScheme) -> tuple[int, int]:
            rules = _RULES[scheme]
            illegal = sum(
                count
                for (before, after, same_type), count in self._kinds.items()
                if not rules.allow(before, after, same_type=same_type)
            )
            return len(seen - set(rules.prefixes)), illegal

        return min(_RULES, key=faults)


def detect(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Return the scheme of sentences of tags, in one pass."""
    detector = SchemeDetector()
    for tags in sentences:
        detector.add(tags)
    return detector.scheme


def illegal_transitions(
    codes: NDArray[np.int64], lengths: NDArray[np.int64], names: Sequence[str], scheme: Scheme
) -> NDArray[np.int64]:
    """Return the words whose tags may not stand where they do, in ascending order.

    `codes` [words] are indices in `names`, or -1 for a word that is not labelled, which is taken to be outside;
    `lengths` [sentences]. Of two tags that may not be neighbours the second is at fault; at the end of a sentence it
    is the last. A tag that the scheme does not have is at fault itself, and so is its right neighbour.
    """
    if scheme == "plain":
        return np.zeros(0, np.int64)
    before, after, word = _transitions(codes, lengths, len(names))
    return np.unique(word[~legal_transitions(tuple(names), scheme)[before, after]])


def _transitions(
    codes: NDArray[np.int64], lengths: NDArray[np.int64], edge: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of neighbours, with `edge` before, between and after sentences, and the word each pair is about.

    Shapes: [words + sentences] each.
    """
    ends = np.cumsum(lengths)
    assert len(codes) == lengths.sum()
    sentence_of_pair = np.repeat(np.arange(len(lengths)), lengths + 1)
    word = np.arange(len(sentence_of_pair)) - sentence_of_pair
    is_last = word == ends[sentence_of_pair]
    padded = np.full(len(word) + 1, edge, np.int64)
    padded[1:][~is_last] = np.where(codes < 0, edge, codes)
    return padded[:-1], padded[1:], word - is_last


@lru_cache(maxsize=64)
def legal_transitions(names: tuple[str, ...], scheme: EntityScheme) -> NDArray[np.bool_]:
    """Return whether the tag of the column may follow that of the row, [labels + 1, labels + 1].

    The last row and column are the edge of a sentence. What is no tag of the scheme may stand nowhere.
    """
    tags = [parse(name) or Tag(_UNKNOWN_PREFIX, "") for name in (*names, OUTSIDE)]
    prefixes, prefix = np.unique([tag.prefix for tag in tags], return_inverse=True)
    type_ = np.unique([tag.type for tag in tags], return_inverse=True)[1]
    allowed = np.array(
        [
            [[_RULES[scheme].allow(str(row), str(column), same_type=same) for column in prefixes] for row in prefixes]
            for same in (False, True)
        ]
    )
    table: NDArray[np.bool_] = allowed[(type_[:, None] == type_[None, :]).astype(int), prefix[:, None], prefix[None, :]]
    return table


def _goes_on(before: Tag, after: Tag) -> bool:
    """Whether a word belongs to the entity of the word before it."""
    prefixes = tuple(AS_IOBES.get(tag.prefix, tag.prefix) for tag in (before, after))
    return before.type == after.type and prefixes in {("B", "I"), ("B", "E"), ("I", "I"), ("I", "E")}


def _adjoin(before: Entity, after: Entity) -> bool:
    return before.end == after.start and before.type == after.type


def _prefixes(length: int, scheme: EntityScheme, *, adjoins: bool, adjoined: bool) -> str:
    """Return the prefixes of an entity's words.

    `adjoins`: an entity of the same type ends right before it. `adjoined`: one begins right after it.
    """
    assert length > 0
    match scheme:
        case "iob1":
            return ("B" if adjoins else "I") + "I" * (length - 1)
        case "iob2":
            return "B" + "I" * (length - 1)
        case "ioe1":
            return "I" * (length - 1) + ("E" if adjoined else "I")
        case "ioe2":
            return "I" * (length - 1) + "E"
        case "iobes":
            return "S" if length == 1 else "B" + "I" * (length - 2) + "E"
        case "bilou":
            return "U" if length == 1 else "B" + "I" * (length - 2) + "L"
