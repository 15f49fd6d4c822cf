"""The base of all layers: parameters, buffers, parts, modes, hooks, and what a file keeps."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...lacking import missing
from ...tensor import Tensor
from ..parameter import Buffer, Parameter

__all__ = ["Handle", "Module"]


class _Keys(NamedTuple):
    """What did not fit when weights were loaded."""

    missing_keys: list
    unexpected_keys: list

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"  # noqa: E501


class Handle:
    """Takes a hook away again."""

    numbers = itertools.count()

    def __init__(self, hooks: dict, hook: Callable) -> None:
        self.hooks, self.id = hooks, next(Handle.numbers)
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Module:
    """What computes, with all that it learns and keeps."""

    training: bool
    _version = 1

    def __init__(self, *args: object, **options: object) -> None:
        fresh = {"training": True, "_parameters": {}, "_buffers": {}, "_modules": {}}
        fresh |= {"_non_persistent_buffers_set": set(), "_is_full_backward_hook": None}
        for name in ("forward_hooks", "forward_pre_hooks", "backward_hooks"):
            fresh[f"_{name}"] = OrderedDict()
        for name, value in fresh.items():
            object.__setattr__(self, name, value)

    def forward(self, *inputs: object) -> object:
        """Compute; each class has its own."""
        name = type(self).__name__
        raise NotImplementedError(f'Module [{name}] is missing the required "forward" function')

    def __call__(self, *args: object, **options: object) -> object:
        for hook in list(self._forward_pre_hooks.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **options)
        for hook in list(self._forward_hooks.values()):
            changed = hook(self, args, result)
            result = result if changed is None else changed
        return result

    def __setattr__(self, name: str, value: object) -> None:
        held = self.__dict__
        if isinstance(value, Parameter):
            self._started("parameters")
            self._forget(name)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._started("module")
            self._forget(name)
            held["_modules"][name] = value
        elif isinstance(value, Buffer):
            self._started("buffer")
            self._forget(name)
            self.register_buffer(name, value, getattr(value, "persistent", True))
        else:
            self._set_other(name, value)

    def _set_other(self, name: str, value: object) -> None:
        """Set what is no parameter, module or buffer by itself, but may stand in a place of one."""
        held = self.__dict__
        places = {"_parameters": "parameter", "_modules": "child module", "_buffers": "buffer"}
        for table, kind in places.items():
            if name not in held.get(table, ()):
                continue
            if value is None or (table == "_buffers" and isinstance(value, Tensor)):
                held[table][name] = value
                return
            what = "torch.FloatTensor" if isinstance(value, Tensor) else type(value).__name__
            wanted = {"_parameters": "torch.nn.Parameter", "_modules": "torch.nn.Module"}
            raise TypeError(
                f"cannot assign '{what}' as {kind} '{name}' "
                f"({wanted.get(table, 'torch.Tensor')} or None expected)"
            )
        object.__setattr__(self, name, value)

    def _started(self, what: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")

    def _forget(self, name: str) -> None:
        for table in (self.__dict__, self._parameters, self._buffers, self._modules):
            table.pop(name, None)

    def __getattr__(self, name: str) -> object:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table, {})
            if name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def _free(self, name: str) -> None:
        if hasattr(self, name) and name not in self._buffers and name not in self._parameters:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name or not name:
            raise KeyError(f'name can\'t be empty or contain ".", got {name!r}')

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep a tensor that is not learned."""
        self._started("buffer")
        if name not in self._buffers and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (torch Tensor "
                "or None required)"
            )
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent
         else self._non_persistent_buffers_set.add)(name)  # fmt: skip

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Learn a tensor."""
        self._started("parameter")
        if name not in self._parameters:
            self._free(name)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold another module."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._modules[name] = module

    register_module = add_module

    def register_forward_hook(self, hook: Callable, **_options: object) -> Handle:
        """Call a function with module, inputs and output after each `forward`."""
        return Handle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable, **_options: object) -> Handle:
        """Call a function with module and inputs before each `forward`."""
        return Handle(self._forward_pre_hooks, hook)

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all within, with their names."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                inner = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, inner, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all within."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly within, with their names."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly within."""
        return (module for _, module in self.named_children())

    def _named(self, table: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Tensor]]:
        seen: set[int] = set()
        inside = self.named_modules(prefix=prefix) if recurse else [(prefix, self)]
        for path, module in inside:
            for name, tensor in getattr(module, table).items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{path}.{name}" if path else name, tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All that is learned, with names."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All that is learned."""
        return (tensor for _, tensor in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All that is kept, with names."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All that is kept."""
        return (tensor for _, tensor in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """A module within, by its path."""
        module = self
        for name in filter(None, target.split(".")):
            module = getattr(module, name)
        return module

    def get_parameter(self, target: str) -> Parameter:
        """A parameter within, by its path."""
        path, _, name = target.rpartition(".")
        return getattr(self.get_submodule(path), name)

    get_buffer = get_parameter

    def train(self, mode: bool = True) -> Module:
        """Switch to training mode, with all within."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Module:
        """Switch to evaluation mode, with all within."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Learn all parameters, or none."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def apply(self, fn: Callable[[Module], object]) -> Module:
        """Call a function with every module within, then with this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self, *given: object, **options: object) -> Module:
        """All in another dtype; the device is the processor in any case."""
        for module in self.modules():
            for table in (module._parameters, module._buffers):
                for name, tensor in table.items():
                    if tensor is not None and tensor.is_floating_point():
                        changed = tensor.detach().to(*given, **options)
                        if changed.dtype is not tensor.dtype:
                            tensor.data = changed
                            table[name] = tensor
        return self

    def double(self) -> Module:
        """All in float64."""
        from ...dtypes import float64

        return self.to(float64)

    def float(self) -> Module:
        """All in float32."""
        from ...dtypes import float32

        return self.to(float32)

    def cpu(self) -> Module:
        """Where it is already."""
        return self

    def state_dict(
        self, *, destination: dict | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Tensor]:
        """All parameters and buffers by name: the tensors themselves, without history."""
        found = OrderedDict() if destination is None else destination
        for name, tensor in self._parameters.items():
            if tensor is not None:
                found[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, tensor in self._buffers.items():
            if tensor is not None and name not in self._non_persistent_buffers_set:
                found[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=found, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return found

    def load_state_dict(self, state_dict: dict, strict: bool = True, assign: bool = False) -> _Keys:
        """Take over parameters and buffers by name; RuntimeError where they do not fit."""
        if not hasattr(state_dict, "keys"):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        own = self.state_dict(keep_vars=True)
        absent = [key for key in own if key not in state_dict and not self._may_lack(key)]
        strange = [key for key in state_dict if key not in own]
        problems = []
        if strict and absent:
            problems.append(f"Missing key(s) in state_dict: {_quoted(absent)}. ")
        if strict and strange:
            problems.append(f"Unexpected key(s) in state_dict: {_quoted(strange)}. ")
        problems += self._copied(own, state_dict)
        if problems:
            lines = "\n\t".join(problems)
            name = type(self).__name__
            raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t{lines}")
        return _Keys(absent, strange)

    @staticmethod
    def _copied(own: dict, state_dict: dict) -> list[str]:
        from ...autograd.modes import no_grad

        problems = []
        for key, tensor in own.items():
            if key not in state_dict:
                continue
            given = state_dict[key]
            if tuple(given.shape) != tuple(tensor.shape):
                problems.append(
                    f"size mismatch for {key}: copying a param with shape {given.shape} from "
                    f"checkpoint, the shape in current model is {tensor.shape}."
                )
                continue
            with no_grad():
                tensor.copy_(given)
        return problems

    def _may_lack(self, key: str) -> bool:
        """Files from before batches were counted lack the count."""
        return False

    def extra_repr(self) -> str:
        """What stands between the parentheses."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        lines = [
            f"({name}): " + repr(module).replace("\n", "\n  ")
            for name, module in self._modules.items()
        ]
        extra = self.extra_repr()
        if not lines:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}({extra}\n  " + "\n  ".join(lines) + "\n)"


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    return missing(f"torch.nn.modules.module.{name}")
