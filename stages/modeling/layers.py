"""The depth of each parameter of a model: embeddings at the bottom, then layer upon layer, and the head at the top."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from stages.modeling.load import encoder_name

_ABOVE = re.compile("after|final|norm|pool|(^|_)out")
"""In the name of a module beside a list of layers: it is applied after the layers, although it may be declared before."""


@dataclass(frozen=True)
class Layers:
    """The depth of each parameter of a model."""

    count: int
    """The number of layers between embeddings and head. The layers of a decoder come after those of its encoder."""
    depths: Mapping[str, int]
    """By parameter name: 0 for embeddings, 1 for the lowest layer, `top` for the head."""

    @property
    def top(self) -> int:
        """The depth of the head, and of all between the last layer and the head, such as a pooler or the last norm."""
        return self.count + 1


def layers_of(model: PreTrainedModel) -> Layers:
    """Find the layers of a model of any family. `count` is 0 if it has none that can be distinguished.

    Layers are the items of the outermost `ModuleList`s in the encoder. Lists of equal length in the same module are parts of the
    same layers: XLM has a list of attentions and a list of feed-forward networks. A parameter that several layers share belongs
    to the lowest of them.
    """
    prefix = f"{encoder_name(model)}."
    starts, ends, count = _stacks(model.get_submodule(prefix[:-1]), prefix)
    found = {name: _depth_in_lists(name, starts) for name, _ in model.named_parameters()}
    in_layers = [number for number, depth in enumerate(found.values()) if depth is not None]
    last = in_layers[-1] if in_layers else -1
    embeddings = {f"{name}." for name, module in model.named_modules() if isinstance(module, torch.nn.Embedding)}
    depths, reached, before = dict[str, int](), 0, ""
    for number, (name, depth) in enumerate(found.items()):
        reached = reached if depth is None else depth
        end = _end_of_stack(name, ends)
        if depth is not None:  # in a layer
            depths[name] = depth
        elif not name.startswith(prefix):  # in the head
            depths[name] = count + 1
        elif any(map(name.startswith, embeddings)) or _is_of_embeddings(name.removeprefix(prefix)):
            depths[name] = 0
        elif (
            end is not None
        ):  # after a stack, as the last norm of an encoder is; after the last stack it is part of the top
            depths[name] = end if end < count else count + 1
        elif depths.get(before) == 0 and _norms(name, before):  # the norm of the embeddings
            depths[name] = 0
        elif any(name.startswith(f"{place}conv.") for place in ends):  # DeBERTa's convolution, beside the lowest layer
            depths[name] = 1
        else:  # other parameters are declared in the order in which they are used
            depths[name] = reached if number < last else count + 1
        before = name
    return Layers(count, depths)


def outermost_layers(model: PreTrainedModel) -> Iterator[torch.nn.Module]:
    """Yield the modules that are layers, or parts of layers where several lists hold these."""
    for _, items in _outermost_lists(model.get_submodule(encoder_name(model))):
        yield from _callable_in(items)


def _callable_in(container: torch.nn.Module) -> Iterator[torch.nn.Module]:
    for module in container.children():
        is_container = isinstance(module, torch.nn.ModuleList | torch.nn.ModuleDict)
        yield from _callable_in(module) if is_container else [module]


def _is_of_embeddings(name: str) -> bool:
    return ("emb" in name or "rel_pos" in name) and "after" not in name


def _norms(name: str, before: str) -> bool:
    """Return whether a parameter belongs to a norm in the same module as the parameter declared before it."""
    return "norm" in name.lower() and _place(_place(name)) == _place(_place(before))


def _end_of_stack(name: str, ends: Mapping[str, int]) -> int | None:
    """Return the depth of the last layer of the stack that a parameter is applied after; None if its name doesn't show that."""
    for place, end in ends.items():
        if name.startswith(place) and _ABOVE.search(name.removeprefix(place).partition(".")[0]):
            return end
    return None


def _stacks(encoder: torch.nn.Module, prefix: str) -> tuple[dict[str, int], dict[str, int], int]:
    """Find the stacks of layers in the encoder.

    Return the number of layers below each list, by its prefix; the number up to the end of the lists in each module, by its
    prefix; and the number of all layers.
    """
    lists = dict(_outermost_lists(encoder))
    of_layers = {name: items for name, items in lists.items() if any(any(item.children()) for item in items)}
    places = dict.fromkeys((_place(name), len(items)) for name, items in of_layers.items())
    starts, ends, count = dict[str, int](), dict[str, int](), 0
    for place, length in places:
        same = (name for name, items in lists.items() if (_place(name), len(items)) == (place, length))
        starts |= {f"{prefix}{name}.": count for name in same}
        count += length
        ends[f"{prefix}{place}.".replace("..", ".")] = count
    return starts, ends, count


def _outermost_lists(encoder: torch.nn.Module) -> Iterator[tuple[str, torch.nn.ModuleList]]:
    found = list[str]()
    for name, module in encoder.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) and not name.startswith(tuple(found)):
            found.append(f"{name}.")
            yield name, module


def _place(name: str) -> str:
    return name.rpartition(".")[0]


def _depth_in_lists(name: str, starts: Mapping[str, int]) -> int | None:
    for start, below in starts.items():
        if name.startswith(start):
            return below + int(name.removeprefix(start).partition(".")[0]) + 1
    return None
