"""What a study draws from, and how what was drawn becomes the settings of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from ..._errors import ConfigurationError, DataError
from ...artifacts import RunConfiguration
from ...data import Labelled, MusicData, SeriesData, SoundData, TextData
from ...gradients import Truncated, strategy_named
from ...models import family, family_settings
from ...training import series_task
from ...training.defaults import family_defaults
from ...training.settings import GROUPS, plain_settings
from .ranges import Choices, Numbers, Range, Value, range_of
from .tunables import TRUNCATED, TUNABLES, USUAL, Kind, Tunable, applies, check, tunable

Learnt: TypeAlias = SeriesData | TextData | SoundData | Labelled | MusicData


@dataclass(frozen=True)
class Space:
    """What is tuned, and what is fixed.

    Args:
        ranges: by the name of a setting, in an order in which none depends on a later one.
        fixed: by the groups of `prepare`.
        kind: of the data.
    """

    ranges: Mapping[str, Range]
    fixed: Mapping[str, Mapping[str, Any]]
    kind: Kind

    @classmethod
    def of(
        cls, data: Learnt, tuned: Iterable[str] | None, ranges: Mapping[str, str], fixed: Mapping[str, Any]
    ) -> Space:
        """The space that is asked for, or one that suits the data.

        Args:
            data: to learn.
            tuned: names of settings; by default those of `USUAL` that are not fixed and that the model has.
            ranges: by name, as text; what is named here is tuned too.
            fixed: by the groups of `prepare`.

        Raises:
            ConfigurationError: for a name or value that is not known, is fixed too, or that no model of these has.
        """
        settings = _grouped(fixed)
        given = {name for name, one in TUNABLES.items() if one.key in settings.get(one.group, ())}
        settings["family"].setdefault("name", family_defaults(data).name)
        named = list(dict.fromkeys([*(tuned or ()), *ranges]))
        for name in named:
            tunable(name)
            if name in given:
                raise ConfigurationError(f"{name} is both fixed and tuned: leave one out")
        asked = {*named} if tuned is not None else {*named, *(name for name in USUAL if name not in given)}
        if asked & {"k1", "k2"} and "strategy" not in asked | given:
            settings["training"]["strategy"] = TRUNCATED
        drawn = {name: range_of(name, ranges[name], one.usual) if name in ranges else _usual(name, one, data, settings)
                 for name, one in TUNABLES.items() if name in asked}  # fmt: skip
        if asked & {"model", "head"} and isinstance(data, SeriesData):
            settings["training"].setdefault("loss", "nll")  # theirs may differ, and figures of two do not compare
        strategies = drawn["strategy"].ends if "strategy" in drawn else (settings["training"].get("strategy"),)
        if TRUNCATED in strategies and not asked & {"k1", "k2"}:
            drawn = {name: drawn.get(name, TUNABLES[name].usual) for name in TUNABLES if name in asked | {"k1"}}
        space = cls(drawn, settings, _kind(data))
        reached = {name for name in drawn if space._reached(name)}
        if missing := [name for name in named if name not in reached]:
            raise ConfigurationError(space._refusal(missing[0]))
        if not reached:
            raise ConfigurationError(f"nothing is tuned: name some of {', '.join(TUNABLES)}")
        return cls({name: one for name, one in drawn.items() if name in reached}, settings, space.kind)

    def settings(self, draw: Callable[[str, Range], Value]) -> tuple[dict[str, dict[str, Any]], dict[str, Value]]:
        """The settings of one training, in the groups of `prepare`, and what was drawn for it, by name.

        Args:
            draw: told a name and its range, says a value of it; asked for those alone that the model has.
        """
        groups = {group: dict(self.fixed.get(group, {})) for group in GROUPS} | {"truncation": {}}
        found: dict[str, Value] = {}
        for name, range_ in self.ranges.items():
            if applies(name, groups, self.kind, range_.ends[0]):
                found[name] = draw(name, range_)
                _put(groups, name, found[name])
        truncation = groups.pop("truncation")
        if groups["training"].get("strategy") == TRUNCATED:
            del groups["training"]["strategy"]
            if truncation:  # none where ar or markov was drawn, which no gradient trains
                groups["training"]["strategy"] = _truncated(**truncation)
        return {group: own for group, own in groups.items() if own}, found

    @property
    def begun(self) -> dict[str, dict[str, Any]]:
        """What is fixed, as `prepare` takes it: a strategy whose numbers are to be drawn has none of its own."""
        groups = {group: dict(own) for group, own in self.fixed.items()}
        if groups["training"].get("strategy") == TRUNCATED:
            del groups["training"]["strategy"]
        return groups

    def defaults(self, configuration: RunConfiguration) -> tuple[dict[str, Value], bool]:
        """Of each range the value closest to a configuration's, where it has one, and whether all are the same."""
        strategy = strategy_named(configuration.training.strategy)
        numbers = {"k1": strategy.k1, "k2": strategy.k2 or strategy.k1} if isinstance(strategy, Truncated) else {}
        model = configuration.model.model_dump()
        groups: dict[str, dict[str, Any]] = {
            "task": configuration.task.model_dump(),
            "family": configuration.model.family.model_dump(),
            "training": configuration.training.model_dump(),
            "optimizer": configuration.training.optimizer.model_dump(),
            "model": model | ({"decoding": "direct"} | model["direct"] if model.get("direct") else {}),
            "truncation": numbers,
        }
        if numbers and TRUNCATED in self._strategies() and configuration.training.strategy not in self._strategies():
            groups["training"]["strategy"] = TRUNCATED
        found: dict[str, Value] = {}
        same = True
        for name, range_ in self.ranges.items():
            one = TUNABLES[name]
            value = groups[one.group].get(one.key)
            nearest = range_.nearest(value)
            if applies(name, groups, self.kind, range_.ends[0]):
                if nearest is not None or isinstance(range_, Choices):
                    found[name] = nearest
                same = same and name in found and nearest == value
        return found, same

    def to_dict(self) -> dict[str, Any]:
        """Plain data: of two studies that are one, this is equal."""
        return {
            "ranges": {name: str(one) for name, one in self.ranges.items()},
            "fixed": plain_settings(self.fixed),
        }

    def _strategies(self) -> tuple[Value, ...]:
        drawn = self.ranges.get("strategy")
        return drawn.ends if drawn else (self.fixed["training"].get("strategy"),)

    def _situations(self) -> Iterable[dict[str, dict[str, Any]]]:
        """The fixed settings with each model, strategy and optimizer that can be drawn."""
        names = [name for name in ("model", "strategy", "optimizer") if name in self.ranges]
        for values in product(*(self.ranges[name].ends for name in names)):
            groups = {group: dict(self.fixed[group]) for group in GROUPS}
            for name, value in zip(names, values, strict=True):
                _put(groups, name, value)
            yield groups

    def _reached(self, name: str) -> bool:
        """Whether there is a model that has this setting; each end of its range is checked."""
        range_ = self.ranges[name]
        for value in range_.ends:
            try:
                check(name, value)
            except ConfigurationError as error:
                raise ConfigurationError(f"range {name}={range_}: {error}") from None
        return all(
            any(applies(name, groups, self.kind, value) for groups in self._situations()) for value in range_.ends
        )

    def _refusal(self, name: str) -> str:
        what = {"symbols": "text and sound", "labels": "labelled sequences"}.get(self.kind, self.kind)
        if not any(applies(name, groups, self.kind, _probe(name)) for groups in self._situations()):
            models = self.ranges["model"] if "model" in self.ranges else self.fixed["family"]["name"]
            return f"{name} is no setting of {models} on {what} as it is asked for: leave it out, or name another model"
        return f"range {name}={self.ranges[name]}: not all of it is possible; the usual one is {TUNABLES[name].usual}"


