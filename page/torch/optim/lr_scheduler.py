"""Schedules of learning rates, which the exercises do not use."""

__all__: list[str] = []


def __getattr__(name: str) -> object:
    from ..lacking import missing

    if name.startswith("__"):
        raise AttributeError(name)
    return missing(f"torch.optim.lr_scheduler.{name}")
