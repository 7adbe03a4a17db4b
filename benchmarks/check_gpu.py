"""Whether packed rows give what they should on this GPU: `python -m benchmarks.check_gpu`.

Equality with the padded model, each kernel against attention row by row, the gradient through dropout, independence of rows,
the same bits twice, no waiting of the host, and compiled layers. It needs neither network nor data, prints a line a check and
ends with status 1 if one fails.

    make check-gpu                                         # 3 minutes at most
    python -m benchmarks.check_gpu --tiny --device cpu     # that it works: attention row by row takes the kernels' place
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TypeAlias

import torch
from transformers import PreTrainedModel

from benchmarks.gpu_models import SIZES, random_batch, random_model
from benchmarks.imdb_lengths import drawn_lengths
from benchmarks.row_kernels import mixing_rows, of_kernel, reference
from stages.modeling.agreement import distance
from stages.modeling.batches import MASK, Batch
from stages.modeling.compute import use_deterministic_algorithms, use_tf32
from stages.modeling.gpu.compiling import compiled_if_proven
from stages.modeling.gpu.kernels import KERNELS, Bounds, Kernel, KernelName, Need, kernel_for
from stages.modeling.gpu.packing import Kernels, drops_attention, pack_rows_on_gpu
from stages.modeling.gpu.proof import packed_if_proven
from stages.modeling.precision import Precision, device, resolved
from stages.modeling.transfer import mask_known, on_device

Check: TypeAlias = Callable[[], str | None]
"""Returns what is wrong; None: nothing is."""

_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_ALLOWED: dict[torch.dtype, float] = {torch.float32: 2e-3, torch.float16: 5e-3, torch.bfloat16: 3e-2}
"""What a kernel's numbers may differ by from those of fp32, as a share of their norm."""
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

    def lengths(self, rows: int) -> list[int]:
        """Return the lengths of so many rows."""
        return [int(length) for length in drawn_lengths(rows, longest=40 if self.tiny else 512)]


def main() -> None:
    """Run the checks and print what they find."""
    options = _options()
    until, machine = time.monotonic() + options.seconds, Machine(torch.device(options.device), options.tiny)
    for wanted in (True, False):  # what they need of cuBLAS has to be set before its first use
        use_deterministic_algorithms(wanted)
    use_tf32()
    failed = left = 0
    for name, check in checks(machine):
        if time.monotonic() > until:
            left += 1
            continue
        try:
            fault = _result(check)
            said = f"FAILED  {name}: {fault}" if fault else f"passed  {name}"
            failed += fault is not None
        except NotHereError as reason:
            said = f"padded  {name}: {reason}"
        print(said, flush=True)
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


def _result(check: Check) -> str | None:
    """Return what is wrong, which may be that the check raises an error."""
    try:
        return check()
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]


def checks(machine: Machine) -> Iterator[tuple[str, Check]]:
    """Yield all checks with their names."""
    precisions: list[Precision] = ["bf16", "fp16", "fp32"]
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
    for size, precision, training in product(SIZES, precisions, (True, False)):
        purpose = "training" if training else "prediction"
        yield f"model: {size}, {precision}, {purpose}", partial(model_fault, machine, size, precision, training)
    for size in SIZES:
        yield f"a planted fault is found: {size}", partial(planted_fault, machine, size)
        yield f"the same bits twice: {size}", partial(repetition_fault, machine, size)
        yield f"the host never waits: {size}", partial(waiting_fault, machine, size)
    for size in list(SIZES)[: 1 if machine.tiny else None]:
        yield f"compiled layers: {size}", partial(compilation_fault, machine, size)


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


def model_fault(machine: Machine, size: str, precision: Precision, training: bool) -> str | None:
    """Try packed rows as a stage does, in the reach of what there are kernels for."""
    model, batch = random_model(size, machine.place, tiny=machine.tiny), _batch(machine)
    told = packed_if_proven(model, batch, precision, training=training, kernels=machine.kernels(model))
    return None if told.startswith("packed") else told


def planted_fault(machine: Machine, size: str) -> str | None:
    """Try packed rows by a kernel that lets two rows see each other."""
    model, batch = random_model(size, machine.place, tiny=machine.tiny), _batch(machine)
    told = packed_if_proven(model, batch, "fp32", training=True, kernels=of_kernel(mixing_rows))
    return None if told.startswith("padded: without padding") else f"it was not found: {told}"


def repetition_fault(machine: Machine, size: str) -> str | None:
    """Train twice from the same seed with deterministic algorithms, and compare the weights bit by bit."""
    use_deterministic_algorithms(True)
    try:
        first, second = (_trained(machine, size) for _ in range(2))
    finally:
        use_deterministic_algorithms(False)
    same = all(map(torch.equal, first, second))
    return None if same else "the weights differ after two trainings from the same seed"


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


def _trained(machine: Machine, size: str) -> list[torch.Tensor]:
    model = random_model(size, machine.place, tiny=machine.tiny)
    pack_rows_on_gpu(model, machine.kernels(model))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    for seed in range(3):
        _step(model, _batch(machine, seed))
        optimizer.step()
        optimizer.zero_grad()
    return [weight.detach().clone() for weight in model.parameters()]


def _step(model: PreTrainedModel, batch: Batch) -> None:
    dtype = _DTYPES[resolved("auto")] if model.device.type == "cuda" else torch.bfloat16
    inputs = {name: on_device(tensor, model.device) for name, tensor in batch.items()}
    with mask_known(batch[MASK]), torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32):
        logits: torch.Tensor = model(**inputs).logits
    logits.float().square().mean().backward()


def _batch(machine: Machine, seed: int = 0) -> Batch:
    return random_batch(machine.lengths(8), 100, seed)


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