def _kind(data: Learnt) -> Kind:
    if isinstance(data, SeriesData):
        return "series"
    if isinstance(data, MusicData):
        return "music"
    return "labels" if isinstance(data, Labelled) else "symbols"


def _grouped(fixed: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Copies of the groups of `prepare`, all of them."""
    if unknown := sorted(fixed.keys() - {*GROUPS}):
        raise ConfigurationError(f"{unknown[0]!r} is no group of settings; known: {', '.join(GROUPS)}")
    given = fixed.get("family")
    named = family_settings(given) if isinstance(given, str) else dict(given or {})
    return {group: named if group == "family" else dict(fixed.get(group) or {}) for group in GROUPS}


def _put(groups: dict[str, dict[str, Any]], name: str, value: Value) -> None:
    """Set what was drawn; a model keeps those settings of its family alone that it has."""
    one = TUNABLES[name]
    if name != "model":
        groups[one.group][one.key] = value
        return
    named = family_settings(str(value))
    known = type(family(named)).model_fields
    groups["family"] = {key: own for key, own in groups["family"].items() if key in known} | named


def _probe(name: str) -> Value:
    return TUNABLES[name].usual.ends[-1]


def _truncated(k1: Value = None, k2: Value = None) -> str:
    first, second = k1 or k2, k2 or k1
    return f"{TRUNCATED}:{first}" if first == second else f"{TRUNCATED}:{first},{second}"


def _usual(name: str, one: Tunable, data: Learnt, settings: Mapping[str, Mapping[str, Any]]) -> Range:
    """Sizes from a fourth of the default to twice as much, as far as there is data: larger ones take their time."""
    if name == "hidden-size":
        default = getattr(family_defaults(data, **settings["family"]), "hidden_size", 64)
        return Numbers(max(8, default // 4), 2 * default, log=True, whole=True, multiple=8)
    if name == "layers":
        default = getattr(family_defaults(data, **settings["family"]), "num_layers", 1)
        return Numbers(1, max(3, default), whole=True)
    if name == "order" and not isinstance(data, SeriesData):
        return Numbers(1, 8, whole=True)
    if name not in ("lookback", "segment") or not isinstance(data, SeriesData):
        return one.usual
    default = series_task(data, **settings["task"]).lookback
    if name == "segment":
        return Numbers(max(1, default // 60), max(2, default // 4), log=True, whole=True)
    longest = 2 * default
    while longest > default and not _possible(data, longest, settings["task"]):
        longest -= max(1, default // 8)
    return Numbers(max(1, default // 4), max(longest, default, 2), log=True, whole=True)


def _possible(data: SeriesData, lookback: int, task: Mapping[str, Any]) -> bool:
    try:
        series_task(data, **{**task, "lookback": lookback})
    except DataError:
        return False
    return True
