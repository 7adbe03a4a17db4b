"""Detect how most entity tags of a data set are spelled, and rewrite them as `stages.tags.schemes` reads them.

Besides `B-PER` there are `b-per`, `B_PER`, `PER-B`, bare `B`, BMES's `M-` and BMEWO's `W-`, and `0` or `o` for `O`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stages.configuration.schema import DataScheme
from stages.pipeline.errors import DataError
from stages.tags.schemes import OTHER_PREFIXES, OUTSIDE, UNTYPED, parse

_OUTSIDES = frozenset({"O", "o", "0"})
_LETTERS = {**{letter: letter for letter in "BIESLU"}, **OTHER_PREFIXES}
_PREFIX = "[BIESLUMWbieslumw]"
_FORMS = (
    re.compile(rf"(?P<prefix>{_PREFIX})-(?P<type>.+)"),
    re.compile(rf"(?P<prefix>{_PREFIX})[_:|/.](?P<type>.+)"),
    re.compile(rf"(?P<type>.+)[-_:|/.](?P<prefix>{_PREFIX})"),
    re.compile(rf"(?P<prefix>{_PREFIX})-?"),
)
"""Where the prefix of a tag can be. The form that most tags have is the data's; of equals, the first."""
_BARE = _FORMS[-1]
_MOST_SHOWN = 5
"""How many tags a message lists."""
_SURE = 0.5
"""The share of the tags of words in entities, beyond which a spelling is the data's."""
_SURE_IF_BARE = 0.9
"""The same for prefixes alone: single letters are parts of speech in some tag sets."""


@dataclass(frozen=True)
class Spelling:
    """How tags mark entities."""

    form: re.Pattern[str] | None
    """None: tags are types alone (`data.scheme=io`)."""
    types: frozenset[str]
    """The types of train."""

    def read(self, tag: str) -> str | None:
        """Return the tag as `parse` takes it apart; None if it is spelled otherwise than most are."""
        if tag in _OUTSIDES:
            return OUTSIDE
        return f"I-{tag}" if self.form is None else _read(tag, self.form)

    def read_leniently(self, tag: str) -> str:
        """Return what a tag in another spelling, or a type alone, stands for if its type occurs in train; else `O`."""
        for form in _FORMS:
            found = parse(_read(tag, form) or OUTSIDE)
            if found is not None and found.type in self.types:
                return f"{found.prefix}-{found.type}"
        alike = [name for name in sorted(self.types) if name.casefold() == tag.casefold()]
        return f"I-{alike[0]}" if alike else OUTSIDE


def spelling_of(counts: Mapping[str, int], scheme: DataScheme) -> Spelling | None:
    """Return the spelling that most tags have; None if they mark no entities. `counts`: how often each occurs in train.

    A `scheme` other than `auto` decides whether they mark entities. Raises DataError if most tags do not fit it.
    """
    inside = {tag: count for tag, count in counts.items() if tag not in _OUTSIDES}
    total = sum(inside.values())
    if scheme == "plain" or not total:
        return None
    read = [sum(count for tag, count in inside.items() if _read(tag, form)) for form in _FORMS]
    most_have_prefixes = max(read) > _SURE * total
    if scheme != "auto" and most_have_prefixes == (scheme == "io"):
        shown = ", ".join(sorted(inside)[:_MOST_SHOWN])
        raise DataError(
            f"data.scheme={scheme}: most tags of train are not in it ({shown}); set io for types without a prefix, plain "
            "for tags without entities, or auto"
        )
    if scheme == "io":
        return Spelling(None, frozenset(inside))
    best = max(range(len(_FORMS)), key=lambda place: read[place])
    form = _FORMS[best]
    if scheme == "auto" and read[best] <= (_SURE_IF_BARE if form is _BARE else _SURE) * total:
        return None
    found = (parse(_read(tag, form) or OUTSIDE) for tag in inside)
    return Spelling(form, frozenset(tag.type for tag in found if tag is not None and tag.type))


def _read(tag: str, form: re.Pattern[str]) -> str | None:
    match = form.fullmatch(tag)
    if match is None:
        return None
    prefix, type_ = _LETTERS[match["prefix"].upper()], match.groupdict().get("type", UNTYPED)
    return f"{prefix}-{type_}"
