"""The driver of a sweep: it starts trials as machines have room, watches them, tries again what was lost, and collects.

What it knows is in the sweep's record. If it dies, its trials die with it; the same call goes on where it ended.
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
from stages.sweep.cluster import Need, require_own_machine, room, start
from stages.sweep.node import Facts, Job, Look, Outcome, Purpose, Sharing
from stages.sweep.record import State, SweepRecord, TrialRecord
from stages.sweep.search import Source
from stages.sweep.trials import Trial

TICK = 1.0
"""Seconds between two looks at the running trials."""
_ANSWER = 10.0
"""Seconds in which a worker that has ended its job tells the end of its log."""
_STOPPING = 60.0
"""Seconds that all trials have, once the sweep is stopped."""
_DIED = 128
_NEEDS_MEMORY = "run fewer at once with --jobs"
_STAGE_BEGINS = re.compile(rb"(?:Running stage|Stage) '(\w+)'")


class Display(Protocol):
    """Where a user sees how the sweep goes."""

    def event(self, text: str) -> None:
        """Tell what has happened, once."""

    def show(self, record: SweepRecord) -> None:
        """Show how far all trials are."""


@dataclass
class _Running:
    """A job at work."""

    job: Job
    worker: Any
    """The actor."""
    outcome: Any
    """The reference to its Outcome."""
    facts: Any
    trial: Trial
    offset: int = 0
    """How many bytes of its log are here."""
    look: Any = None
    """The reference to a Look that has been asked for."""
    reported: int = 0
    """How many of its validation scores the source has seen."""
    is_pruned: bool = False

    @property
    def purpose(self) -> Purpose:
        return self.job.purpose


class Driver:
    """Runs the trials of a source, each as an experiment."""

    def __init__(
        self,
        record: SweepRecord,
        source: Source,
        sharing: Sharing,
        display: Display,
        *,
        gpus: float,
        packages: Mapping[str, str],
        checkpoints: str | None,
    ) -> None:
        """`gpus`: that a trial takes. `packages`: the driver's versions. `checkpoints`: their folder, if not the usual one."""
        self._record, self._source, self._sharing, self._display = record, source, sharing, display
        self._gpus, self._packages, self._checkpoints = gpus, packages, checkpoints
        self._bundle = ray.put(repository.bundle(record.base))
        self._running: list[_Running] = []
        self._waiting: list[Trial] = []
        self._records = {trial.name: trial for trial in record.trials}
        self._finished = repository.finished(record.base)
        """The revisions of the experiments that are there, by their names."""
        self._prepared: set[str] = set()
        """The configurations whose shared stages have succeeded, as digests."""
        self._broken: dict[str, tuple[int, str]] = {}
        """The others whose shared stages have failed: their status and error."""
        self._attempts: Counter[str] = Counter()
        """How often each job was started, by its name."""
        self._told: set[tuple[str, tuple[str, ...]]] = set()
        self.signum = 0
        """The signal that stops the sweep; 0 if none has come."""

    def run(self) -> None:
        """Run all trials, to the end or until a signal comes."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells set it for background jobs
                signal.signal(number, self._note)
        self._fill()
        while self._running and not self.signum:
            self._step()
            self._fill()
        if self.signum:
            self._stop()
        self._record.write()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signum:
            raise SystemExit(_DIED + number)  # the second time: at once
        self.signum = number

    def _step(self) -> None:
        """Wait for a job to end, at most a tick; look at all others."""
        ended, _ = ray.wait([job.outcome for job in self._running], timeout=TICK)
        for job in [job for job in self._running if job.outcome in ended]:
            self._running.remove(job)
            self._end(job)
        for job in self._running:
            self._look(job)
        self._display.show(self._record)

    def _stop(self) -> None:
        self._display.event(f"stopping {len(self._running)} trials, which write their checkpoints")
        for job in self._running:
            job.worker.stop.remote()
        until = time.monotonic() + _STOPPING
        while self._running and time.monotonic() < until:
            self._step()
        for job in self._running:
            self._set(job.trial, "stopped")

    # what runs next

    def _fill(self) -> None:
        """Start as many jobs as there is room for."""
        while not self.signum:
            chosen = self._next()
            if chosen is None:
                return
            trial, purpose = chosen
            self._start(trial, purpose)

    def _next(self) -> tuple[Trial, Purpose] | None:
        """Return the next job; None if there is no room, or what is left waits for others to end."""
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
            if self._waiting and len(self._waiting) + len(self._running) >= self._room(self._waiting[0]):
                return None  # a search asks late, when more is known
            if not self._take_new():
                return None

    def _take_new(self) -> bool:
        """Ask the source for a trial that is still to be run. Return whether there is one."""
        while (trial := self._source.next()) is not None:
            if trial.name not in self._records:
                self._record.add([trial])
                self._records[trial.name] = self._record.trials[-1]
            revision = self._finished.get(trial.name)
            if revision is not None:
                self._done(trial, revision)
            elif trial.shared in self._broken:
                self._fail(trial, *self._broken[trial.shared])
            else:
                self._set(trial, "waiting")
                self._waiting.append(trial)
                return True
        return False

    def _need(self, trial: Trial, purpose: Purpose = "run") -> Need:
        return Need(self._record.call.cpus_per_job or trial.cpus, self._gpus if purpose == "run" else 0)

    def _room(self, trial: Trial) -> int:
        return min(room(self._need(trial)), self._record.call.jobs or 1 << 30)

    def _has_room(self, trial: Trial) -> bool:
        return len(self._running) < self._room(trial)

    def _start(self, trial: Trial, purpose: Purpose) -> None:
        name = trial.name if purpose == "run" else f"{self._record.name}-shared-{trial.shared}"
        job = Job(name, purpose, trial.overrides, self._record.base, self._sharing, self._packages, self._checkpoints)
        worker = start(job, self._need(trial, purpose))
        self._attempts[name] += 1
        self._running.append(_Running(job, worker, worker.run.remote(self._bundle), worker.facts.remote(), trial))
        if purpose == "run":
            found = self._records[trial.name]
            found.attempts = self._attempts[name]
            found.error, found.stage, found.step, found.seconds_left = "", "", 0, None
            self._set(trial, "running")

    # how a job ends

    def _end(self, job: _Running) -> None:
        self._take_facts(job)
        try:
            outcome: Outcome = ray.get(job.outcome)
        except RayActorError:
            self._lost(job, "its process or machine was lost")
            return
        except OutOfMemoryError:
            self._lost(job, f"Ray ended it, as its machine's memory was full ({_NEEDS_MEMORY})")
            return
        except RayTaskError as error:
            outcome = Outcome(1, 0.0, first_line(error.cause) if error.cause else first_line(error))
        self._take_rest_of_log(job)
        _answer(job.worker.remove.remote())  # waited for: the next attempt makes the clone anew
        self._records_of(job, outcome)
        if outcome.status == 0:
            self._succeeded(job, outcome)
        elif job.is_pruned:
            self._set(job.trial, "pruned")
            self._source.ended(job.trial, None)
            self._display.event(f"{job.job.name}: pruned after {self._records[job.trial.name].step} steps")
        elif self.signum:
            self._set(job.trial, "stopped")
        elif outcome.status > _DIED:
            number = outcome.status - _DIED
            advice = f" ({_NEEDS_MEMORY} if memory was full)" if number == signal.SIGKILL else ""
            self._lost(job, f"ended by {_signal_name(number)}{advice}")
        else:
            self._failed(job, outcome.status, outcome.error or "see its log")

    def _records_of(self, job: _Running, outcome: Outcome) -> None:
        if job.purpose == "run":
            found = self._records[job.trial.name]
            found.seconds, found.status = round(outcome.seconds, 1), outcome.status

    def _succeeded(self, job: _Running, outcome: Outcome) -> None:
        if job.purpose == "prepare":
            self._prepared.add(job.trial.shared)
            self._display.event(f"download and tokenize: done in {outcome.seconds:.0f} s")
            return
        revision = repository.fetch(outcome.bundle, self._record.base, job.trial.name)
        self._finished[job.trial.name] = revision
        self._done(job.trial, revision)
        found = self._records[job.trial.name]
        score = "" if found.score is None else f", validation {job.trial.metric} {found.score:.4f}"
        self._display.event(f"{found.name}: done in {found.seconds:.0f} s on {_where(found)}{score}")

    def _done(self, trial: Trial, revision: str) -> None:
        score = _validation_score(revision, trial.metric)
        self._records[trial.name].score = score
        self._set(trial, "done")
        self._source.ended(trial, score)

    def _lost(self, job: _Running, why: str) -> None:
        """Try again, from the last checkpoint, as often as is wanted."""
        if self.signum:
            self._set(job.trial, "stopped")
            return
        require_own_machine()
        name, attempts = job.job.name, self._attempts[job.job.name]
        if attempts > self._record.call.retries:
            status = self._records[job.trial.name].status or _DIED
            self._failed(job, status, f"{why}, in each of {attempts} attempts")
            return
        self._display.event(f"{name}: {why}; attempt {attempts + 1} continues from its checkpoint")
        if job.purpose == "run":
            self._set(job.trial, "waiting")
            self._waiting.insert(0, job.trial)

    def _failed(self, job: _Running, status: int, error: str) -> None:
        """Don't try again: it would fail in the same way. If it was a shared stage, none of its trials can run."""
        trials = [job.trial]
        if job.purpose == "prepare":
            self._broken[job.trial.shared] = status, error
            trials = [trial for trial in self._waiting if trial.shared == job.trial.shared]
            self._waiting = [trial for trial in self._waiting if trial.shared != job.trial.shared]
        for trial in trials:
            self._fail(trial, status, error)

    def _fail(self, trial: Trial, status: int, error: str) -> None:
        found = self._records[trial.name]
        found.status, found.error = status, error
        self._set(trial, "failed")
        self._source.ended(trial, None)
        self._display.event(f"{trial.name}: failed ({status}): {error}")

    def _set(self, trial: Trial, state: State) -> None:
        self._records[trial.name].state = state
        self._record.write()

    # what a job does

    def _look(self, job: _Running) -> None:
        """Take the answer to the last look, if it has come, and ask for the next one."""
        if job.look is not None and ray.wait([job.look], timeout=0)[0]:
            self._take(job, _answer(job.look))
            job.look = None
        if job.look is None:
            job.look = job.worker.look.remote(job.offset)
        if job.facts is not None and ray.wait([job.facts], timeout=0)[0]:
            self._take_facts(job)

    def _take_facts(self, job: _Running) -> None:
        facts: Facts | None = _answer(job.facts) if job.facts is not None else None
        job.facts = None
        if facts is None:
            return
        if job.purpose == "run":
            found = self._records[job.trial.name]
            found.host, found.device = facts.host, facts.devices
        if facts.differences and (facts.host, facts.differences) not in self._told:
            self._told.add((facts.host, facts.differences))
            self._display.event(
                f"{facts.host}: has {', '.join(facts.differences)}; its results may differ in their last bits"
            )

    def _take(self, job: _Running, look: Look | None) -> None:
        if look is None:
            return
        job.offset += len(look.log)
        found = self._records[job.trial.name]
        if look.log:
            file = self._record.log(found.name)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as written:
                written.write(look.log)
            if stages := _STAGE_BEGINS.findall(look.log):
                found.stage = stages[-1].decode()
        if job.purpose == "prepare":
            return
        found.step, found.steps, found.seconds_left = look.step, look.steps, look.seconds_left
        for epoch, score in enumerate(look.scores[job.reported :], job.reported + 1):
            job.reported = epoch
            if not math.isfinite(score):
                continue  # such a training fails by itself, and says why
            found.score = score
            if not job.is_pruned and not self._source.is_worth_going_on(job.trial, epoch, score):
                job.is_pruned = True
                job.worker.stop.remote()

    def _take_rest_of_log(self, job: _Running) -> None:
        if job.look is not None:
            self._take(job, _answer(job.look))
            job.look = None
        while (look := _answer(job.worker.look.remote(job.offset))) is not None and look.log:
            self._take(job, look)


def _answer(reference: Any) -> Any:
    """Return a worker's answer; None if it has gone."""
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
