"""Batch normalization over several processes: the layer, the conversion, the launcher.

Built on PyTorch's own engine, `torch.distributed`: gloo on the CPU, NCCL on GPUs. Start the
processes with :func:`launch` (in a notebook, too) or with ``torchrun``.
"""

from bnkit.distributed.collectives import all_reduce
from bnkit.distributed.function import sync_batch_norm
from bnkit.distributed.launching import RankError, launch
from bnkit.distributed.layer import SyncBatchNorm, convert_sync_batchnorm
from bnkit.distributed.replicas import Replicas

__all__ = [
    "RankError",
    "Replicas",
    "SyncBatchNorm",
    "all_reduce",
    "convert_sync_batchnorm",
    "launch",
    "sync_batch_norm",
]
