"""The driver of a sweep: it starts trials where machines have room, watches them, retries lost ones and collects the results.

Its state is in the sweep's record. If the driver dies, its trials die with it, and the same command continues the sweep.
"""

import json
import math
import re
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import ray
from ray.exceptions import GetTimeoutError, OutOfMemoryError, RayActorError, RayTaskError

from stages.pipeline.errors import first_line
from stages.pipeline.git import file_at
from stages.pipeline.paths import TRAIN_METRICS
from stages.sweep import repository
from stages.sweep.cluster import Resources, capacity, require_local_node, start
from stages.sweep.node import Job, Machine, Outcome, Progress, Purpose, Sharing
from stages.sweep.record import State, SweepRecord, TrialRecord
from stages.sweep.search import TrialSource
from stages.sweep.trials import Trial

TICK = 1.0
"""Seconds between two polls of the running jobs."""
_ANSWER = 10.0
"""Seconds that a worker has to answer."""
_STOPPING = 60.0
"""Seconds that trials have to end when the sweep is stopped."""
_SIGNALLED = 128
"""Above this, an exit status is that of a signal."""
_NEEDS_MEMORY = "run fewer at once with --jobs"
_STAGE_BEGINS = re.compile(rb"(?:Running stage|Stage) '(\w+)'")


class Display(Protocol):
    """Shows a user the progress of the sweep."""

    def event(self, text: str) -> None:
        """Show something that has happened."""

    def show(self, record: SweepRecord) -> None:
        """Show the state of all trials."""


@dataclass
class _RunningJob:
    """A job and its worker."""

    job: Job
    worker: Any
    """Ray's handle of the `node.Worker`."""
    outcome: Any
    """Ray's reference to the Outcome."""
    machine: Any
    """Ray's reference to the Machine; None once it has been read."""
    trial: Trial
    offset: int = 0
    """How many bytes of its log have been read."""
    progress: Any = None
    """Ray's reference to a Progress that has been asked for."""
    reported: int = 0
    """How many of its validation scores the source has been given."""
    is_pruned: bool = False

    @property
    def purpose(self) -> Purpose:
        return self.job.purpose


