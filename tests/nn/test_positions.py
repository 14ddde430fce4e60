from __future__ import annotations

from math import cos, sin

import pytest
import torch

from throughtime._errors import ConfigurationError
from throughtime.nn import rotary, sinusoidal


@pytest.mark.parametrize("size", [1, 4, 7])
def test_sines_and_cosines_by_hand(size):
    positions = torch.tensor([[0, 3], [1, 1_000_000_007]])
    found = sinusoidal(positions, size, base=100.0, dtype=torch.float64)
    for time in range(2):
        for batch in range(2):
            for feature in range(size):
                angle = positions[time, batch].item() / 100.0 ** ((feature - feature % 2) / size)
                wanted = cos(angle) if feature % 2 else sin(angle)
                assert found[time, batch, feature].item() == pytest.approx(wanted, abs=1e-6 if angle > 1e6 else 1e-12)


def test_far_positions_keep_their_precision_in_float32():
    far = torch.tensor([[10**9]])
    assert sinusoidal(far, 2)[0, 0, 0].item() == pytest.approx(sin(1e9), abs=1e-6)
    turned = rotary(torch.tensor([1.0, 0.0]).expand(1, 1, 2), far)
    assert turned[0, 0, 1].item() == pytest.approx(sin(1e9), abs=1e-6)


def test_rotary_against_complex_numbers():
    torch.manual_seed(0)
    x = torch.randn(3, 2, 5, 6, dtype=torch.float64)
    positions = torch.tensor([[0, 4], [1, 0], [2, 9]])
    for time in range(3):
        for batch in range(2):
            for pair in range(3):
                angle = positions[time, batch].item() / 10000.0 ** (2 * pair / 6)
                even, odd = x[time, batch, :, 2 * pair], x[time, batch, :, 2 * pair + 1]
                turned = torch.complex(even, odd) * complex(cos(angle), sin(angle))
                found = rotary(x, positions)[time, batch, :, 2 * pair : 2 * pair + 2]
                torch.testing.assert_close(found, torch.view_as_real(turned))


def test_a_product_of_turned_pairs_knows_only_how_far_apart_they_are():
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 8, dtype=torch.float64)

    def product(at_query, at_key):
        at = [torch.tensor([[place]]) for place in (at_query, at_key)]
        return (rotary(query[None], at[0]) * rotary(key[None], at[1])).sum()

    torch.testing.assert_close(product(7, 3), product(1004, 1000))
    assert (product(7, 3) - product(7, 4)).abs() > 1e-3


def test_a_stream_goes_on_where_it_was():
    positions = torch.arange(9)[:, None] + torch.tensor([0, 5])
    x = torch.randn(9, 2, 4)
    whole = rotary(x, positions)
    assert torch.equal(torch.cat([rotary(x[:4], positions[:4]), rotary(x[4:], positions[4:])]), whole)
    assert torch.equal(sinusoidal(positions[4:], 4), sinusoidal(positions, 4)[4:])


def test_an_odd_size_cannot_be_turned():
    with pytest.raises(ConfigurationError, match="there are 5: use an even number"):
        rotary(torch.zeros(2, 1, 5), torch.zeros(2, 1, dtype=torch.long))
