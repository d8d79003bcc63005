"""Writes torch_reference.json: what PyTorch computes for small models, losses, optimisers and schedules.

Run with a Python that has PyTorch: python3 torch_reference.py > torch_reference.json
"""

import json

import torch
from torch import nn

torch.manual_seed(7)
torch.set_num_threads(1)
SAMPLES, INPUTS = 12, 5


def rounded(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().double().flatten().tolist()]


class Skip(nn.Module):
    """dense a (relu), dense b (tanh), add a, dense c."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(INPUTS, 4), nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x):
        first = torch.relu(self.a(x))
        return self.c(torch.tanh(self.b(first)) + first)


def parameters(model):
    """Values in our order: of each layer weights and biases, then running statistics."""
    values, gradients = [], []
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.BatchNorm1d, nn.LayerNorm)):
            for tensor in (module.weight, module.bias):
                values.append(tensor.detach().flatten().clone())
                gradients.append(torch.zeros_like(tensor).flatten() if tensor.grad is None else tensor.grad.flatten())
        if isinstance(module, nn.BatchNorm1d):
            for tensor in (module.running_mean, module.running_var):
                values.append(tensor.flatten().clone())
                gradients.append(torch.zeros_like(tensor).flatten())
    return torch.cat(values), torch.cat(gradients)


def loss_of(kind, logits, labels):
    """The sum of the samples' losses."""
    if kind == "binary":
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels.float(), reduction="sum")
    if kind == "binary_smoothed":
        truth = labels.float() * 0.8 + 0.1
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 0], truth, reduction="sum")
    if kind == "categorical":
        return nn.functional.cross_entropy(logits, labels, reduction="sum")
    if kind == "categorical_smoothed":
        return nn.functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=0.2)
    if logits.shape[1] == 1:
        p = torch.sigmoid(logits[:, 0])
        p = torch.where(labels > 0, p, 1 - p)
    else:
        p = torch.softmax(logits, 1).gather(1, labels[:, None])[:, 0]
    settings = {"binary_focal": (2.0, 0.25), "binary_focal_half": (1.5, None), "categorical_focal": (2.0, None)}
    gamma, alpha = settings[kind]
    weight = 1.0 if alpha is None else torch.where(labels > 0, alpha, 1 - alpha)
    return (-weight * (1 - p) ** gamma * torch.log(p)).sum()


def model_case(name, model, loss="binary"):
    classes = 2 if loss.startswith("binary") else 3
    x = torch.randn(SAMPLES, INPUTS)
    labels = torch.randint(0, classes, (SAMPLES,))
    for tensor in model.parameters():
        with torch.no_grad():
            tensor.add_(0.3 * torch.randn_like(tensor))
    start, _ = parameters(model)
    model.train()
    logits = model(x)
    total = loss_of(loss, logits, labels)
    total.backward()
    scores = torch.sigmoid(logits) if classes == 2 else torch.softmax(logits, 1)
    after, gradient = parameters(model)
    model.eval()
    outside = model(x)
    return {
        "name": name, "lossName": loss, "inputs": rounded(x), "labels": labels.tolist(), "start": rounded(start),
        "scores": rounded(scores), "loss": float(total), "gradient": rounded(gradient), "after": rounded(after),
        "outside": rounded(torch.sigmoid(outside) if classes == 2 else torch.softmax(outside, 1)),
    }


def activated(activation):
    return nn.Sequential(nn.Linear(INPUTS, 6), activation, nn.Linear(6, 1))


def plain(outputs):
    return nn.Sequential(nn.Linear(INPUTS, 6), nn.Tanh(), nn.Linear(6, outputs))


def optimizer_case(name, make, clip=None):
    model = plain(1)
    x = torch.randn(SAMPLES, INPUTS)
    labels = torch.randint(0, 2, (SAMPLES,))
    start, _ = parameters(model)
    optimizer = make(model.parameters())
    for _ in range(10):
        optimizer.zero_grad()
        (loss_of("binary", model(x), labels) / SAMPLES).backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    return {
        "name": name, "inputs": rounded(x), "labels": labels.tolist(), "start": rounded(start),
        "after": rounded(parameters(model)[0]),
    }


