#!/usr/bin/env python3
"""Trains the benchmark's network with PyTorch.

    train_torch.py SAMPLES --variant plain|hand|ddp --hidden 128,64 --batch 100 --threads 1

plain: nn.Module, autograd and torch.optim.Adam, as a tutorial writes them, but for the samples: they are gathered once
an epoch, without a DataLoader. hand: forward and backward written out, into buffers that are made once, and one Adam
update of all parameters as one vector. ddp: plain in DistributedDataParallel, two processes over gloo on loopback; a
batch is shared between them.
"""

import multiprocessing
import os
import time

import numpy as np
import torch
import train_samples as samples

BETAS, EPSILON = (0.9, 0.999), 1e-8


def network(features, options):
    layers = []
    for units in samples.hidden(options):
        layers += [torch.nn.Linear(features, units), torch.nn.ReLU(), torch.nn.Dropout(options.dropout)]
        features = units
    return torch.nn.Sequential(*layers, torch.nn.Linear(features, 1))


def tensors(folder, part):
    features, labels = samples.load(folder, part)
    return torch.from_numpy(features), torch.from_numpy(labels)[:, None]


def finish(options, counted, ends, losses, module):
    def score(features):
        module.eval()
        with torch.no_grad():
            return torch.sigmoid(module(torch.from_numpy(features)))[:, 0].numpy()

    name = {"plain": "PyTorch", "hand": "PyTorch by hand", "ddp": "PyTorch DDP"}[options.variant]
    samples.report(options, f"{name} {torch.__version__}", counted, ends, losses, score)


def train_plain(options, rank=0, processes=1):
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    x, y = tensors(options.samples, "train")
    xv, yv = (part[rank::processes] for part in tensors(options.samples, "validation"))
    module = network(x.shape[1], options)
    model = torch.nn.parallel.DistributedDataParallel(module) if processes > 1 else module
    optimizer = torch.optim.Adam(module.parameters(), lr=options.rate, betas=BETAS, eps=EPSILON)
    loss = torch.nn.BCEWithLogitsLoss()
    total = torch.nn.BCEWithLogitsLoss(reduction="sum")
    share = options.batch // processes
    # Processes must take equally many steps; a process alone takes the last, shorter batch too.
    counted = len(x) if processes == 1 else len(x) // options.batch * options.batch
    ends, losses = [], []
    for epoch in range(options.epochs):
        order = torch.from_numpy(np.random.default_rng([options.seed, epoch]).permutation(len(x))[:counted])
        if processes > 1:
            torch.manual_seed(options.seed + epoch * processes + rank)
            order = order.view(-1, processes, share)[:, rank].reshape(-1)
        module.train()
        for xb, yb in zip(x[order].split(share), y[order].split(share)):
            optimizer.zero_grad(set_to_none=True)
            loss(model(xb), yb).backward()
            optimizer.step()
        module.eval()
        with torch.no_grad():
            sums = torch.tensor([total(module(xv), yv).item(), len(xv)], dtype=torch.float64)
        if processes > 1:
            torch.distributed.all_reduce(sums)
        losses.append((sums[0] / sums[1]).item())
        ends.append(time.perf_counter())
    if rank == 0:
        finish(options, counted, ends, losses, module)


