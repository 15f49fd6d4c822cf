"""Solutions of the exercises of chapters 4 to 6."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


def backward(grad_output, x, weight, eps):
    centered = x - x.mean(dim=0)
    rstd = 1 / torch.sqrt((centered**2).mean(dim=0) + eps)  # (C,)
    x_hat = centered * rstd  # (N, C)
    along_x_hat = x_hat * (grad_output * x_hat).mean(dim=0)
    projected = grad_output - grad_output.mean(dim=0) - along_x_hat
    return weight * rstd * projected, (grad_output * x_hat).sum(dim=0), grad_output.sum(dim=0)


def batch_norm_backward_2d(grad_output, x, weight, eps):
    dims, shape = (0, 2, 3), (1, -1, 1, 1)
    centered = x - x.mean(dims, keepdim=True)
    rstd = 1 / torch.sqrt((centered**2).mean(dims, keepdim=True) + eps)  # (1, C, 1, 1)
    x_hat = centered * rstd
    along_x_hat = x_hat * (grad_output * x_hat).mean(dims, keepdim=True)
    projected = grad_output - grad_output.mean(dims, keepdim=True) - along_x_hat
    grad_input = weight.view(shape) * rstd * projected
    return grad_input, (grad_output * x_hat).sum(dims), grad_output.sum(dims)


def layer_norm_backward(grad_output, x, eps):
    g, x = grad_output.T, x.T  # the features of one example play the part of the batch
    centered = x - x.mean(dim=0)
    rstd = 1 / torch.sqrt((centered**2).mean(dim=0) + eps)
    x_hat = centered * rstd
    return (rstd * (g - g.mean(dim=0) - x_hat * (g * x_hat).mean(dim=0))).T


class Layer(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
            self.update(x)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    @torch.no_grad()
    def update(self, x):
        self.running_mean.lerp_(x.mean(dim=0), self.momentum)
        self.running_var.lerp_(x.var(dim=0), self.momentum)
        self.num_batches_tracked += 1


class Averaging(nn.Module):
    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
            self.update(x)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    @torch.no_grad()
    def update(self, x):
        self.num_batches_tracked += 1  # a buffer, so that a file keeps the count
        share = 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(x.mean(dim=0), share)
        self.running_var.lerp_(x.var(dim=0), share)


class BatchNorm2dAsRows(nn.BatchNorm1d):
    def forward(self, x):  # (N, C, H, W)
        last = x.movedim(1, -1)  # (N, H, W, C)
        rows = last.reshape(-1, last.shape[-1])  # (N * H * W, C)
        return super().forward(rows).view(last.shape).movedim(-1, 1)


def reestimate(model, batches):
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.reset_running_stats()
            module.momentum = None  # a plain average
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    return model.eval()


class Stopper:
    def __init__(self, patience, delta):
        self.patience, self.delta = patience, delta
        self.best_loss, self.counter, self.early_stop = float("inf"), 0, False

    def __call__(self, val_loss, model):
        if val_loss < self.best_loss - self.delta:
            self.best_loss, self.counter = val_loss, 0
            self.best_model_state = copy.deepcopy(model.state_dict())
        else:
            self.counter += 1
            self.early_stop = self.counter >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_model_state)


def evaluate(model, loader):
    model.eval()
    loss, hits, count = 0.0, 0, 0
    for x, y in loader:
        with torch.no_grad():
            logits = model(x)
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        hits += (logits.argmax(dim=1) == y).sum().item()
        count += len(x)
    return loss / count, hits / count


def training_step(model, optimizer, x, y):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()