def regression_case(loss, delta, normalise, optimizer, make):
    """A target about 40 with a deviation of about 15; losses are those of normalised targets."""
    model = plain(1)
    x = torch.randn(SAMPLES, INPUTS)
    targets = 40 + 15 * torch.randn(SAMPLES)
    offset, scale = (torch.tensor(value) for value in ((38.5, 1 / 14.0) if normalise else (0.0, 1.0)))
    compare = nn.MSELoss(reduction="sum") if loss == "mse" else nn.HuberLoss(reduction="sum", delta=delta)
    start, _ = parameters(model)

    def total():
        return compare(model(x)[:, 0], (targets - offset) * scale)

    first = total()
    first.backward()
    gradient = parameters(model)[1].clone()
    updates = make(model.parameters())
    for _ in range(10):
        updates.zero_grad()
        (total() / SAMPLES).backward()
        updates.step()
    return {
        "loss": loss, "delta": delta, "optimizer": optimizer, "offset": float(offset), "scale": float(scale),
        "inputs": rounded(x), "targets": rounded(targets), "start": rounded(start), "total": float(first),
        "gradient": rounded(gradient), "after": rounded(parameters(model)[0]),
    }


def schedule_case(name, make, every):
    """The learning rate of each of 4 epochs of 10 steps; `every` is "step" or "epoch"."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = make(optimizer)
    rates = []
    for step in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if every == "step" or step % 10 == 9:
            schedule.step()
    return {"name": name, "rates": rates}


def plateau_case():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    metrics = [1.0, 0.8, 0.79999, 0.81, 0.82, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.6, 0.61]
    rates = []
    for metric in metrics:
        schedule.step(metric)
        rates.append(optimizer.param_groups[0]["lr"])
    return {"metrics": metrics, "rates": rates}


schedulers = torch.optim.lr_scheduler
reference = {
    "models": [
        model_case("relu", activated(nn.ReLU())),
        model_case("leaky_relu", activated(nn.LeakyReLU())),
        model_case("elu", activated(nn.ELU())),
        model_case("selu", activated(nn.SELU())),
        model_case("gelu", activated(nn.GELU())),
        model_case("silu", activated(nn.SiLU())),
        model_case("tanh", activated(nn.Tanh())),
        model_case("sigmoid", activated(nn.Sigmoid())),
        model_case("softmax", activated(nn.Softmax(1))),
        model_case("layer_norm", activated(nn.Sequential(nn.LayerNorm(6), nn.ReLU()))),
        model_case("batch_norm", activated(nn.Sequential(nn.BatchNorm1d(6), nn.ReLU()))),
        model_case("add", Skip()),
        model_case("plain", plain(1), "binary_smoothed"),
        model_case("plain", plain(1), "binary_focal"),
        model_case("plain", plain(1), "binary_focal_half"),
        model_case("plain", plain(3), "categorical"),
        model_case("plain", plain(3), "categorical_smoothed"),
        model_case("plain", plain(3), "categorical_focal"),
    ],
    "optimizers": [
        optimizer_case("adam", lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-7)),
        optimizer_case("adam_decay", lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-7, weight_decay=0.1)),
        optimizer_case("adamw", lambda p: torch.optim.AdamW(p, lr=0.01, eps=1e-7, weight_decay=0.1)),
        optimizer_case("sgd", lambda p: torch.optim.SGD(p, lr=0.1)),
        optimizer_case("sgd_decay", lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.05)),
        optimizer_case("momentum", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        optimizer_case("nesterov", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
        optimizer_case("clipped", lambda p: torch.optim.SGD(p, lr=0.1), clip=0.05),
    ],
    "schedules": [
        schedule_case("step", lambda o: schedulers.StepLR(o, step_size=2, gamma=0.3), "epoch"),
        schedule_case("cosine", lambda o: schedulers.CosineAnnealingLR(o, T_max=40, eta_min=0.001), "step"),
        schedule_case("one_cycle", lambda o: schedulers.OneCycleLR(o, max_lr=0.1, total_steps=41), "step"),
        schedule_case("warmup", lambda o: schedulers.LambdaLR(o, lambda step: min(1, (step + 1) / 20)), "step"),
    ],
    "plateau": plateau_case(),
    "regressions": [
        regression_case(loss, delta, normalise, name, make)
        for loss, delta, normalise in [
            ("mse", 1.0, True), ("huber", 1.0, True), ("huber", 0.3, True), ("mse", 1.0, False), ("huber", 25.0, False)
        ]
        for name, make in [
            ("adam", lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-7)),
            ("momentum", lambda p: torch.optim.SGD(p, lr=0.001, momentum=0.9)),
        ]
    ],
}
print(json.dumps(reference))
