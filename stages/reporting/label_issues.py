"""The section on gold labels that are probably wrong: one reads the text, the given label and the suggested one."""

from collections.abc import Iterator, Sequence

from stages.reporting.excerpts import excerpt, shortened
from stages.reporting.markup import Html, joined, tag
from stages.reporting.sections import section
from stages.scoring.core.predicted import ScoringRules
from stages.scoring.label_errors.issue_table import IssueTable, RankedIssue, Source, issue_table

NAME = "label-issues"
MOST_EXAMPLES = 100
"""Texts or sentences that the page shows."""
BUDGET = 400_000
"""Bytes that they may take: a text or a word can be of any length, and have any number of issues."""


def issues_in(sources: Sequence[Source], rules: ScoringRules) -> IssueTable | None:
    """Rank the issues of predictions; None where they are of numbers, without every label's probability, or without gold."""
    if not sources or any(each.file.probabilities is None for each in sources):
        return None
    return issue_table(sources, rules)


def summary_of(issues: IssueTable) -> str:
    """Say how many labels are in doubt, where, and how far that is to be trusted."""
    splits = " and ".join(issues.splits)
    said = (
        f"Confident learning considers {issues.errors:,} gold labels in {splits} wrong; the model contradicts "
        f"{len(issues.issues) - issues.errors:,} more. The weaker the model, the more of these labels are right, so read them "
        "before you change any."
    )
    if "validation" not in issues.splits:
        return said
    return f"{said} Validation chose the checkpoint, so the model agrees with its labels slightly more than it should."


def section_of(issues: IssueTable | None) -> Html:
    """Return the section; nothing where nothing was looked for."""
    if issues is None:
        return Html()
    if not issues.issues:
        return section(NAME, "Label issues", tag("p", "The model contradicts no gold label."))
    examples = list(issues.by_example())
    shown = list(_within_budget(map(_example, examples[:MOST_EXAMPLES])))
    counted = f"Shown: {len(shown):,} of {len(examples):,} examples, the most doubtful first."
    rest = [" ", tag("code", "stagewright label-issues --out FILE"), " writes all."]
    return section(
        NAME,
        "Label issues",
        tag("p", summary_of(issues)),
        tag("p", counted, *(rest if len(shown) < len(examples) else [])),
        tag("ol", *shown, class_="issues"),
    )


def _within_budget(items: Iterator[Html]) -> Iterator[Html]:
    used = 0
    for item in items:
        used += len(item.encode())
        if used > BUDGET:
            return
        yield item


def _example(issues: Sequence[RankedIssue]) -> Html:
    first = issues[0]
    meta = tag("p", tag("span", first.split), tag("span", first.id), class_="meta")
    texts = (
        [_sentence(issues)]
        if first.tokens
        else [tag("p", shortened(text), class_="text", dir="auto") for text in first.texts]
    )
    return tag("li", meta, *texts, tag("ul", *map(_issue, issues), class_="mistakes"), class_="example")


def _issue(issue: RankedIssue) -> Html:
    """Return the given and the suggested label, with the probabilities of both."""
    found = issue.issue
    return tag(
        "li",
        f"{issue.kind}: ",
        tag("b", shortened(issue.given)),
        f" ({found.given_probability:.3f}) is given, ",
        tag("b", shortened(issue.suggested)),
        f" ({found.suggested_probability:.3f}) is suggested",
        "" if found.is_error else " (by the model alone)",
    )


def _sentence(issues: Sequence[RankedIssue]) -> Html:
    """Return the words of a sentence, with those of the issues marked."""
    tokens = issues[0].tokens
    marked = {word for issue in issues for word in range(*issue.words)}
    start, end = excerpt(len(tokens), issues[0].words[0])
    words = (tag("mark", shortened(tokens[k])) if k in marked else shortened(tokens[k]) for k in range(start, end))
    shown = joined(piece for word in words for piece in (" ", word))
    return tag("p", "… " if start else "", shown, " …" if end < len(tokens) else "", class_="sentence", dir="auto")
