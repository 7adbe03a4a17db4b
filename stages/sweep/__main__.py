"""`stagewright sweep -S KEY=VALUE,VALUE …`: run the trials of a sweep on all devices, each as a DVC experiment.

-S takes Hydra's syntax: `seed=1,2,3`, `train.epochs=range(1,4)`, and with --trials also `interval(1e-5,1e-3)`. It runs
every combination, or with --trials N the N trials that Optuna chooses. All are validated before anything starts.

Running the same command again skips finished trials and does the rest. Other commands: status, report, logs, retry, stop, clean.

Examples:
  stagewright sweep -S 'train.learning_rate=1e-5,5e-5' -S 'seed=1,2,3'       every combination
  stagewright sweep -S 'train.learning_rate=interval(1e-5,1e-3)' --trials 40 --prune
  stagewright sweep status
  stagewright sweep report --html leaderboard.html
"""

import argparse
import math
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

from stages.pipeline.argument_types import count, number
from stages.pipeline.errors import ConfigError
from stages.pipeline.lock import hold, holder
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.paths import CONF, PARAMS, SWEEPING
from stages.sweep.display import display, failures, status_lines
from stages.sweep.node import CHECKPOINTS, TOKEN, remove_local_folder
from stages.sweep.record import (
    CHECKPOINTS_OF_SWEEPS,
    SWEEPS,
    SweepOptions,
    SweepRecord,
    chosen_folder,
    chosen_record,
    find_record,
    find_trial,
    folders,
    read_record,
    remove_sweep,
    require_name,
)

if TYPE_CHECKING:
    from stages.sweep.search import TrialSource

_COMMANDS = ("run", "status", "report", "logs", "retry", "stop", "clean")


def run(options: SweepOptions, name: str | None) -> int:
    """Run a sweep, or continue the one with this name. Return 0, 1 if a trial failed, or 128 + the signal that stopped it."""
    from stages.sweep.cluster import prepare_import

    prepare_import()
    from stages.sweep import repository
    from stages.sweep.trials import digest

    base = repository.clean_commit()
    name = name or f"sweep-{digest([sorted(options.overrides), options.trials is not None])}"
    require_name(name)
    with hold(SWEEPING, f"sweep {name}"):
        record = _record(name, base, options)
        signum = _run_trials(record)
        record.remove_clones()
        for line in (f"{name}: {record.counts()}", *failures(record.trials)):
            print(line)
    if signum:
        print("to continue, run the same command again, or `stagewright sweep retry`", file=sys.stderr)
        return 128 + signum
    return int(any(trial.state == "failed" for trial in record.trials))


def _run_trials(record: SweepRecord) -> int:
    """Run all trials that are not done. Return the signal that stopped the sweep; 0 if none did."""
    from stages.sweep import repository
    from stages.sweep.cluster import clean_machines, connected, gpus_per_job, package_versions
    from stages.sweep.driver import Driver
    from stages.sweep.trials import params_left_out

    options = record.call
    source, sharing = _source(record), repository.sharing(record.folder, options.remote)
    with connected(options.address), display() as shown:
        if keys := params_left_out(options.overrides):
            shown.event(
                f"{PARAMS}: trials are composed from {CONF}/ and -S alone, without {', '.join(keys)}; "
                "give what you want with -S"
            )
        shown.event(f"{record.name}: {record.counts()}")
        driver = Driver(
            record,
            source,
            sharing,
            shown,
            gpus=gpus_per_job(options.gpus_per_job),
            packages=package_versions(),
            checkpoints=os.environ.get(CHECKPOINTS),
        )
        driver.run()
        if options.remote and record.has_ended():
            clean_machines(sharing.token)
    return driver.signum


def _record(name: str, base: str, options: SweepOptions) -> SweepRecord:
    """Return the record of the sweep if it was begun on this commit, so that it continues; else a new one."""
    record = find_record(name)
    if record is not None and sorted(record.call.overrides) != sorted(options.overrides):
        raise ConfigError(
            f"--name {name}: is the name of a sweep of other values ({' '.join(record.call.overrides)}); choose another "
            f"name, or remove its logs with `stagewright sweep clean {name}`"
        )
    if record is None or record.base != base:
        if record is not None:
            print(f"{name}: starts again on this commit; its logs of {record.base[:7]} are removed")
        record = SweepRecord(name, base, options)
        remove_sweep(record.folder)
    record.call = options
    for trial in record.trials:
        if trial.state in ("running", "failed", "stopped"):
            trial.state, trial.attempts = "waiting", 0
    record.folder.mkdir(parents=True, exist_ok=True)
    return record


def _source(record: SweepRecord) -> "TrialSource":
    """Return the source of the sweep's trials. Raises ConfigError if one of them is not valid."""
    from stages.sweep.search import Grid, Search

    options = record.call
    if options.trials is None:
        if options.prune:
            raise ConfigError("--prune: stops trials of a search; give the number of trials with --trials")
        grid = Grid(record.name, options.overrides)
        record.add(grid.trials)
        return grid
    journal = record.folder / "optuna.journal"
    return Search(record.name, options.overrides, options.trials, prune=options.prune, journal=journal)


def _status(name: str | None) -> None:
    running = holder(SWEEPING)
    for folder in [chosen_folder(name)] if name else folders():
        record = read_record(folder)
        print("\n".join(status_lines(record)))
        for line in failures(record.trials):
            print(line)
    print(f"running: {running}" if running else "no sweep is running")


def _report(arguments: argparse.Namespace) -> None:
    from stages.sweep.leaderboard.command import ReportOptions, report

    report(
        ReportOptions(
            arguments.sweep, arguments.metric, arguments.level, arguments.markdown, arguments.json, arguments.html
        )
    )


