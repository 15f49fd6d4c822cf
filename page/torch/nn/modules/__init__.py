"""All layers."""

from . import batchnorm, container, linear, module, normalization, simple
from .batchnorm import *  # noqa: F403
from .container import *  # noqa: F403
from .linear import *  # noqa: F403
from .module import Module
from .normalization import *  # noqa: F403
from .simple import *  # noqa: F403

conv, instancenorm = linear, batchnorm  # PyTorch has files of their own for these layers
__all__ = [
    "Module", *batchnorm.__all__, *container.__all__, *linear.__all__, *normalization.__all__,
    *simple.__all__,
]  # fmt: skip
