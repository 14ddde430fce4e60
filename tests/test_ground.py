"""The ground that everything stands on: errors, files, states, batches."""

import collections
import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from throughtime import _errors
from throughtime._errors import ArtifactError, ShapeError, ThroughtimeError
from throughtime._files import making, replacing
from throughtime._state import detach, leaves, map_state, select
from throughtime._types import Batch

Pair = collections.namedtuple("Pair", "h c")


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Writing fails after so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_every_error_is_of_the_family_and_of_a_built_in() -> None:
    errors = [value for value in vars(_errors).values() if isinstance(value, type)]
    assert len(errors) >= 6
    for error in errors:
        assert issubclass(error, ThroughtimeError)
        assert error is ThroughtimeError or issubclass(error, (ValueError, OSError, NotImplementedError))


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, ArtifactError])
def test_what_fails_half_way_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error("half-way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with no_file_longer_than(1000), pytest.raises(OSError, match="too large") as caught, replacing(path) as temporary:
        temporary.write_text("new" * 1000)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_another_file_that_fails_inside_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a.txt") as temporary:
        temporary.write_bytes((tmp_path / "absent").read_bytes())
    assert caught.value.filename == str(tmp_path / "absent")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "absent" / "a.txt"):
        pass
    assert caught.value.filename == str(tmp_path / "absent" / "a.txt")


def test_a_folder_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "old").touch()
    for folder in (there, there / "new" / "below"):
        with pytest.raises(KeyboardInterrupt), making(folder):  # noqa: PT012
            (folder / "file").touch()
            raise KeyboardInterrupt
        assert [path.name for path in there.iterdir()] == ["old"]
    with making(there / "new"):
        (there / "new" / "file").touch()
    assert (there / "new" / "file").exists()


def test_map_state_keeps_the_form() -> None:
    one = torch.ones(2)
    state = {"a": [one, (one,)], "b": Pair(one, None)}
    added = map_state(lambda a, b: a + b, state, state)
    assert isinstance(added["b"], Pair)
    assert isinstance(added["a"][1], tuple)
    assert added["b"].c is None
    assert [(name, tensor.tolist()) for name, tensor in leaves(added)] == [
        ("a.0", [2, 2]),
        ("a.1.0", [2, 2]),
        ("b.0", [2, 2]),
    ]


def test_map_state_refuses_other_forms_and_other_things() -> None:
    one = torch.ones(2)
    with pytest.raises(ValueError, match="shorter"):
        map_state(lambda a, b: a, (one, one), (one,))
    with pytest.raises(TypeError, match="holds a str"):
        map_state(lambda a: a, {"a": "b"})


def test_detach_cuts_the_graph() -> None:
    weight = torch.ones(2, requires_grad=True)
    state = detach((weight * 2, {"h": weight * 3}))
    assert not any(tensor.requires_grad for _, tensor in leaves(state))
    assert detach(None) is None


@pytest.mark.parametrize("axis", [0, 1])
def test_select_takes_each_sequence_from_one_side(axis: int) -> None:
    mask = torch.tensor([True, False, True])
    shape = (3, 2) if axis == 0 else (4, 3, 2)
    chosen, other = torch.ones(shape), torch.zeros(shape)
    found, _ = select(mask, (chosen, {"c": chosen}), (other, {"c": other}), batch_axis=axis)
    assert found.movedim(axis, 0).flatten(1).mean(1).tolist() == [1, 0, 1]


def test_segments_of_a_batch() -> None:
    batch = Batch(
        torch.arange(10).view(5, 2),
        torch.arange(10).view(5, 2),
        lengths=torch.tensor([5, 2]),
        resets=torch.eye(5, 2).bool(),
        weights=torch.ones(5, 2),
    )
    segment = batch.segment(1, 4)
    assert segment.inputs.tolist() == [[2, 3], [4, 5], [6, 7]]
    assert segment.lengths is not None
    assert segment.lengths.tolist() == [3, 1]
    assert segment.resets is not None
    assert segment.resets.sum() == 1
    assert batch.to("cpu").inputs.shape == (5, 2)


@pytest.mark.parametrize(
    ("targets", "extras", "message"),
    [
        ((2, 5), {}, "swapped"),
        ((4, 2), {}, "both must begin with the same"),
        ((5, 2), {"lengths": torch.ones(5, dtype=torch.long)}, "one length a sequence"),
        ((5, 2), {"weights": torch.ones(2, 5)}, "swapped"),
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(targets, extras, message) -> None:
    with pytest.raises(ShapeError, match=message):
        Batch(torch.zeros(5, 2), torch.zeros(targets), **extras)
