from __future__ import annotations

import torch

from throughtime.ops import scan


def note(x, state):
    """A step that writes down what it saw: its state is the sum so far and the number of steps."""
    total = state["total"] + x
    return total, {"total": total, "steps": (state["steps"][0] + 1,)}


def zero(batch=2):
    return {"total": torch.zeros(batch, 1), "steps": (torch.zeros(batch, dtype=torch.long),)}


X = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])[..., None]


def test_forward_and_reverse():
    outputs, state = scan(note, X, zero())
    assert outputs[..., 0].tolist() == [[1, 10], [3, 30], [6, 60]]
    outputs, state = scan(note, X, zero(), reverse=True)
    assert outputs[..., 0].tolist() == [[6, 60], [5, 50], [3, 30]]
    assert state["steps"][0].tolist() == [3, 3]


def test_lengths():
    lengths = torch.tensor([2, 0])
    outputs, state = scan(note, X, zero(), lengths=lengths)
    assert outputs[..., 0].tolist() == [[1, 0], [3, 0], [0, 0]]
    assert state["steps"][0].tolist() == [2, 0]
    outputs, state = scan(note, X, zero(), lengths=lengths, reverse=True)
    assert outputs[..., 0].tolist() == [[3, 0], [2, 0], [0, 0]]
    assert state["total"][:, 0].tolist() == [3, 0]


def test_resets():
    resets = torch.tensor([[False, True], [True, False], [False, True]])
    before = {"total": torch.full((2, 1), 100.0), "steps": (torch.zeros(2, dtype=torch.long),)}
    outputs, state = scan(note, X, before, fresh=zero, resets=resets)
    assert outputs[..., 0].tolist() == [[101, 10], [2, 30], [5, 30]]
    assert state["steps"][0].tolist() == [2, 1]
    outputs, state = scan(note, X, before, fresh=zero, resets=resets, reverse=True)
    assert outputs[..., 0].tolist() == [[1, 30], [105, 20], [103, 130]]
    assert state["total"][:, 0].tolist() == [1, 30]


def test_resets_in_the_padding_are_none():
    resets = torch.tensor([[False, False], [False, True], [True, False]])
    before = {"total": torch.full((2, 1), 100.0), "steps": (torch.zeros(2, dtype=torch.long),)}
    for reverse in (False, True):
        _, state = scan(note, X, before, fresh=zero, resets=resets, lengths=torch.tensor([2, 1]), reverse=reverse)
        assert state["total"][:, 0].tolist() == [103, 110]


def test_a_fresh_state_is_drawn_at_each_reset():
    drawn = []

    def fresh():
        drawn.append(len(drawn))
        return torch.full((2, 1), float(len(drawn)))

    resets = torch.ones(3, 2, dtype=torch.bool)
    outputs, _ = scan(lambda x, state: (state, state), X, torch.zeros(2, 1), fresh=fresh, resets=resets)
    assert outputs[:, 0, 0].tolist() == [1, 2, 3]


def test_no_fresh_state_is_drawn_where_no_sequence_begins():
    drawn = []

    def fresh():
        drawn.append(len(drawn))
        return torch.full((2, 1), float(len(drawn)))

    resets = torch.tensor([[False, False], [False, True], [False, False]])
    outputs, _ = scan(lambda x, state: (state, state), X, torch.zeros(2, 1), fresh=fresh, resets=resets)
    assert outputs[..., 0].tolist() == [[0, 0], [0, 1], [0, 1]]
    assert len(drawn) == 1


def test_resets_may_be_mapped_over():
    inputs, resets = torch.stack([X, X + 1]), torch.tensor([[[False, True], [True, False], [False, True]]] * 2)
    mapped = torch.func.vmap(lambda x, r: scan(note, x, zero(), fresh=zero, resets=r)[0])(inputs, resets)
    assert torch.equal(mapped[1], scan(note, X + 1, zero(), fresh=zero, resets=resets[1])[0])


def test_no_steps():
    state = zero()
    outputs, after = scan(lambda x, state: (torch.cat([x, x], -1), state), X[:0], state)
    assert outputs.shape == (0, 2, 2)
    assert after is state
