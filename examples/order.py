"""Does order matter to a model? A letter is to be predicted after a past that was changed.

    as it is     x_1 … x_31 x_32 → x_33
    permuted     x_1 … x_31 in any order, then x_32
    trimmed      x_25 … x_32, the beginning cut off
    omitted      x_1 … x_31 with a quarter of them missing, then x_32

A Markov chain of order 3 reads three letters, whatever came before; one of order 1 shows what the last letter alone is
worth. The state of an RNN is made of all letters, in their order. Attention, softmax(Q Kᵀ / √d) V, is a mean over keys
and values in any order: to one layer without positions, whose query is from x_32, the letters before are a set.
Positions make a sequence of them. Losses on text not trained on are drawn in order.png, beside this script.
"""

import re
from importlib.resources import files
from pathlib import Path

import torch

from throughtime._plotting import PALETTE, figure, style
from throughtime.models import family

torch.set_num_threads(1)
torch.manual_seed(0)
PAST, TRIMMED, WINDOWS, STEPS = 32, 8, 2000, 150
text = (files("throughtime") / "demo_data" / "shakespeare.txt").read_text(encoding="utf-8").lower()
symbols = torch.tensor(list(re.sub("[^a-z]+", " ", text).encode())) & 31  # a space is 0, a is 1, z is 26
train, test = symbols[: len(symbols) * 9 // 10], symbols[len(symbols) * 9 // 10 :]
attention = {"name": "transformer", "hidden_size": 64, "num_layers": 1, "context": PAST + 1}
models = {
    "RNN": {"name": "rnn", "hidden_size": 64},
    "Transformer,\nrotary positions": {"positions": "rotary", **attention},
    "Transformer,\nno positions": {"positions": "none", **attention},
    "Markov chain\nof order 3": {"name": "markov", "order": 3},
    "Markov chain\nof order 1": {"name": "markov", "order": 1},
}


def windows(source, count):
    return source[torch.randint(len(source) - PAST, (count,)) + torch.arange(PAST + 1)[:, None]]  # [time, batch]


def learnt(model):
    optimizer = torch.optim.Adam(model.parameters())
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / STEPS)
        optimizer.zero_grad()
        model.score(windows(train, 32)).mean().backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


x = windows(test, WINDOWS)
shuffled = torch.rand(PAST - 1, WINDOWS).argsort(0)
kept = shuffled[: PAST * 3 // 4].sort(0).values
permuted, omitted = (torch.cat([x.gather(0, places), x[-2:]]) for places in (shuffled, kept))
inputs = {"as it is": x, "permuted": permuted, "trimmed": x[-TRIMMED - 1 :], "omitted": omitted}
losses = torch.zeros(len(models), len(inputs), WINDOWS)
for row, settings in zip(losses, models.values(), strict=True):
    model = family(settings).of_symbols(27, embedding_size=32)
    model = model.fit([train]) if settings["name"] == "markov" else learnt(model)
    row.copy_(torch.stack([model.score(past)[-1] for past in inputs.values()]))  # in nats, of the last letter alone
means, errors = losses.mean(2).numpy(), 2 * losses.std(2).numpy() / WINDOWS**0.5
with style():
    axes = (drawn := figure(7.5, 3)).add_subplot()
    for kind, (change, colour) in enumerate(zip(inputs, ("blue", "vermillion", "green", "orange"), strict=True)):
        places = [model + 0.2 * (kind - 1.5) for model in range(4)]
        axes.bar(places, means[:4, kind], 0.2, yerr=errors[:4, kind], label=change, color=PALETTE[colour])
    axes.axhline(means[4, 0], color=PALETTE["black"], linestyle=":", label="by the last letter alone")
    axes.set_xticks(range(4), list(models)[:4])
    axes.set_ylabel("nats a letter, ± 2 standard errors")
    drawn.legend(loc="outside upper center", ncols=5)
    drawn.savefig(Path(__file__).with_suffix(".png"))
torch.testing.assert_close(losses[2, 1], losses[2, 0])  # without positions: no order but which letter is the last
assert (losses[3, 2] == losses[3, 0]).all()  # what a chain does not read cannot matter to it
for as_it_is, permuted, trimmed, omitted in means[[0, 1, 3]]:
    assert as_it_is < means[4, 0] - 0.2 < means[4, 0] + 0.2 < permuted  # order helps, and a wrong one misleads
    assert abs(trimmed - as_it_is) < 0.05 < omitted - as_it_is < permuted - as_it_is
costs = "RNN {:.2f}, Transformer {:.2f}, without positions {:.2f}, chain {:.2f}".format(*(means[:, 1] - means[:, 0]))
print("what a permuted past costs, in nats a letter:", costs)
