"""Polyphonic music: sequences of chords, each a vector of 88 keys that are down or up, learnt and carried on as MIDI.

The head is a Bernoulli distribution a key: −log p of a chord given those before it is a sum over its keys. The baseline
takes each key to be down as often as it is on the average, whatever came before. The music is a cadence in four voices,
in each of the twelve keys, begun at any of its chords.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

import throughtime as tt
from throughtime.data import Sequences, read_midi, shifted, write_midi
from throughtime.models import BernoulliHead, negative_log_likelihood

KEYS, MIDDLE_C, FRAMES = 88, 39, 24
SCALE = [0, 2, 4, 5, 7, 9, 11]
CADENCE = [0, 5, 3, 4, 0, 3, 1, 4]  # I vi IV V I IV ii V, as steps of the scale


def chord(degree: int, tonic: int) -> list[int]:
    """A bass and three voices above it, as columns of a piano roll."""
    voices = [degree - 14, degree, degree + 2, degree + 4]
    return [MIDDLE_C + tonic + 12 * (voice // 7) + SCALE[voice % 7] for voice in voices]


def tune(tonic: int, begin: int) -> np.ndarray:
    """A chord a frame, [time, 88]."""
    roll = np.zeros((FRAMES, KEYS), np.float32)
    for frame in range(FRAMES):
        roll[frame, chord(CADENCE[(begin + frame) % len(CADENCE)], tonic)] = 1
    return roll


torch.set_num_threads(1)
torch.manual_seed(0)
tunes = [tune(tonic, begin) for tonic in range(-6, 6) for begin in range(len(CADENCE))]
often = torch.from_numpy(np.concatenate(tunes).mean(0)).clamp(1e-3, 1 - 1e-3)
head = BernoulliHead(64, KEYS)
with torch.no_grad():
    head.linear.bias.copy_(often.logit())  # training begins at the baseline
model = tt.SequenceModel(nn.Identity(), tt.GRU(KEYS, 64), head)
source = Sequences([shifted(roll) for roll in tunes], batch_size=24, seed=0)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(60):
    for batch in source.batches(epoch):
        optimizer.zero_grad()
        done = tt.backward(model, batch, negative_log_likelihood)
        for parameter in model.parameters():
            parameter.grad /= done.count
        optimizer.step()
surprise = done.loss_sum / done.count
baseline = -head.distribution(often.logit()).log_prob(torch.from_numpy(tunes[0])).mean()
assert surprise < baseline / 4

# The first bar of a tune is given; what follows is drawn, chord by chord, each fed back for the next.
beginning = torch.from_numpy(tune(tonic=2, begin=0))[:8, None]  # [time, batch, key], in D
with torch.no_grad():
    _, state = model(beginning[:-1])
    continuation = model.sample(16, beginning[-1], state)
agreement = (continuation[:, 0].numpy() == tune(tonic=2, begin=0)[8:]).all(1).mean()
assert agreement > 0.7
whole = torch.cat([beginning, continuation])[:, 0].numpy()
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "cadence.mid"
    write_midi(file, whole, tempo=90, frames_per_beat=1)
    assert (read_midi(file, frames_per_beat=1) == whole).all()
print(f"{surprise:.2f} nats a chord, {baseline:.2f} if keys forget the past; {agreement:.0%} of the chords drawn fit")
