"""Reverse-mode automatic differentiation in numpy: a tape, a dozen operations, and backpropagation through time on it.

Each operation writes on the tape what it computed, from what, and how an error of its result becomes one of each input:

    c = a + b      ā += c̄,  b̄ += c̄                      c = A B        Ā += C̄ Bᵀ,  B̄ += Aᵀ C̄
    c = a ⊙ b      ā += c̄ ⊙ b,  b̄ += c̄ ⊙ a              c = tanh a     ā += c̄ ⊙ (1 − c²)
    c = Σ a        ā += c̄, spread over a                 c = σ(a)       ā += c̄ ⊙ c (1 − c)

with x̄ = ∂ξ/∂x. What an operation reads was written before it, so the tape read backwards is a topological order: when
an operation's turn comes, all that read its result have given their share. Each rule adds, so what is read twice gets
two terms, and weights read at T steps get T. That sum is backpropagation through time; the tape knows nothing of time.
"""

import numpy as np
import torch

import throughtime as tt


class Tape:
    def __init__(self):
        self.operations = []  # (result, [(input, how the result's error becomes this input's), …])

    def variable(self, data):
        return Variable(self, np.array(data, dtype=float))

    def record(self, data, *inputs):
        result = Variable(self, data)
        self.operations.append((result, [(input, rule) for input, rule in inputs if isinstance(input, Variable)]))
        return result

    def backward(self, loss):
        """Add ∂loss/∂x to x.grad of all x that the loss was made of."""
        assert loss.data.ndim == 0, f"a loss is one number, this has the shape {loss.data.shape}: sum it"
        loss.grad = loss.grad + 1
        for result, inputs in reversed(self.operations):
            for input, rule in inputs:
                input.grad = input.grad + summed(rule(result.grad), input.data.shape)


def summed(error, shape):
    """What was spread over an axis going forward is summed over it coming back: a bias gets the sum over the batch."""
    error = error.sum(axis=tuple(range(error.ndim - len(shape))))
    return error.sum(axis=tuple(axis for axis, size in enumerate(shape) if size == 1), keepdims=True)


def number(x):
    return x.data if isinstance(x, Variable) else np.asarray(x, dtype=float)


class Variable:
    __array_ufunc__ = None  # array + variable is the variable's affair

    def __init__(self, tape, data):
        self.tape, self.data, self.grad = tape, data, np.zeros_like(data)

    def __add__(self, other):
        return self.tape.record(self.data + number(other), (self, lambda error: error), (other, lambda error: error))

    def __mul__(self, other):
        a, b = self.data, number(other)
        return self.tape.record(a * b, (self, lambda error: error * b), (other, lambda error: error * a))

    def __matmul__(self, other):
        a, b = self.data, number(other)  # matrices
        return self.tape.record(a @ b, (self, lambda error: error @ b.T), (other, lambda error: a.T @ error))

    def __getitem__(self, index):
        def back(error):
            whole = np.zeros_like(self.data)
            np.add.at(whole, index, error)  # not `=`: an index may take an element twice
            return whole

        return self.tape.record(self.data[index], (self, back))

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other):
        return self + other * -1.0

    @property
    def T(self):  # noqa: N802
        return self.tape.record(self.data.T, (self, lambda error: error.T))

    def sum(self):
        return self.tape.record(self.data.sum(), (self, lambda error: np.broadcast_to(error, self.data.shape)))

    def tanh(self):
        c = np.tanh(self.data)
        return self.tape.record(c, (self, lambda error: error * (1 - c**2)))

    def sigmoid(self):
        c = 1 / (1 + np.exp(-self.data))
        return self.tape.record(c, (self, lambda error: error * c * (1 - c)))


# Three cells: x [batch, input], h [batch, hidden], torch's weights, in which the gates stand one below the other.
def gates(a, count):
    size = a.data.shape[1] // count
    return [a[:, k * size : (k + 1) * size] for k in range(count)]


def rnn(x, state, w_x, w_h, b_x, b_h):
    return ((x @ w_x.T + b_x + state[0] @ w_h.T + b_h).tanh(),)


def gru(x, state, w_x, w_h, b_x, b_h):
    (h,) = state
    (r_x, z_x, n_x), (r_h, z_h, n_h) = gates(x @ w_x.T + b_x, 3), gates(h @ w_h.T + b_h, 3)
    new = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
    return (new + (z_x + z_h).sigmoid() * (h - new),)


def lstm(x, state, w_x, w_h, b_x, b_h):
    h, c = state
    i, f, g, o = gates(x @ w_x.T + b_x + h @ w_h.T + b_h, 4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def through_time(cell, x, y, weights, states, cut=None):
    """The gradients of Σ_t ½ ‖h_t − y_t‖² by x and each weight; with `cut`, the state is cut every so many steps."""
    tape = Tape()
    x, *weights = (tape.variable(data) for data in (x, *weights))
    state, loss = tuple(tape.variable(np.zeros(y.shape[1:])) for _ in range(states)), 0.0
    for t in range(len(y)):
        state = tuple(tape.variable(part.data) for part in state) if cut and t % cut == 0 else state  # no way back
        state = cell(x[t], state, *weights)
        loss = ((error := state[0] - y[t]) * error).sum() * 0.5 + loss
    tape.backward(loss)
    return [variable.grad for variable in (x, *weights)], len(tape.operations)


torch.manual_seed(0)
TIME, BATCH, INPUT, HIDDEN = 30, 4, 3, 6
x, y = torch.randn(TIME, BATCH, INPUT).double().requires_grad_(), torch.randn(TIME, BATCH, HIDDEN).double()
lengths, worst = {}, 0.0
for cell, name, states in ((rnn, "RNN", 1), (gru, "GRU", 1), (lstm, "LSTM", 2)):
    ours, theirs = (getattr(nn, name)(INPUT, HIDDEN, dtype=torch.float64) for nn in (tt.nn, torch.nn))
    theirs.load_state_dict(ours.state_dict())
    for layer, cut, strategy in ((theirs, None, tt.Full()), (ours, None, tt.Full()), (ours, 5, tt.Truncated(5))):
        x.grad = None
        layer.zero_grad()
        tt.backward(layer, tt.Batch(x, y), lambda h, y: 0.5 * (h - y).square().sum(-1), strategy)
        weights = [weight.detach().numpy() for weight in layer.parameters()]
        gradients, lengths[name] = through_time(cell, x.detach().numpy(), y.numpy(), weights, states, cut)
        for mine, tensor in zip(gradients, (x, *layer.parameters()), strict=True):
            worst = max(worst, np.abs(mine - tensor.grad.numpy()).max())
assert worst < 1e-12
print(f"gradients on the tape differ from torch's by {worst:.0e} at most; on it after {TIME} steps: {lengths}")
