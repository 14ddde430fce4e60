"""From a CSV to a forecast with intervals: weekly CO2 in the air, half a year ahead."""

from importlib.resources import files
from tempfile import TemporaryDirectory

import throughtime as tt

file = str(files("throughtime") / "demo_data" / "co2.csv")

with TemporaryDirectory() as folder:
    data = tt.read_series(file, fill="linear")  # 59 weeks are missing: without fill= the file is refused
    training = tt.prepare(
        data,
        f"{folder}/run",
        task={"horizon": 26, "lookback": 65},
        family={"name": "gru", "hidden_size": 32},
        training={"epochs": 4},
    )
    training.fit()

    run = tt.load(f"{folder}/run")  # the folder is all that is needed; no code in it is run
    forecast = run.forecast(run.read(), samples=100)
    table = forecast.frame()  # series, target, time, median, mean, and both ends of three intervals
    errors = tt.backtest(run, data, stride=13, samples=50)  # on the last 20 % of the record

lower, upper = forecast.series[0].interval(0.8)
assert table.shape[0] == 26
assert (lower < upper).all()
assert errors.model.mae < errors.baselines["naive"].mae
others = ", ".join(f"{name.replace('_', ' ')} {scores.mae:.2f}" for name, scores in errors.baselines.items())
print(f"mean absolute error {errors.model.mae:.2f} ppm; {others}")
