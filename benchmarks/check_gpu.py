"""Whether packed rows give what they should on this GPU: `python -m benchmarks.check_gpu`.

Equality with the padded model for all families that are packed, the same bits twice, each kernel against attention row by row,
the gradient through dropout, independence of rows, no waiting of the host, and compiled layers. What tells most comes first. It
needs neither network nor data, and prints a line a check with the seconds it took:

    passed   nothing is wrong
    FAILED   something is, and what; the status is 1
    padded   the GPU has no kernel for it, so a run would compute padding
    stated   a figure that is not judged

    make check-gpu                                         # 3 minutes at most
    python -m benchmarks.check_gpu --tiny --device cpu     # that it works: attention row by row takes the kernels' place
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal, TypeAlias

import torch
from transformers import PreTrainedModel

from benchmarks.gpu_models import HEADS, SIZES, VOCABULARY, Task, random_batch, random_family, random_model
from benchmarks.imdb_lengths import drawn_lengths
from benchmarks.row_kernels import mixing_rows, of_kernel, reference
from stages.modeling.agreement import difference, distance
from stages.modeling.batches import MASK, Batch
from stages.modeling.compute import use_deterministic_algorithms, use_tf32
from stages.modeling.cpu.packing import PACKED_FAMILIES
from stages.modeling.gpu.compiling import compiled_if_proven
from stages.modeling.gpu.kernels import KERNELS, Bounds, Kernel, KernelName, Need, kernel_for
from stages.modeling.gpu.packing import Kernels, drops_attention, pack_rows_on_gpu
from stages.modeling.gpu.proof import packed_if_proven
from stages.modeling.precision import Precision, device, logits_of, resolved


@dataclass(frozen=True)
class Stated:
    """A figure that is not judged."""

    figure: str


Check: TypeAlias = Callable[[], str | Stated | None]
"""Returns what is wrong, or a figure; None: nothing is wrong."""

Verdict: TypeAlias = Literal["passed", "FAILED", "padded", "stated"]

_USUAL: tuple[Precision, ...] = ("bf16", "fp32")
_DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_ALLOWED: dict[torch.dtype, float] = {torch.float32: 2e-3, torch.float16: 5e-3, torch.bfloat16: 3e-2}
"""What a kernel's numbers may differ by from those of fp32, as a share of their norm."""
_COMPILED = ("distilbert", "modernbert-base")
"""The layers of all other families are written as DistilBERT's are."""
_RATE = 0.3
_HEADS, _WIDTH = 4, 64


class NotHereError(BaseException):
    """The GPU has no kernel for what is checked. No `Exception`, so that the trial does not take it for a fault."""