def _logs(name: str, sweep: str | None) -> None:
    record = chosen_record(sweep)
    file = record.log(find_trial(record, name).name)
    if not file.is_file():
        raise ConfigError(f"{name}: has no log yet; see `stagewright sweep status`")
    sys.stdout.buffer.write(file.read_bytes())


def _stop() -> None:
    """Ask the running sweep to stop its trials, which then write checkpoints."""
    running = holder(SWEEPING)
    if running is None:
        raise ConfigError("no sweep is running here")
    os.kill(running.pid, signal.SIGTERM)
    print(f"{running.name}: stopping; `stagewright sweep retry` continues it")


def _clean(name: str | None, address: str | None) -> None:
    """Remove logs and clones; without a name also the checkpoints of all sweeps. Experiments stay."""
    with hold(SWEEPING, "sweep clean"):
        for folder in [chosen_folder(name)] if name else folders():
            remove_sweep(folder)
            print(f"{folder.name}: removed its logs and clones; its experiments stay")
        if name is None:
            shutil.rmtree(CHECKPOINTS_OF_SWEEPS, ignore_errors=True)
            _clean_caches(address)


def _clean_caches(address: str | None) -> None:
    """Remove the caches and checkpoints of this project's sweeps where no disk is shared: here, and on a cluster's machines."""
    file = SWEEPS / TOKEN
    if not file.is_file():
        return
    token = file.read_text(encoding="utf-8")
    remove_local_folder(token)
    if address is not None:
        from stages.sweep.cluster import clean_machines, connected, prepare_import

        prepare_import()
        with connected(address):
            clean_machines(token)


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["run", *words]
    arguments = parser().parse_args(words)
    with one_line_errors():
        match arguments.command:
            case "run":
                sys.exit(run(_options(arguments), arguments.name))
            case "status":
                _status(arguments.name)
            case "report":
                _report(arguments)
            case "logs":
                _logs(arguments.trial, arguments.name)
            case "retry":
                record = chosen_record(arguments.name)
                sys.exit(run(record.call, record.name))
            case "stop":
                _stop()
            case "clean":
                _clean(arguments.name, arguments.address)


def _options(arguments: argparse.Namespace) -> SweepOptions:
    if not arguments.set_param:
        raise ConfigError("nothing is swept; give values, as in -S 'seed=1,2,3'")
    return SweepOptions(
        tuple(arguments.set_param),
        arguments.trials,
        arguments.prune,
        arguments.gpus_per_job,
        arguments.cpus_per_job,
        arguments.jobs,
        arguments.retries,
        arguments.address,
        arguments.remote,
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="stagewright sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="{" + ",".join(_COMMANDS) + "}")
    add = commands.add_parser("run", help="run trials; the default command").add_argument
    add(
        "-S", "--set-param", action="append", metavar="KEY=VALUE,…", help="values to sweep, or one value for all trials"
    )
    add("--name", help="the name of the sweep, with which its trials' names begin; default: from the swept keys")
    add("--trials", type=count, help="the number of trials of a search, each chosen from the results of the others")
    add("--prune", action="store_true", help="stop trials early if their validation scores lag behind")
    add("--gpus-per-job", type=_gpus, metavar="N", help="default: 1 where there are GPUs; 0.5 puts two on each")
    add("--cpus-per-job", type=count, metavar="N", help="default: threads x train.processes of the configuration")
    add("--jobs", type=count, metavar="N", help="the maximum number of trials at once")
    add(
        "--retries",
        type=int,
        default=2,
        metavar="N",
        help="further attempts if a trial's machine or process is lost; default: 2",
    )
    add("--address", help="the address of a Ray cluster, such as HEAD:6379; default: only this machine")
    add("--remote", metavar="NAME", help="the DVC remote for data and results, if the machines share no disk")
    for command, text, default in (
        ("status", "show sweeps and their trials", "all"),
        ("retry", "continue a sweep, and retry the trials that failed", "the newest"),
        ("clean", "remove logs, clones and checkpoints", "all"),
    ):
        added = commands.add_parser(command, help=text)
        added.add_argument("name", nargs="?", help=f"the name of a sweep; default: {default}")
        if command == "clean":
            added.add_argument(
                "--address", help="the address of a Ray cluster whose machines share no disk: clean them too"
            )
    commands.add_parser("stop", help="stop the running sweep; its trials write checkpoints")
    add = commands.add_parser("report", help="print the leaderboard of all experiments on this commit").add_argument
    add("--sweep", metavar="NAME", help="only the experiments of this sweep")
    add("--metric", help="rank by this metric; default: task.metric")
    add(
        "--level",
        type=float,
        default=0.05,
        help="the accepted probability that the best is not among those marked as indistinguishable",
    )
    add("--markdown", metavar="FILE", help="write Markdown; - for standard output")
    add("--json", metavar="FILE", help="write JSON; - for standard output")
    add("--html", metavar="FILE", help="write one page that opens from disk, with charts")
    logs = commands.add_parser("logs", help="print the output of a trial")
    logs.add_argument("trial", help="the name of a trial, or its end")
    logs.add_argument("--name", help="the name of the sweep; default: the newest")
    return made


def _gpus(text: str) -> float:
    value = number(text)
    if not 0 <= value < math.inf or (value > 1 and value != int(value)):
        raise argparse.ArgumentTypeError(f"{text} is neither a fraction of one GPU nor a whole number of GPUs")
    return value


if __name__ == "__main__":
    main()
