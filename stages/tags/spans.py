"""Find the entities that tags mark, in all sentences at once: as CoNLL's script reads any tags, or strictly by a scheme."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import EntityScheme
from stages.pipeline.errors import DataError
from stages.tags.schemes import AS_IOBES, OUTSIDE, parse

Reading: TypeAlias = EntityScheme | Literal["conll"]
Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class TagSequences:
    """Tags of sentences, one sentence after the other."""

    codes: Integers
    """[words]: indices in `names`."""
    lengths: Integers
    """[sentences]: words in each."""
    names: Sequence[str]


@dataclass(frozen=True)
class Spans:
    """Entities, sorted by start. Words are counted through all sentences. All arrays have shape [entities]."""

    start: Integers
    end: Integers
    """The word behind the last."""
    type: Integers
    """An index in a list of types that the caller chose."""
    sentence: Integers

    @property
    def last_word(self) -> int:
        """The end of the last entity; 0 without any."""
        return int(self.end[-1]) if len(self.end) else 0

    def where(self, chosen: NDArray[np.bool_]) -> "Spans":
        """Return the entities that are chosen. `chosen`: [entities]."""
        return Spans(self.start[chosen], self.end[chosen], self.type[chosen], self.sentence[chosen])


@dataclass(frozen=True)
class _Patterns:
    """Which two neighbours begin, continue and end an entity.

    A pattern is the prefix before, the prefix behind, and `=` if their types must be equal, `!` if they must differ,
    `*` if either will do; a dot is any prefix. A sentence begins and ends with `O`.
    """

    starts: str
    inside: str
    ends: str


_CONLL = _Patterns(
    starts=".B* .S* .I! .E! OI* OE* EI* EE* SI* SE*",
    inside="BI= BE= II= IE=",
    ends=".B* .S* .I* .E* .O*",
)
"""As `stages.tags.schemes.decode` has it: every tag but `O` begins an entity or continues one."""

_STRICT: Mapping[EntityScheme, _Patterns] = {
    "iob1": _Patterns("OI* II! BI* IB= BB=", "BI= II=", "II! IO* IB* BO* BI! BB="),
    "iob2": _Patterns(".B*", "BI= II=", "IO* II! IB* BO* BI! BB*"),
    "ioe1": _Patterns("OI* II! EI* EE=", "II= IE=", "II! IO* IE! EI= EE="),
    "ioe2": _Patterns("OI* OE* EI* EE* II! IE!", "IE= II=", "E.*"),
    "iobes": _Patterns(".B* .S*", "BI= BE= II= IE=", "S.* E.*"),
    "bilou": _Patterns(".B* .U*", "BI= BL= II= IL=", "U.* L.*"),
}
"""The patterns of seqeval 1.2.2 (`seqeval.scheme`), so that strict scores are the ones that papers have."""

_PREFIXES = "OBIESLU"
PREFIXES_OF: Mapping[Reading, str] = {
    "conll": "OBIES", "iob1": "OBI", "iob2": "OBI", "ioe1": "OIE", "ioe2": "OIE", "iobes": "OBIES", "bilou": "OBILU",
}  # fmt: skip
_SAME_TYPE: Mapping[str, int | slice] = {"!": 0, "=": 1, "*": slice(None)}


def types_in(names: Sequence[str]) -> list[str]:
    """Return the types that entity tags name, sorted."""
    return sorted({tag.type for name in names if (tag := parse(name)) and tag.prefix != OUTSIDE})


def spans_of(tags: TagSequences, types: Sequence[str], reading: Reading) -> Spans:
    """Return the entities. `conll` reads every sequence of tags, whatever the scheme; a scheme only what is well-formed in it.

    Raises DataError if a tag that occurs has a prefix that the scheme does not have.
    """
    prefix, type_ = _parsed(tags, types, reading)
    patterns = _CONLL if reading == "conll" else _STRICT[reading]
    return _found(_with_edges(tags.lengths, prefix[tags.codes], type_[tags.codes]), patterns)


@dataclass(frozen=True)
class _Edged:
    """Words with an `O` behind each sentence, which is before the next one too; arrays of [words + sentences]."""

    prefix: Integers
    type: Integers
    sentence: Integers


def _parsed(tags: TagSequences, types: Sequence[str], reading: Reading) -> tuple[Integers, Integers]:
    """Return the prefix of each name as an index in `_PREFIXES`, and the type as one in `types` (-1 outside), [names]."""
    used = np.bincount(tags.codes, minlength=len(tags.names)) > 0
    code_of = {name: code for code, name in enumerate(types)}
    prefixes, codes = [], []
    for name, occurs in zip(tags.names, used.tolist(), strict=True):
        tag = parse(name)
        prefix = OUTSIDE if tag is None else tag.prefix
        if reading == "conll":
            prefix = AS_IOBES.get(prefix, prefix)
        if occurs and (tag is None or prefix not in PREFIXES_OF[reading]):
            raise DataError(
                f"tag {name} is not in scheme {reading}, whose prefixes are {', '.join(PREFIXES_OF[reading])}; choose another "
                "scheme, or plain for tags without prefixes"
            )
        prefixes.append(_PREFIXES.index(prefix))
        codes.append(-1 if prefix == OUTSIDE or tag is None else code_of[tag.type])
    return np.array(prefixes, np.int64), np.array(codes, np.int64)


def _with_edges(lengths: Integers, prefix: Integers, type_: Integers) -> _Edged:
    sentence = np.repeat(np.arange(len(lengths)), lengths + 1)
    is_word = np.ones(len(sentence), bool)
    is_word[np.cumsum(lengths + 1) - 1] = False
    edged = [np.full(len(sentence), filler) for filler in (_PREFIXES.index(OUTSIDE), -1)]
    edged[0][is_word], edged[1][is_word] = prefix, type_
    return _Edged(edged[0], edged[1], sentence)


def _found(words: _Edged, patterns: _Patterns) -> Spans:
    """Return the entities. Words that each continue the one before are a chain; an entity runs from its first start to its end.

    It is one only if what stands behind may end it: always so for CoNLL, not in all schemes.
    """
    starts, inside, ends = (_matches(words, each) for each in (patterns.starts, patterns.inside, patterns.ends))
    chain = np.cumsum(~inside)
    start = np.flatnonzero(starts)
    start = start[np.unique(chain[start], return_index=True)[1]]
    first_of_chain = np.append(np.flatnonzero(~inside), len(inside))
    end = first_of_chain[chain[start]]
    is_entity = ends[np.minimum(end, len(ends) - 1)] if len(ends) else np.zeros(0, bool)
    start, end = start[is_entity], end[is_entity]
    sentence = words.sentence[start]
    return Spans(start - sentence, end - sentence, words.type[start], sentence)


def _matches(words: _Edged, patterns: str) -> NDArray[np.bool_]:
    """Return whether each word and the one before it fit one of the patterns, [words + sentences]."""
    table = np.zeros((len(_PREFIXES), len(_PREFIXES), 2), bool)
    for pattern in patterns.split():
        rows, columns = (slice(None) if prefix == "." else _PREFIXES.index(prefix) for prefix in pattern[:2])
        table[rows, columns, _SAME_TYPE[pattern[2]]] = True
    outside = _PREFIXES.index(OUTSIDE)
    before_prefix = np.concatenate([[outside], words.prefix])[:-1]
    before_type = np.concatenate([[-1], words.type])[:-1]
    matched: NDArray[np.bool_] = table[before_prefix, words.prefix, (before_type == words.type).astype(np.int64)]
    return matched
