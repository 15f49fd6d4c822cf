"""SGD and Adam."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..autograd.modes import enable_grad, no_grad
from ..nn.modules.module import Handle
from ..tensor import Tensor

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]


class Optimizer:
    """Parameters in groups with their settings, and what is remembered of each."""

    def __init__(self, params: Iterable, defaults: dict) -> None:
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.defaults, self.state = defaults, {}
        self.before, self.after = {}, {}  # hooks of a step
        self.param_groups = [{**defaults, **g, "params": _listed(g["params"])} for g in groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if set_to_none:
                    parameter.grad = None
                else:
                    parameter.grad = parameter.grad.detach() * 0

    @no_grad()
    def step(self, closure: Callable | None = None) -> object:
        """Move every parameter that has a gradient."""
        loss = None
        for hook in list(self.before.values()):
            hook(self, (closure,), {})
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(parameter, group, self.state.setdefault(parameter, {}))
        for hook in list(self.after.values()):
            hook(self, (closure,), {})
        return loss

    def register_step_pre_hook(self, hook: Callable) -> Handle:
        """Call a function before each step."""
        return Handle(self.before, hook)

    def register_step_post_hook(self, hook: Callable) -> Handle:
        """Call a function after each step."""
        return Handle(self.after, hook)

    def move(self, parameter: Tensor, group: dict, state: dict) -> None:
        """Move one parameter."""
        raise NotImplementedError

    def add_param_group(self, group: dict) -> None:
        """Take care of more parameters."""
        self.param_groups.append({**self.defaults, **group, "params": _listed(group["params"])})

    def state_dict(self) -> dict:
        """Settings, and what is remembered of each parameter by its number."""
        every = [p for group in self.param_groups for p in group["params"]]
        numbers = {id(p): i for i, p in enumerate(every)}
        groups = [{**g, "params": [numbers[id(p)] for p in g["params"]]} for g in self.param_groups]
        return {"state": {numbers[id(p)]: s for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, saved: dict) -> None:
        """Go on from there."""
        every = [p for group in self.param_groups for p in group["params"]]
        self.state = {every[i]: dict(s) for i, s in saved["state"].items()}
        for group, other in zip(self.param_groups, saved["param_groups"], strict=True):
            group.update({k: v for k, v in other.items() if k != "params"})


def _listed(params: object) -> list[Tensor]:
    found = [params] if isinstance(params, Tensor) else list(params)
    found = [p[1] if isinstance(p, tuple) else p for p in found]
    for parameter in found:
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"optimizer can only optimize Tensors, but one of the params is "
                f"{type(parameter).__name__}"
            )
        if not parameter.is_leaf:
            raise ValueError("can't optimize a non-leaf Tensor")
    return found


class SGD(Optimizer):
    """Steps against the gradient, with momentum and weight decay."""

    def __init__(
        self, params: Iterable, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
        **_options: object,
    ) -> None:  # fmt: skip
        if lr < 0:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
        })  # fmt: skip

    def move(self, parameter: Tensor, group: dict, state: dict) -> None:
        """Move one parameter."""
        grad = -parameter.grad if group["maximize"] else parameter.grad
        if group["weight_decay"]:
            grad = grad.add(parameter, alpha=group["weight_decay"])
        if group["momentum"]:
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = grad.detach().clone()
            else:
                state["momentum_buffer"].mul_(group["momentum"]).add_(
                    grad, alpha=1 - group["dampening"]
                )
            before = state["momentum_buffer"]
            grad = grad.add(before, alpha=group["momentum"]) if group["nesterov"] else before
        parameter.add_(grad, alpha=-group["lr"])


class Adam(Optimizer):
    """Steps by averages of the gradient and of its square."""

    decoupled = False

    def __init__(
        self, params: Iterable, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, **_options: object,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
        })  # fmt: skip

    def move(self, parameter: Tensor, group: dict, state: dict) -> None:
        """Move one parameter."""
        grad, decay = parameter.grad, group["weight_decay"]
        if decay and self.decoupled:
            parameter.mul_(1 - group["lr"] * decay)
        elif decay:
            grad = grad.add(parameter, alpha=decay)
        if not state:
            state.update(step=0, exp_avg=grad * 0, exp_avg_sq=grad * 0)
        state["step"] += 1
        first, second = group["betas"]
        state["exp_avg"].lerp_(grad, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(grad, grad, value=1 - second)
        size = group["lr"] / (1 - first ** state["step"])
        root = (1 - second ** state["step"]) ** 0.5
        spread = state["exp_avg_sq"].sqrt().div_(root).add_(group["eps"])
        parameter.addcdiv_(state["exp_avg"], spread, value=-size)


class AdamW(Adam):
    """Adam with weight decay that is no part of the gradient."""

    decoupled = True

    def __init__(
        self, params: Iterable, *args: object, weight_decay: float = 1e-2, **options: object
    ) -> None:
        super().__init__(params, *args, weight_decay=weight_decay, **options)
