"""Solutions of the exercises of chapters 1 to 3."""

import torch
from torch import nn


def dead_pixels(batch, test):
    dead = (batch == batch[0]).all(dim=0)  # (C,)
    touched = (test[:, dead] != batch[0, dead]).any(dim=1)  # (N,)
    return dead.sum().item(), touched.float().mean().item()


def propagate_centered(x, weights):
    layers = []
    for weight in weights:
        z = x @ weight
        z = z - z.mean(dim=0)
        layers.append(z)
        x = z.relu()
    return layers


def batch_norm_train(x, weight, bias, eps):
    mean = x.mean(dim=0)  # (C,)
    var = ((x - mean) ** 2).mean(dim=0)  # (C,), biased
    x_hat = (x - mean) / torch.sqrt(var + eps)  # (N, C)
    return weight * x_hat + bias


def batch_norm_2d(x, weight, bias, eps):
    dims, shape = (0, 2, 3), (1, -1, 1, 1)
    mean = x.mean(dims, keepdim=True)  # (1, C, 1, 1)
    var = ((x - mean) ** 2).mean(dims, keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    return weight.view(shape) * x_hat + bias.view(shape)


def whiten(x, eps=1e-5):
    centered = x - x.mean(dim=0)
    cov = centered.T @ centered / len(x)  # (C, C)
    values, vectors = torch.linalg.eigh(cov + eps * torch.eye(x.shape[1]))
    return centered @ vectors @ torch.diag(values.rsqrt()) @ vectors.T


def update(running_mean, running_var, x, momentum):
    mean, var = x.mean(dim=0), x.var(dim=0)  # the unbiased variance is kept
    running_mean = (1 - momentum) * running_mean + momentum * mean
    running_var = (1 - momentum) * running_var + momentum * var
    return running_mean, running_var


def to_pytorch(keras_momentum):
    return 1 - keras_momentum


def corrected_mean(batch_means, momentum):
    running, corrected = torch.zeros_like(batch_means[0]), []
    for t, mean in enumerate(batch_means, start=1):
        running = (1 - momentum) * running + momentum * mean
        corrected.append(running / (1 - (1 - momentum) ** t))
    return torch.stack(corrected)  # (T, C)


def freeze(model):
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            module.eval()
