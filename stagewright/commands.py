"""The commands, each with the module that it stands for. Listing them imports no library."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """What `stagewright NAME ARGUMENT…` runs: `python -m MODULE ARGUMENT…`."""

    name: str
    about: str
    module: str
    in_project: bool = False
    """Whether it works only in a project: a clone, or what `stagewright new` makes."""
    reads_code: bool = False
    """Whether it makes DVC look for changed code, so that a project's digests have to be current."""


GROUPS: Mapping[str, tuple[Command, ...]] = {
    "run the pipeline": (
        Command(
            "run",
            "compose, run what has changed, write the report, print the scores",
            "stagewright.run",
            in_project=True,
            reads_code=True,
        ),
        Command(
            "compose",
            "compose conf/ into params.yaml",
            "stages.configuration.compose",
            in_project=True,
            reads_code=True,
        ),
        Command(
            "reproduce",
            "run what has changed, with params.yaml as it is",
            "stages.reproduction.reproduce",
            in_project=True,
            reads_code=True,
        ),
        Command("stage", "run a single stage, even if nothing has changed", "stagewright.stage", in_project=True),
        Command("look", "show how the data are read, without writing anything", "stagewright.look", in_project=True),
        Command(
            "sweep", "run trials as DVC experiments on all devices, and rank them", "stages.sweep", in_project=True
        ),
    ),
    "read the results": (
        Command("summary", "print the scores, and where the outputs are", "stages.reporting.summary", in_project=True),
        Command("report", "write the report of the run as one HTML page", "stages.reporting.write", in_project=True),
        Command("compare", "test whether one run is better than another", "stages.comparison.compare"),
        Command(
            "pull-request", "print the comment on a pull request", "stages.comparison.pull_request", in_project=True
        ),
        Command("post-comment", "post that comment, or update it", "stages.comparison.post_comment"),
        Command("score", "score the predictions of any system", "stages.scoring.score"),
        Command("label-issues", "find gold labels that are probably wrong", "stages.label_issues", in_project=True),
    ),
    "use the model": (
        Command("predict", "label new data", "stages.predict"),
        Command("serve", "answer requests for predictions over HTTP", "stages.serve"),
        Command("push", "upload the exported model to the Hugging Face Hub", "stages.push", in_project=True),
    ),
    "set up": (
        Command("new", "start a project of your own", "stagewright.new"),
        Command("completion", "print a script that completes commands in your shell", "stagewright.completion"),
    ),
}

COMMANDS: Mapping[str, Command] = {command.name: command for group in GROUPS.values() for command in group}