class FlatAdam:
    """Adam on one vector: PyTorch's fused kernel where it has one for processors, in-place operations otherwise."""

    def __init__(self, parameters, gradient, rate):
        self.parameters, self.gradient, self.rate, self.steps = parameters, gradient, rate, 0
        self.first, self.second = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self.scratch, self.count = torch.zeros_like(parameters), torch.zeros(())
        self.is_fused = hasattr(torch, "_fused_adam_")
        if self.is_fused:
            try:
                copies = [torch.zeros(1) for _ in range(4)]
                self.fused(*([one] for one in copies), torch.ones(()))
            except (RuntimeError, NotImplementedError, TypeError):
                self.is_fused = False

    def fused(self, parameters, gradients, first, second, count):
        torch._fused_adam_(
            parameters,
            gradients,
            first,
            second,
            [],
            [count],
            lr=self.rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def step(self):
        self.steps += 1
        if self.is_fused:
            self.count.add_(1)
            self.fused([self.parameters], [self.gradient], [self.first], [self.second], self.count)
            return
        self.first.lerp_(self.gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(self.gradient, self.gradient, value=1 - BETAS[1])
        torch.sqrt(self.second, out=self.scratch)
        self.scratch.div_((1 - BETAS[1] ** self.steps) ** 0.5).add_(EPSILON)
        self.parameters.addcdiv_(self.first, self.scratch, value=-self.rate / (1 - BETAS[0] ** self.steps))


class HandWritten:
    """The network's forward and backward pass without autograd; parameters and gradients are views of one vector."""

    def __init__(self, module, options):
        own = list(module.parameters())
        self.parameters = torch.cat([one.detach().reshape(-1) for one in own])
        self.gradient = torch.zeros_like(self.parameters)
        self.weights, self.gradients, start = [], [], 0
        for one in own:
            self.weights.append(self.parameters[start : start + one.numel()].view_as(one))
            self.gradients.append(self.gradient[start : start + one.numel()].view_as(one))
            one.data = self.weights[-1]
            start += one.numel()
        self.layers = len(own) // 2
        widths = [self.weights[2 * layer].shape[0] for layer in range(self.layers)]
        self.values = [torch.empty(options.batch, width) for width in widths]
        self.deltas = [torch.empty(options.batch, width) for width in widths[:-1]]
        self.scale = 1 / (1 - options.dropout)
        self.adam = FlatAdam(self.parameters, self.gradient, options.rate)

    def step(self, x, y, masks):
        """One update; `masks` has 0 or 1 / (1 - dropout) for each value of the hidden layers."""
        count, last = len(x), self.layers - 1
        values = [x] + [buffer[:count] for buffer in self.values]
        for layer in range(self.layers):
            weight, bias, out = self.weights[2 * layer], self.weights[2 * layer + 1], values[layer + 1]
            torch.addmm(bias, values[layer], weight.t(), out=out)
            if layer < last:
                out.clamp_(min=0).mul_(masks[layer])
        delta = values[-1].sigmoid_().sub_(y).div_(count)
        for layer in range(last, -1, -1):
            torch.mm(delta.t(), values[layer], out=self.gradients[2 * layer])
            torch.sum(delta, 0, out=self.gradients[2 * layer + 1])
            if layer > 0:
                before = self.deltas[layer - 1][:count]
                torch.mm(delta, self.weights[2 * layer], out=before)
                # A value is above 0 where ReLU and dropout let it pass; its own size is no longer needed.
                delta = before.mul_(values[layer].sign_().mul_(self.scale))
        self.adam.step()


def masks_of(random, count, widths, batch, dropout):
    """For `count` steps the masks of each hidden layer: one random draw for all of them."""
    size = count * batch * sum(widths)
    if dropout == 0.5:
        bits = np.unpackbits(np.frombuffer(random.bytes(-(-size // 8)), np.uint8), count=size)
    else:
        bits = (np.frombuffer(random.bytes(size), np.uint8) >= round(256 * dropout)).view(np.uint8)
    whole = torch.from_numpy(bits).float().mul_(1 / (1 - dropout)).view(count, -1)
    parts = whole.split([batch * width for width in widths], 1)
    return [[part[step].view(batch, width) for part, width in zip(parts, widths)] for step in range(count)]


def train_hand(options):
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    torch.set_grad_enabled(False)
    x, y = tensors(options.samples, "train")
    xv, yv = tensors(options.samples, "validation")
    module = network(x.shape[1], options)
    hand = HandWritten(module, options)
    widths, batch = samples.hidden(options), options.batch
    together = max(1, min(64, (1 << 21) // (batch * sum(widths))))
    random = np.random.default_rng(options.seed)
    ends, losses = [], []
    for epoch in range(options.epochs):
        order = torch.from_numpy(np.random.default_rng([options.seed, epoch]).permutation(len(x)))
        batches = list(zip(x[order].split(batch), y[order].split(batch)))
        for start in range(0, len(batches), together):
            some = batches[start : start + together]
            for (xb, yb), masks in zip(some, masks_of(random, len(some), widths, batch, options.dropout)):
                hand.step(xb, yb, masks if len(xb) == batch else [mask[: len(xb)] for mask in masks])
        module.eval()
        losses.append(torch.nn.functional.binary_cross_entropy_with_logits(module(xv), yv).item())
        ends.append(time.perf_counter())
    finish(options, len(x), ends, losses, module)


def member(rank, options):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(options.port), GLOO_SOCKET_IFNAME="lo")
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    train_plain(options, rank, 2)
    torch.distributed.destroy_process_group()


def main():
    options = samples.arguments(["plain", "hand", "ddp"]).parse_args()
    if options.variant == "plain":
        train_plain(options)
    elif options.variant == "hand":
        train_hand(options)
    else:
        context = multiprocessing.get_context("spawn")
        members = [context.Process(target=member, args=(rank, options)) for rank in range(2)]
        for one in members:
            one.start()
        for one in members:
            one.join()
        if any(one.exitcode for one in members):
            raise SystemExit("a process of DistributedDataParallel failed")


if __name__ == "__main__":
    main()