class Driver:
    """Runs the trials of a source, each as a DVC experiment."""

    def __init__(
        self,
        record: SweepRecord,
        source: TrialSource,
        sharing: Sharing,
        display: Display,
        *,
        gpus: float,
        packages: Mapping[str, str],
        checkpoints: str | None,
    ) -> None:
        """Put the base commit where workers can read it.

        `gpus`: GPUs for each trial. `packages`: the driver's version of each package. `checkpoints`: a folder for checkpoints;
        None for the sweep's own.
        """
        self._record, self._source, self._sharing, self._display = record, source, sharing, display
        self._gpus, self._packages, self._checkpoints = gpus, packages, checkpoints
        self._bundle = ray.put(repository.bundle(record.base))
        self._running: list[_RunningJob] = []
        self._waiting: list[Trial] = []
        self._records = {trial.name: trial for trial in record.trials}
        self._finished = repository.finished(record.base)
        """The revision of each experiment that exists, by its name."""
        self._prepared: set[str] = set()
        """`Trial.shared` of the trials whose shared stages (download, tokenize) have succeeded."""
        self._broken: dict[str, tuple[int, str]] = {}
        """By `Trial.shared`, the status and error of shared stages that have failed."""
        self._attempts: Counter[str] = Counter()
        """How often each job was started, by its name."""
        self._reported: set[tuple[str, tuple[str, ...]]] = set()
        """The machines whose differences have been shown, each with these."""
        self.signum = 0
        """The signal that stops the sweep; 0 before one has come."""

    def run(self) -> None:
        """Run all trials, until they have ended or a signal comes."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells set it for background jobs
                signal.signal(number, self._handle_signal)
        self._start_jobs()
        while self._running and not self.signum:
            self._poll()
            self._start_jobs()
        if self.signum:
            self._stop()
        self._record.write()

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signum:
            raise SystemExit(_SIGNALLED + number)  # the second time: at once
        self.signum = number

    def _poll(self) -> None:
        """Wait for a job to end, at most `TICK` seconds, and update the progress of all others."""
        ended, _ = ray.wait([job.outcome for job in self._running], timeout=TICK)
        for job in [job for job in self._running if job.outcome in ended]:
            self._running.remove(job)
            self._on_end(job)
        for job in self._running:
            self._poll_job(job)
        self._display.show(self._record)

    def _stop(self) -> None:
        self._display.event(f"stopping {len(self._running)} trials, which write their checkpoints")
        for job in self._running:
            job.worker.stop.remote()
        until = time.monotonic() + _STOPPING
        while self._running and time.monotonic() < until:
            self._poll()
        for job in self._running:
            self._set_state(job.trial, "stopped")

    # The next job

    def _start_jobs(self) -> None:
        """Start as many jobs as fit."""
        while not self.signum:
            chosen = self._next_job()
            if chosen is None:
                return
            trial, purpose = chosen
            self._start(trial, purpose)

    def _next_job(self) -> tuple[Trial, Purpose] | None:
        """Return the next job; None if no other fits, or all that are left wait for a running one."""
        preparing = {job.trial.shared for job in self._running if job.purpose == "prepare"}
        while True:
            for trial in self._waiting:
                if not self._has_room(trial):
                    return None
                if trial.shared in self._prepared:
                    self._waiting.remove(trial)
                    return trial, "run"
                if trial.shared not in preparing:
                    return trial, "prepare"
            if self._waiting and len(self._waiting) + len(self._running) >= self._capacity(self._waiting[0]):
                return None  # a search chooses better the later it is asked
            if not self._next_trial():
                return None

    def _next_trial(self) -> bool:
        """Take trials from the source until one has to be run, and let it wait. Return whether there is one."""
        while (trial := self._source.next()) is not None:
            if trial.name not in self._records:
                self._record.add([trial])
                self._records[trial.name] = self._record.trials[-1]
            revision = self._finished.get(trial.name)
            if revision is not None:
                self._finish_trial(trial, revision)
            elif trial.shared in self._broken:
                self._fail_trial(trial, *self._broken[trial.shared])
            else:
                self._set_state(trial, "waiting")
                self._waiting.append(trial)
                return True
        return False

    def _resources(self, trial: Trial, purpose: Purpose = "run") -> Resources:
        return Resources(self._record.call.cpus_per_job or trial.cpus, self._gpus if purpose == "run" else 0)

    def _capacity(self, trial: Trial) -> int:
        return min(capacity(self._resources(trial)), self._record.call.jobs or 1 << 30)

    def _has_room(self, trial: Trial) -> bool:
        return len(self._running) < self._capacity(trial)

    def _start(self, trial: Trial, purpose: Purpose) -> None:
        name = trial.name if purpose == "run" else f"{self._record.name}-shared-{trial.shared}"
        job = Job(name, purpose, trial.overrides, self._record.base, self._sharing, self._packages, self._checkpoints)
        worker = start(job, self._resources(trial, purpose))
        self._attempts[name] += 1
        self._running.append(_RunningJob(job, worker, worker.run.remote(self._bundle), worker.machine.remote(), trial))
        if purpose == "run":
            found = self._records[trial.name]
            found.attempts = self._attempts[name]
            found.error, found.stage, found.step, found.seconds_left = "", "", 0, None
            self._set_state(trial, "running")

    # The end of a job

    def _on_end(self, job: _RunningJob) -> None:
        self._update_machine(job)
        try:
            outcome: Outcome = ray.get(job.outcome)
        except RayActorError:
            self._on_loss(job, "its process or machine was lost")
            return
        except OutOfMemoryError:
            self._on_loss(job, f"Ray ended it, as its machine's memory was full ({_NEEDS_MEMORY})")
            return
        except RayTaskError as error:
            outcome = Outcome(1, 0.0, first_line(error.cause) if error.cause else first_line(error))
        self._read_rest_of_log(job)
        _answer(job.worker.remove.remote())  # waited for: the next attempt makes a new clone
        self._record_outcome(job, outcome)
        if outcome.status == 0:
            self._on_success(job, outcome)
        elif job.is_pruned:
            self._set_state(job.trial, "pruned")
            self._source.finish(job.trial, None)
            self._display.event(f"{job.job.name}: pruned after {self._records[job.trial.name].step} steps")
        elif self.signum:
            self._set_state(job.trial, "stopped")
        elif outcome.status > _SIGNALLED:
            number = outcome.status - _SIGNALLED
            advice = f" ({_NEEDS_MEMORY} if memory was full)" if number == signal.SIGKILL else ""
            self._on_loss(job, f"ended by {_signal_name(number)}{advice}")
        else:
            self._on_failure(job, outcome.status, outcome.error or "see its log")

    def _record_outcome(self, job: _RunningJob, outcome: Outcome) -> None:
        if job.purpose == "run":
            found = self._records[job.trial.name]
            found.seconds, found.status = round(outcome.seconds, 1), outcome.status

    def _on_success(self, job: _RunningJob, outcome: Outcome) -> None:
        if job.purpose == "prepare":
            self._prepared.add(job.trial.shared)
            self._display.event(f"download and tokenize: done in {outcome.seconds:.0f} s")
            return
        revision = repository.fetch(outcome.bundle, self._record.base, job.trial.name)
        self._finished[job.trial.name] = revision
        self._finish_trial(job.trial, revision)
        found = self._records[job.trial.name]
        score = "" if found.score is None else f", validation {job.trial.metric} {found.score:.4f}"
        self._display.event(f"{found.name}: done in {found.seconds:.0f} s on {_where(found)}{score}")

    def _finish_trial(self, trial: Trial, revision: str) -> None:
        score = _validation_score(revision, trial.metric)
        self._records[trial.name].score = score
        self._set_state(trial, "done")
        self._source.finish(trial, score)

    def _on_loss(self, job: _RunningJob, why: str) -> None:
        """Try a job again from its last checkpoint, as often as `--retries` allows."""
        if self.signum:
            self._set_state(job.trial, "stopped")
            return
        require_local_node()
        name, attempts = job.job.name, self._attempts[job.job.name]
        if attempts > self._record.call.retries:
            status = self._records[job.trial.name].status or _SIGNALLED
            self._on_failure(job, status, f"{why}, in each of {attempts} attempts")
            return
        self._display.event(f"{name}: {why}; attempt {attempts + 1} continues from its checkpoint")
        if job.purpose == "run":
            self._set_state(job.trial, "waiting")
            self._waiting.insert(0, job.trial)

    def _on_failure(self, job: _RunningJob, status: int, error: str) -> None:
        """Don't try a job again: it would fail in the same way. Without its shared stages, a trial can't run either."""
        trials = [job.trial]
        if job.purpose == "prepare":
            self._broken[job.trial.shared] = status, error
            trials = [trial for trial in self._waiting if trial.shared == job.trial.shared]
            self._waiting = [trial for trial in self._waiting if trial.shared != job.trial.shared]
        for trial in trials:
            self._fail_trial(trial, status, error)

    def _fail_trial(self, trial: Trial, status: int, error: str) -> None:
        found = self._records[trial.name]
        found.status, found.error = status, error
        self._set_state(trial, "failed")
        self._source.finish(trial, None)
        self._display.event(f"{trial.name}: failed ({status}): {error}")

    def _set_state(self, trial: Trial, state: State) -> None:
        self._records[trial.name].state = state
        self._record.write()

    # The progress of a job

    def _poll_job(self, job: _RunningJob) -> None:
        """Read the progress that was asked for, if the worker has answered, and ask for the next."""
        if job.progress is not None and ray.wait([job.progress], timeout=0)[0]:
            self._update_progress(job, _answer(job.progress))
            job.progress = None
        if job.progress is None:
            job.progress = job.worker.progress.remote(job.offset)
        if job.machine is not None and ray.wait([job.machine], timeout=0)[0]:
            self._update_machine(job)

    def _update_machine(self, job: _RunningJob) -> None:
        machine: Machine | None = None if job.machine is None else _answer(job.machine)
        job.machine = None
        if machine is None:
            return
        if job.purpose == "run":
            found = self._records[job.trial.name]
            found.host, found.device = machine.host, machine.devices
        if machine.differences and (machine.host, machine.differences) not in self._reported:
            self._reported.add((machine.host, machine.differences))
            self._display.event(
                f"{machine.host}: has {', '.join(machine.differences)}; its results may differ in their last bits"
            )

    def _update_progress(self, job: _RunningJob, progress: Progress | None) -> None:
        if progress is None:
            return
        job.offset += len(progress.log)
        found = self._records[job.trial.name]
        if progress.log:
            file = self._record.log(found.name)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as written:
                written.write(progress.log)
            if stages := _STAGE_BEGINS.findall(progress.log):
                found.stage = stages[-1].decode()
        if job.purpose == "prepare":
            return
        found.step, found.steps, found.seconds_left = progress.step, progress.steps, progress.seconds_left
        for epoch, score in enumerate(progress.scores[job.reported :], job.reported + 1):
            job.reported = epoch
            if not math.isfinite(score):
                continue  # training stops by itself then, with an error
            found.score = score
            if not job.is_pruned and not self._source.should_continue(job.trial, epoch, score):
                job.is_pruned = True
                job.worker.stop.remote()

    def _read_rest_of_log(self, job: _RunningJob) -> None:
        if job.progress is not None:
            self._update_progress(job, _answer(job.progress))
            job.progress = None
        while (progress := _answer(job.worker.progress.remote(job.offset))) is not None and progress.log:
            self._update_progress(job, progress)


def _answer(reference: Any) -> Any:
    """Return a worker's answer; None if it is lost or does not answer in time."""
    try:
        return ray.get(reference, timeout=_ANSWER)
    except (RayActorError, RayTaskError, OutOfMemoryError, GetTimeoutError):
        return None


def _validation_score(revision: str, metric: str) -> float | None:
    content = file_at(revision, TRAIN_METRICS)
    value = json.loads(content)["validation"].get(metric) if content else None
    return None if value is None else float(value)


def _where(trial: TrialRecord) -> str:
    return f"{trial.host} ({trial.device})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