@dataclass(frozen=True)
class Machine:
    """Where the checks run."""

    place: torch.device
    tiny: bool

    @property
    def capability(self) -> tuple[int, int] | None:
        """The compute capability by which kernels are chosen; on a CPU that of an A100, whose kernels a test can name."""
        if self.place.type == "cpu":
            return (8, 0)
        return None if torch.version.hip else torch.cuda.get_device_capability()

    @property
    def steps(self) -> int:
        """The steps of a training."""
        return 3 if self.tiny else 10

    def kernel(self, name: KernelName) -> Kernel:
        """Return the kernel of this name, on a CPU attention row by row."""
        return reference if self.place.type == "cpu" else KERNELS[name]

    def kernels(self, model: PreTrainedModel) -> Kernels:
        """Return the kernels that the model attends by. If there is none, the check does not apply."""
        if self.place.type == "cpu":
            return of_kernel(reference)
        return Kernels(drops_attention(model), self._chosen)

    def _chosen(self, need: Need) -> tuple[KernelName, str]:
        name, reason = kernel_for(need, self.capability)
        if name is None:
            raise NotHereError(reason)
        return name, reason

    @property
    def longest(self) -> int:
        """The sub-words of the longest rows."""
        return 40 if self.tiny else 512

    def lengths(self, rows: int, seed: int = 0) -> list[int]:
        """Return the lengths of so many rows, drawn from IMDb's."""
        return [int(length) for length in drawn_lengths(rows, seed, self.longest)]

    @property
    def batches(self) -> Sequence[Batch]:
        """Rows from a single sub-word to the longest, and one row alone."""
        lengths = [1, *self.lengths(5), 2, self.longest], [self.longest // 2]
        return [random_batch(each, VOCABULARY) for each in lengths]


def main() -> None:
    """Run the checks and print what they find."""
    options = _options()
    until, machine = time.monotonic() + options.seconds, Machine(torch.device(options.device), options.tiny)
    for wanted in (True, False):  # what they need of cuBLAS has to be set before its first use
        use_deterministic_algorithms(wanted)
    use_tf32()
    failed = left = 0
    for name, check in checks(machine):
        began = time.monotonic()
        if began > until:
            left += 1
            continue
        verdict, found = _outcome(check)
        failed += verdict == "FAILED"
        said = f"{name}: {found}" if found else name
        print(f"{verdict} {time.monotonic() - began:6.1f} s  {said}", flush=True)
    print(f"{failed} failed" + (f", {left} not begun, as the time was up" if left else ""))
    raise SystemExit(int(bool(failed or left)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.check_gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default=device().type)
    parser.add_argument("--tiny", action="store_true", help="tiny models and short rows, to see that it works")
    parser.add_argument("--seconds", type=float, default=160, help="no check begins after these (default: 160)")
    return parser.parse_args()


def _outcome(check: Check) -> tuple[Verdict, str]:
    """Return what is found, which may be that the check raises an error."""
    try:
        found = check()
    except NotHereError as reason:
        return "padded", str(reason)
    except Exception as error:
        return "FAILED", f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(found, Stated):
        return "stated", found.figure
    return ("passed", "") if found is None else ("FAILED", found)


def checks(machine: Machine) -> Iterator[tuple[str, Check]]:
    """Yield all checks with their names, those first that tell most. Compiling takes longest, and comes last."""
    for precision, family, task, training in product(_USUAL, PACKED_FAMILIES, HEADS, (True, False)):
        purpose = "training" if training else "prediction"
        what = f"{family}, {task}, {precision}, {purpose}"
        yield f"packed: {what}", partial(family_fault, machine, family, task, precision, training)
    for size, task in product(SIZES, HEADS):
        yield f"the same bits twice: {size}, {task}", partial(repetition_fault, machine, size, task)
        yield f"the default's spread: {size}, {task}", partial(default_spread, machine, size, task)
    yield from _checks_of_kernels(machine)
    for family, task in product(PACKED_FAMILIES, HEADS):
        yield f"a planted fault is found: {family}, {task}", partial(planted_fault, machine, family, task)
    for size in SIZES:
        yield f"the host never waits: {size}", partial(waiting_fault, machine, size)
    for size, precision in product(SIZES, _DTYPES):
        yield f"model: {size}, {precision}", partial(model_fault, machine, size, precision)
    for size in _COMPILED[-1:] if machine.tiny else _COMPILED:
        yield f"compiled layers: {size}", partial(compilation_fault, machine, size)


def _checks_of_kernels(machine: Machine) -> Iterator[tuple[str, Check]]:
    for (precision, dtype), window, first, drops in product(_DTYPES.items(), (None, 16), (False, True), (False, True)):
        need = Need(_WIDTH, dtype, is_differentiated=True, drops=drops, window=window)
        name, _ = kernel_for(need, machine.capability)
        if name is None or (first and window is not None):
            continue
        what = f"{name}, {precision}, window {window}, {'first sub-words' if first else 'all sub-words'}"
        kernel = machine.kernel(name)
        if drops:
            yield f"dropout: {what}", partial(dropout_fault, machine, kernel, dtype, window, first=first)
        else:
            yield f"kernel: {what}", partial(kernel_fault, machine, kernel, dtype, window, first=first)


def family_fault(machine: Machine, family: str, task: Task, precision: Precision, training: bool) -> str | None:
    """Try packed rows of a small model of the family as a stage does."""
    for batch in machine.batches:
        model = random_family(family, task, machine.place, tiny=machine.tiny)
        told = packed_if_proven(model, batch, precision, training=training, kernels=machine.kernels(model))
        if not told.startswith("packed"):
            return f"rows of {batch[MASK].sum(dim=1).tolist()} sub-words: {told}"
    return None


def kernel_fault(
    machine: Machine, kernel: Kernel, dtype: torch.dtype, window: int | None, *, first: bool
) -> str | None:
    """Compare a kernel's output and gradients with those of attention row by row in fp32."""
    bounds, states = _states(machine, dtype, first=first)
    exact = [each.detach().float().requires_grad_() for each in states]
    weights = torch.randn_like(exact[0])
    found, expected = (
        attend(query, key, value, bounds, scale=_WIDTH**-0.5, dropout=0.0, window=window)
        for attend, (query, key, value) in ((kernel, states), (reference, exact))
    )
    (found.float() * weights).sum().backward()
    (expected * weights).sum().backward()
    pairs = [("output", found, expected)]
    pairs += [
        (f"gradient of {name}", _gradient(each), _gradient(other))
        for name, each, other in zip(("query", "key", "value"), states, exact, strict=True)
    ]
    for name, of_found, of_rows in pairs:
        apart = distance(of_found.detach(), of_rows.detach()) / float(of_rows.detach().double().norm())
        if not apart <= _ALLOWED[dtype]:
            return f"its {name} is {apart:.2g} of its norm from what it should be"
    return None


def dropout_fault(
    machine: Machine, kernel: Kernel, dtype: torch.dtype, window: int | None, *, first: bool
) -> str | None:
    """Check the share that is dropped, the mean over many draws, and that the gradient is of the same draw."""
    bounds, (query, key, value) = _states(machine, dtype, first=first)

    def attended(value: torch.Tensor, dropout: float = _RATE, seed: int = 0) -> torch.Tensor:
        torch.manual_seed(seed)
        return kernel(query, key, value, bounds, scale=_WIDTH**-0.5, dropout=dropout, window=window)

    draws = 40 if machine.tiny else 200
    with torch.no_grad():
        without = attended(value, 0.0).float()
        drawn = [attended(value, seed=seed).float() for seed in range(draws)]
        if torch.equal(drawn[0], drawn[1]):
            return "two draws are the same"
        mean = torch.stack(drawn).mean(dim=0)
        noise = torch.stack(drawn).std(dim=0).double().norm() / draws**0.5
    if distance(mean, without) > 1.5 * float(noise) + _ALLOWED[dtype] * float(without.double().norm()):
        return "the mean over many draws is not what it is without dropout"
    weights = torch.randn_like(without)
    (attended(value).float() * weights).sum().backward()
    # for one draw, the output is linear in the values
    by_gradient = float((_gradient(value).double() * value.detach().double()).sum())
    by_output = float((drawn[0].double() * weights.double()).sum())
    size = float((drawn[0].double() * weights.double()).norm())
    if abs(by_gradient - by_output) > 3 * _ALLOWED[dtype] * size + 1e-6:
        return f"the gradient is of another draw: {by_gradient:.4g} and not {by_output:.4g}"
    return None


def model_fault(machine: Machine, size: str, precision: Precision) -> str | None:
    """Try packed rows of a text classifier of this size as a stage does before training, which tries prediction too."""
    model, batch = random_model(size, machine.place, tiny=machine.tiny), _batch(machine)
    told = packed_if_proven(model, batch, precision, training=True, kernels=machine.kernels(model))
    return None if told.startswith("packed") else told


def planted_fault(machine: Machine, family: str, task: Task) -> str | None:
    """Try packed rows in bf16, where least is seen, by a kernel that lets two rows see each other."""
    model = random_family(family, task, machine.place, tiny=machine.tiny)
    told = packed_if_proven(model, machine.batches[0], "bf16", training=True, kernels=of_kernel(mixing_rows))
    return None if told.startswith("padded: without padding") else f"it was not found: {told}"


def repetition_fault(machine: Machine, size: str, task: Task) -> str | None:
    """Train twice from the same seed with deterministic algorithms, and compare the weights bit by bit."""
    use_deterministic_algorithms(True)
    try:
        first, second = (_trained(machine, size, task) for _ in range(2))
    finally:
        use_deterministic_algorithms(False)
    same = all(map(torch.equal, first, second))
    return None if same else "the weights differ after two trainings from the same seed"


def default_spread(machine: Machine, size: str, task: Task) -> Stated:
    """Train twice from the same seed with the algorithms that PyTorch takes by default, and say how far the weights differ."""
    first, second = (_trained(machine, size, task) for _ in range(2))
    start = random_model(size, machine.place, tiny=machine.tiny, task=task).parameters()
    whole, other, before = (
        torch.cat([each.detach().flatten() for each in weights]) for weights in (first, second, start)
    )
    share = distance(other, whole) / distance(whole, before)
    most = difference([other], [whole])
    return Stated(f"{share:.1e} of what {machine.steps} steps changed, and {most:.1e} in a weight at most")


def waiting_fault(machine: Machine, size: str) -> str | None:
    """Make a step while PyTorch raises an error where the host waits for the GPU."""
    model, batch = random_model(size, machine.place, tiny=machine.tiny), _batch(machine)
    pack_rows_on_gpu(model, machine.kernels(model))
    _step(model, batch)
    if machine.place.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        _step(model, batch)
    finally:
        if machine.place.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    return None


def compilation_fault(machine: Machine, size: str) -> str | None:
    """Try compiled layers as a stage does; on a CPU, by the tracing alone."""
    model, batch = random_model(size, machine.place, tiny=machine.tiny), _batch(machine)
    pack_rows_on_gpu(model, machine.kernels(model))
    on_cpu = machine.place.type == "cpu"
    precision: Precision = "fp32" if on_cpu else resolved("auto")
    told = compiled_if_proven(model, batch, precision, backend="eager" if on_cpu else "inductor")
    return None if told == "compiled" else told


def _trained(machine: Machine, size: str, task: Task) -> list[torch.Tensor]:
    """Return the weights after some steps with dropout, on rows of other lengths in each."""
    model = random_model(size, machine.place, tiny=machine.tiny, task=task)
    pack_rows_on_gpu(model, machine.kernels(model))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    for step in range(machine.steps):
        _step(model, _batch(machine, step))
        optimizer.step()
        optimizer.zero_grad()
    return [weight.detach() for weight in model.parameters()]


def _step(model: PreTrainedModel, batch: Batch) -> None:
    precision = resolved("auto") if model.device.type == "cuda" else "bf16"
    logits_of(model, batch, precision).float().square().mean().backward()


def _batch(machine: Machine, seed: int = 0) -> Batch:
    return random_batch(machine.lengths(8, seed), VOCABULARY, seed)


def _states(machine: Machine, dtype: torch.dtype, *, first: bool) -> tuple[Bounds, list[torch.Tensor]]:
    """Return query, key and value of some rows; `first`: of one query a row."""
    torch.manual_seed(0)
    keys = tuple(machine.lengths(6))
    bounds = Bounds((*[1] * (len(keys) - 1), 2) if first else keys, keys, machine.place)
    counts = (sum(bounds.queries), sum(keys), sum(keys))
    states = [torch.randn(count, _HEADS, _WIDTH, device=machine.place).to(dtype).requires_grad_() for count in counts]
    return bounds, states


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.grad is not None
    return tensor.grad


if __name__ == "__main__":
    main()
