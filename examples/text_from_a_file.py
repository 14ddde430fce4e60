"""From a text to a model that writes: a small LSTM and a few hundred steps of Shakespeare."""

from importlib.resources import files
from tempfile import TemporaryDirectory

import throughtime as tt
from throughtime.models import Decoding

file = str(files("throughtime") / "demo_data" / "shakespeare.txt")

with TemporaryDirectory() as folder:
    data = tt.read_text(file)  # by character; unit="byte" for bytes
    training = tt.prepare(
        data,
        f"{folder}/run",
        task={"batch_size": 32, "steps": 32},  # 32 streams side by side, each 32 characters further every step
        family={"name": "lstm", "hidden_size": 64, "num_layers": 1, "dropout": 0.0},
        training={"epochs": 2, "strategy": "truncated:32"},
        optimizer={"learning_rate": 0.01},
    )
    training.fit()

    run = tt.load(f"{folder}/run")
    figures = tt.likelihood(run, data)  # of the last tenth, never seen in training
    prompt = run.vocabulary.encode("MENENIUS:\n")
    symbols = run.generate(60, prompt, decoding=Decoding(temperature=0.7, top_p=0.9), seed=1)
    passage = run.vocabulary.decode(symbols)

assert len(passage) == 60
assert figures.model["bits"] < figures.baselines["unigram"]["bits"] - 1
print(f"{figures.model['bits']:.2f} bits a character, {figures.baselines['unigram']['bits']:.2f} unigram: {passage!r}")
