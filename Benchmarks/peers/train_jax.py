#!/usr/bin/env python3
"""Trains the benchmark's network with JAX: one compiled program an epoch, in which lax.scan runs over the steps.

    train_jax.py SAMPLES --hidden 128,64 --batch 100 --threads 1 [--variant NAME | --choose]

The variants differ in what decides JAX's speed on processors: how dropout is drawn (`hash`: a hash of each value's
number; `bits`: one hash for 32 values; `library`: jax.random.bernoulli), where batches are gathered (`before`: all
by NumPy; `inside`: each step by itself), and how many steps the loop is unrolled by. --choose times some steps of
each and prints the fastest one's name. The last samples of an epoch that do not fill a batch are left out, and not
counted.
"""

import functools
import itertools
import json
import os
import time

import numpy as np
import train_samples as samples

DROPOUT, GATHER, UNROLL = ("hash", "bits"), ("before", "inside"), (1, 2)
VARIANTS = ["-".join(map(str, parts)) for parts in itertools.product(DROPOUT, GATHER, UNROLL)] + ["library-before-1"]


def restrict(threads):
    """XLA has one thread for each core that the process may use; this must come before it starts."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-threads:])
    if threads == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()


def build(jax, options, features, variant):
    """The initial state, and the compiled functions: an epoch, the validation loss, and scores."""
    jnp = jax.numpy
    dropout, gather, unroll = variant.split("-")
    sizes = [features, *samples.hidden(options), 1]
    keep = 1 - options.dropout

    def state():
        random = np.random.default_rng(options.seed)
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            bound = inputs**-0.5
            layers.append(
                tuple(
                    jnp.asarray(random.uniform(-bound, bound, shape), jnp.float32)
                    for shape in ((inputs, outputs), (outputs,))
                )
            )
        return layers, jax.tree.map(jnp.zeros_like, layers), jax.tree.map(jnp.zeros_like, layers), jnp.float32(0)

    def scrambled(x):
        x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
        x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
        return x ^ (x >> 16)

    def kept(step, layer, shape):
        if dropout == "library":
            key = jax.random.fold_in(jax.random.key(options.seed, impl="unsafe_rbg"), step * len(sizes) + layer)
            return jax.random.bernoulli(key, keep, shape)
        size = shape[0] * shape[1]
        start = (step * len(sizes) + layer).astype(jnp.uint32) * jnp.uint32(0x9E3779B9) + jnp.uint32(options.seed)
        if dropout == "hash" or options.dropout != 0.5 or size % 32:
            numbers = scrambled(jax.lax.iota(jnp.uint32, size) + scrambled(start))
            return (numbers < jnp.uint32(min(keep * 2**32, 2**32 - 1))).reshape(shape)
        words = scrambled(jax.lax.iota(jnp.uint32, size // 32) + scrambled(start))
        return ((words[:, None] >> jnp.arange(32, dtype=jnp.uint32)) & 1).astype(bool).reshape(shape)

    def forward(layers, x, step=None):
        for number, (weight, bias) in enumerate(layers):
            x = x @ weight + bias
            if number + 1 < len(layers):
                x = jnp.maximum(x, 0)
                if step is not None:
                    x = jnp.where(kept(step, number, x.shape), x / keep, 0)
        return x[:, 0]

    def loss(layers, x, y, step=None):
        z = forward(layers, x, step)
        return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))

    def update(carried, x, y):
        layers, first, second, count = carried
        gradient = jax.grad(loss)(layers, x, y, count.astype(jnp.int32))
        count = count + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        rate, scale = options.rate / (1 - 0.9**count), jax.lax.rsqrt(1 - 0.999**count)
        layers = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * scale + 1e-8), layers, first, second)
        return layers, first, second, count

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(carried, x, y, order):
        def step(carried, item):
            return update(carried, *((x[item], y[item]) if gather == "inside" else item)), None

        return jax.lax.scan(step, carried, order if gather == "inside" else (x, y), unroll=int(unroll))[0]

    def arranged(x, y, order):
        """The arguments of `epoch` for an order [steps, batch] of the samples."""
        return (x, y, order) if gather == "inside" else (x[order], y[order], np.zeros(0, np.int32))

    return state, epoch, arranged, jax.jit(loss), jax.jit(forward)


def order_of(options, epoch, count, steps):
    order = np.random.default_rng([options.seed, epoch]).permutation(count)[: steps * options.batch]
    return order.astype(np.int32).reshape(steps, options.batch)


def train(jax, options, x, y, xv, yv):
    state, epoch, arranged, loss, forward = build(jax, options, x.shape[1], options.variant)
    if "inside" in options.variant:
        x, y = jax.device_put(x), jax.device_put(y)
    steps = len(x) // options.batch
    carried, ends, losses = state(), [], []
    for number in range(options.epochs):
        carried = epoch(carried, *arranged(x, y, order_of(options, number, len(x), steps)))
        losses.append(float(loss(carried[0], xv, yv)))
        ends.append(time.perf_counter())

    def score(features):
        return 1 / (1 + np.exp(-np.asarray(forward(carried[0], features), np.float64)))

    samples.report(options, f"JAX {jax.__version__}", steps * options.batch, ends, losses, score)


def choose(jax, options, x, y):
    # As many steps as give a stable time, fewer of a large network: all variants get the same.
    sizes = [x.shape[1], *samples.hidden(options), 1]
    products = options.batch * sum(inputs * outputs for inputs, outputs in zip(sizes, sizes[1:]))
    steps = max(4, min(len(x) // options.batch, int(6e8 / products)))
    seconds = {}
    for variant in VARIANTS:
        state, epoch, arranged, _, _ = build(jax, options, x.shape[1], variant)
        there = [jax.device_put(part) for part in (x, y)] if "inside" in variant else [x, y]
        order = order_of(options, 0, len(x), steps)
        carried = jax.block_until_ready(epoch(state(), *arranged(*there, order)))
        times = []
        for _ in range(2):
            start = time.perf_counter()
            carried = jax.block_until_ready(epoch(carried, *arranged(*there, order)))
            times.append(time.perf_counter() - start)
        seconds[variant] = min(times)
    print(json.dumps({"fastest": min(seconds, key=seconds.get), "seconds": seconds}), flush=True)


def main():
    parser = samples.arguments(VARIANTS)
    parser.add_argument("--choose", action="store_true")
    options = parser.parse_args()
    restrict(options.threads)
    import jax

    x, y = samples.load(options.samples, "train")
    if options.choose:
        return choose(jax, options, x, y)
    train(jax, options, x, y, *(jax.device_put(part) for part in samples.load(options.samples, "validation")))


main()
