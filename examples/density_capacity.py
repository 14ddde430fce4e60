"""Under- and over-fitting: densities of growing capacity, fitted by maximum likelihood, judged on data held out.

    log p(x) = θ₁ φ₁(x) + … + θ_d φ_d(x) − log Z(θ)        on [−1, 1], φ_k polynomials of degree k,
    Z(θ) = ∫ exp(θ · φ(x)) dx                              which makes it a density

Degree 0 is uniform; each further degree contains the ones before it. So the likelihood of the training data can only
rise. That of new data rises while the density learns the shape of the truth, and falls when it learns the sample.
On average that is −entropy − KL(truth ‖ model): new data measure how far the truth is, training data cannot.

The mean log likelihood L(θ) = θ · mean of φ(data) − log Z(θ) is concave, with
    gradient  mean of φ over the data − mean of φ under the model,    Hessian  −covariance of φ under the model,
so Newton's steps find its only maximum, where model and data agree in all d moments.
"""

import numpy as np
from numpy.polynomial.legendre import legvander

CELLS, DEGREES = 4000, range(15)
grid = -1 + (np.arange(CELLS) + 0.5) * 2 / CELLS  # midpoints, for integrals over [−1, 1]


def integral(values):
    return values.sum(0) * 2 / CELLS


def log_density(theta, x):
    def score(at):  # Legendre's polynomials, without the constant: Z takes care of that
        return legvander(at, len(theta))[:, 1:] @ theta

    highest = score(grid).max()
    return score(x) - highest - np.log(integral(np.exp(score(grid) - highest)))


def fit(x, degree, theta):
    """Newton's method from `theta`, the solution of the degree before; steps are halved until the likelihood rises."""
    theta = np.append(theta, np.zeros(degree - len(theta)))
    features, data_moments = legvander(grid, degree)[:, 1:], legvander(x, degree)[:, 1:].mean(0)
    for _ in range(100):
        density = np.exp(log_density(theta, grid))
        moments = integral(density[:, None] * features)
        gradient = data_moments - moments
        if np.abs(gradient).max(initial=0) < 1e-9:
            return theta
        centred = features - moments
        step = np.linalg.solve(centred.T @ (density[:, None] * centred) * 2 / CELLS, gradient)
        before = log_density(theta, x).mean()
        while log_density(theta + step, x).mean() < before and np.abs(step).max() > 1e-12:
            step = step / 2
        theta = theta + step
    raise AssertionError(f"degree {degree}: no maximum found")


random = np.random.default_rng(0)
truth = 0.6 * np.exp(-((grid + 0.4) ** 2) / 0.045) + 0.4 * np.exp(-((grid - 0.45) ** 2) / 0.02)
truth = truth / integral(truth)  # two bumps
train, held_out = (random.choice(grid, size=size, p=truth / truth.sum()) for size in (50, 20000))

theta, training, validation = np.zeros(0), [], []
nodes, weights = np.polynomial.legendre.leggauss(300)  # another rule of integration, to check with
for degree in DEGREES:
    theta = fit(train, degree, theta)
    training.append(log_density(theta, train).mean())
    validation.append(log_density(theta, held_out).mean())
    assert abs(weights @ np.exp(log_density(theta, nodes)) - 1) < 1e-5  # a density
    log_model = log_density(theta, grid)
    expected = integral(truth * log_model)  # −entropy − KL(truth ‖ model)
    deviation = np.sqrt(integral(truth * (log_model - expected) ** 2) / len(held_out))
    assert abs(validation[-1] - expected) < 5 * deviation + 1e-12
    if degree == 1:  # the mean of e^θx on [−1, 1] is coth θ − 1/θ
        assert abs(1 / np.tanh(theta[0]) - 1 / theta[0] - train.mean()) < 1e-6
assert abs(training[0] + np.log(2)) < 1e-12  # uniform
assert (np.diff(training) > 0).all()  # no likelihood in training ever warns
best = int(np.argmax(validation))
assert 4 < best < 12
assert max(validation[0], validation[-1]) < validation[best] - 0.3
in_training, in_new = (", ".join(f"{values[at]:.2f}" for at in (0, best, -1)) for values in (training, validation))
print(f"mean log likelihood at degrees 0, {best}, {DEGREES[-1]}: {in_training} in training, {in_new} held out")
