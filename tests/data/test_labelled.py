import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from throughtime._errors import ArtifactError, ConfigurationError, DataError
from throughtime.data import LabelledLayout, Source, kind_of, read_labelled, read_series

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SHARED_ABSENT = pytest.mark.skipif(not SHARED.exists(), reason="the shared data folder is not here")
HEADER = "@problemName any\n@timeStamps false\n@univariate true\n@equalLength false\n@classLabel true a b\n@data\n"
LONG = "id,t,x,label\nu,1,0.1,up\nu,2,0.2,up\nv,1,0.9,down\nv,2,0.8,down\nv,3,0.7,down\n"


def archive(folder, lines, header=HEADER, name="a.ts"):
    return written(folder, header + "\n".join(lines) + "\n", name)


def written(folder, text, name="a.csv"):
    path = folder / name
    path.write_text(text)
    return path


def printed(description):
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(description.table())
        return console.export_text()


@SHARED_ABSENT
@pytest.mark.parametrize(
    ("name", "part", "cases", "lengths", "features", "counts"),
    [
        ("GunPoint", "TRAIN", 50, (150, 150), 1, [24, 26]),
        ("GunPoint", "TEST", 150, (150, 150), 1, [76, 74]),
        ("ItalyPowerDemand", "TRAIN", 67, (24, 24), 1, [34, 33]),
        ("ItalyPowerDemand", "TEST", 1029, (24, 24), 1, [513, 516]),
        ("JapaneseVowels", "TRAIN", 270, (7, 26), 12, [30] * 9),
        ("JapaneseVowels", "TEST", 370, (7, 29), 12, [31, 35, 88, 44, 29, 24, 40, 50, 29]),
    ],
)
def test_the_archive_is_read(name, part, cases, lengths, features, counts) -> None:
    path = SHARED / "ucr" / name / f"{name}_{part}.ts"
    data = read_labelled(path)
    assert kind_of(path) == "labelled"
    assert len(data) == cases
    assert (min(map(len, data.sequences)), max(map(len, data.sequences))) == lengths
    assert {case.shape[1] for case in data.sequences} == {features}
    assert np.bincount(data.targets).tolist() == counts
    last = path.read_text().strip().splitlines()[-1].split(":")
    assert data.sequences[-1][:, -1].tolist() == [float(cell) for cell in last[-2].split(",")]
    assert data.labels[-1] == last[-1]
    assert data.source == Source.of(path)


def test_ragged_cases_of_several_dimensions_come_back_as_they_were_written(tmp_path) -> None:
    random = np.random.default_rng(0)
    cases = [random.normal(size=(random.integers(1, 9), 3)) for _ in range(20)]
    labels = random.permutation(["red", "green", "blue"] * 6 + ["red", "green"])
    lines = [
        ":".join([*(",".join(map(repr, case[:, k].tolist())) for k in range(3)), label])
        for case, label in zip(cases, labels, strict=True)
    ]
    header = "# words\n@dimensions 3\n@classLabel true green blue red\n\n@DATA\n# more\n"
    for path in (archive(tmp_path, lines, header), tmp_path / "b.ts.gz"):
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress((tmp_path / "a.ts").read_bytes()))
        data = read_labelled(path)
        assert kind_of(path) == "labelled"
        assert data.layout.classes == ("green", "blue", "red")
        assert data.layout.features == ("dimension_1", "dimension_2", "dimension_3")
        assert data.labels == tuple(labels)
        assert data.names[-1] == "20"
        for found, wanted in zip(data.sequences, cases, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        (["1,2:a", "1,x:b"], HEADER, r"a\.ts, line 8, dimension 1, step 2: 'x' is not a number"),
        (["1,2,:a"], HEADER, r"line 7, dimension 1, step 3: '' is not a number"),
        (["1,inf:a"], HEADER, r"line 7, dimension 1, step 2: inf is not finite"),
        (["1,?,?:a"], HEADER, r"line 7, dimension 1, step 2 holds no value; 2 such values in the line: fill='linear'"),
        (["1,2:a", "3,4:c"], HEADER, r"line 8: class 'c' is none of those known: 'a', 'b'"),
        (["1,2:a", "3,4:"], HEADER, r"line 8 has no label: a label after the last ':'"),
        (["1,2:a", "3,4:a"], HEADER, r"every case is of class 'a': at least two classes are expected"),
        (["1,2:a", "3,4"], HEADER, r"line 8 has no ':', where 1 dimension and a label are expected"),
        (["1,2:3,4:a"], HEADER, r"line 7 has 3 parts between ':', where 1 dimension and a label are expected"),
        ([":a"], HEADER, r"line 7: dimension 1 has no step: leave the case out"),
        ([], HEADER, r"a\.ts has no case after @data"),
        (["1,2:3:a"], "@dimensions 2\n@classLabel true a b\n@data\n", r"dimension 1 has 2 steps and dimension 2"),
        (["1:2:a", "1:a"], "@classLabel true a b\n@data\n", r"line 4 has 2 parts between ':', where 2 dim"),
        (["1,2:a", "1:b"], "@equalLength true\n@classLabel true a b\n@data\n", r"line 5 has 1 steps, where @eq"),
        (["1:a"], "@equalLength true\n@seriesLength 3\n@classLabel true a\n@data\n", r"has 1 steps, .*promises 3"),
        ([], "@timeStamps true\n", r"line 1: values with timestamps are not read from this format; write the cases as"),
        ([], "@classLabel maybe\n", r"line 1: @classLabel maybe: expected true or false"),
        ([], "@dimensions many\n", r"line 1: @dimensions many: expected a whole number from 1 on"),
        ([], "@dimensions 0\n", r"line 1: @dimensions 0: expected a whole number"),
        (["1,2:a"], "@classLabel true a b\n", r"line 2: '1,2:a' stands before @data"),
        ([], "@classLabel true a b\n", r"a\.ts has no line @data"),
    ],
)  # fmt: skip
def test_a_damaged_archive_is_refused_by_its_line(tmp_path, lines, header, message) -> None:
    with pytest.raises(DataError, match=message):
        read_labelled(archive(tmp_path, lines, header))


@pytest.mark.parametrize(("content", "message"), [(b"", r"a\.ts is empty"), (b"@data\n\0\1", r"a\.ts is binary")])
def test_an_archive_that_is_none(tmp_path, content, message) -> None:
    (tmp_path / "a.ts").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_labelled(tmp_path / "a.ts")


def test_missing_values_are_mended_as_asked(tmp_path) -> None:
    path = archive(tmp_path, ["1,?,3:a", "?,5,nan:b"])
    mended = read_labelled(path, fill="linear")
    assert [case[:, 0].tolist() for case in mended.sequences] == [[1, 2, 3], [5, 5, 5]]
    assert mended.notes == ("3 missing values in 'value' were filled (linear)",)
    assert mended.layout.fill == "linear"
    assert read_labelled(path, fill="zero").sequences[1][:, 0].tolist() == [0, 5, 0]
    with pytest.raises(DataError, match=r"starts without a value in series '2', so that fill='forward' has nothing"):
        read_labelled(path, fill="forward")
    kept = read_labelled(path, fill="kept")
    assert np.isnan(kept.sequences[1][:, 0]).tolist() == [True, False, True]
    assert kept.layout.fill is None
    assert kept.describe().features[0].missing == 3
    with pytest.raises(ConfigurationError, match=r"fill='cubic': expected one of forward, linear, zero"):
        read_labelled(path, fill="cubic")


def test_numbers_are_targets_of_regression(tmp_path) -> None:
    path = archive(tmp_path, ["1,2:0.5", "3:-7e3"], "@univariate true\n@targetLabel true\n@data\n")
    for task in (None, "regress"):
        data = read_labelled(path, task=task)
        assert data.targets.dtype == np.float64
        assert data.targets.tolist() == [0.5, -7000]
        assert data.layout.classes is None
        assert data.layout.task == "regress"
    with pytest.raises(
        ConfigurationError, match=r"each case has a number, so that the task is regress, and not classi"
    ):
        read_labelled(path, task="classify")
    with pytest.raises(ConfigurationError, match=r"each case has a class, so that the task is classify"):
        read_labelled(archive(tmp_path, ["1:a", "2:b"]), task="regress")
    with pytest.raises(DataError, match=r"line 4: the label 'x' is no finite number"):
        read_labelled(archive(tmp_path, ["1:x"], "@univariate true\n@targetLabel true\n@data\n"))
    with pytest.raises(ConfigurationError, match=r"task='sort': expected 'classify' or 'regress'"):
        read_labelled(path, task="sort")


def test_another_file_keeps_the_indices_of_classes(tmp_path) -> None:
    layout = read_labelled(archive(tmp_path, ["1:b", "2:a"], HEADER.replace("a b", "b a"))).layout
    again = LabelledLayout.from_dict(json.loads(json.dumps(layout.to_dict())))
    assert again == layout
    later = read_labelled(archive(tmp_path, ["1:a", "2:a"]), layout=again)
    assert later.targets.tolist() == [1, 1]
    assert later.layout == layout
    strange = archive(tmp_path, ["1:a", "2:c"], HEADER.replace("a b", "a c"))
    with pytest.raises(DataError, match=r"line 8: class 'c' is none of those known: 'b', 'a'"):
        read_labelled(strange, layout=layout)
    ignored = read_labelled(strange, layout=layout, labels_needed=False)
    assert ignored.targets is None
    assert ignored.labels is None
    assert ignored.notes[-1].startswith("the labels are left aside:")
    bare = archive(tmp_path, ["1,2", "3"], "@univariate true\n@classLabel false\n@data\n")
    assert read_labelled(bare, layout=layout, labels_needed=False).targets is None
    assert read_labelled(bare, layout=layout, labels_needed=False).notes == ()
    with pytest.raises(DataError, match=r"line 4 has no label; 2 cases have none"):
        read_labelled(bare, layout=layout)
    wide = archive(tmp_path, ["1:2:a"], "@dimensions 2\n@classLabel true a b\n@data\n")
    with pytest.raises(DataError, match=r"has 2 features a step, where 1 are expected \(value\)"):
        read_labelled(wide, layout=layout)
    with pytest.raises(DataError, match=r"is a table with a row a step, where a \.ts file is expected"):
        read_labelled(written(tmp_path, LONG), layout=layout)


def test_the_source_tells_of_change(tmp_path) -> None:
    path = archive(tmp_path, ["1:a", "2:b"])
    source = read_labelled(path).source
    assert source.verified() == path
    archive(tmp_path, ["1:a", "3:b"])
    with pytest.raises(ArtifactError, match="has changed since it was read"):
        source.verified()


def test_header_tags_that_say_nothing_are_noted(tmp_path) -> None:
    path = archive(tmp_path, ["1:a", "2:b"], "@origin here\n" + HEADER.replace("a b", "a b c"))
    assert read_labelled(path).notes == (
        "the tag @origin is not known and was left aside",
        "no case is of class 'c', which the header lists",
    )
    assert read_labelled(path).layout.classes == ("a", "b")


def test_other_readers_say_whose_file_it_is(tmp_path) -> None:
    with pytest.raises(
        DataError,
        match=r"a\.ts is a file of the UCR/UEA archive, labelled sequences: for throughtime train and predict",
    ):
        read_series(archive(tmp_path, ["1:a"]))
    with pytest.raises(DataError, match=r"a folder with a\.ts in it: labelled sequences are read one file at a time"):
        kind_of(tmp_path)
    with pytest.raises(ConfigurationError, match=r"label='y' names a column of a table, and .*a\.ts is none"):
        read_labelled(tmp_path / "a.ts", label="y")


@pytest.mark.parametrize("form", ["csv", "parquet", "pandas", "polars", "arrow"])
def test_a_long_table_in_any_form_and_order(tmp_path, form) -> None:
    frame = pl.read_csv(written(tmp_path, LONG)).sample(fraction=1, shuffle=True, seed=3)
    source = {"csv": tmp_path / "b.csv", "parquet": tmp_path / "b.parquet", "pandas": frame.to_pandas(),
              "polars": frame, "arrow": frame.to_arrow()}[form]  # fmt: skip
    frame.write_csv(tmp_path / "b.csv")
    frame.write_parquet(tmp_path / "b.parquet")
    data = read_labelled(source)
    found = {
        name: (case.tolist(), label) for name, case, label in zip(data.names, data.sequences, data.labels, strict=True)
    }
    assert found == {"u": ([[0.1], [0.2]], "up"), "v": ([[0.9], [0.8], [0.7]], "down")}
    assert data.layout.classes == ("down", "up")
    assert data.layout.columns == type(data.layout.columns)("label", "id", "t")
    assert data.layout.features == ("x",)
    assert (data.source is None) == (form in ("pandas", "polars", "arrow"))
    assert any("sorted by time" in note for note in data.notes)


def test_a_long_table_is_the_same_as_an_archive(tmp_path) -> None:
    random = np.random.default_rng(1)
    cases = [random.normal(size=(5 + index, 2)) for index in range(4)]
    labels = ["b", "a", "b", "a"]
    rows = [
        {"case": f"n{index}", "at": f"2024-01-{step + 1:02}", "u": u, "v": v, "kind": label}
        for index, (case, label) in enumerate(zip(cases, labels, strict=True))
        for step, (u, v) in enumerate(case.tolist())
    ]
    random.shuffle(rows)
    data = read_labelled(pl.DataFrame(rows), label="kind", features="v,u")
    assert data.layout.columns.time == "at"
    for name, case, label in zip(data.names, data.sequences, data.labels, strict=True):
        np.testing.assert_array_equal(case, cases[int(name[1:])][:, ::-1])
        assert label == labels[int(name[1:])]


def test_a_later_long_table_is_read_alike(tmp_path) -> None:
    layout = read_labelled(written(tmp_path, LONG)).layout
    more = "label,extra,id,x,t\ndown,7,w,0.2,2\ndown,7,w,0.1,1\n"
    later = read_labelled(written(tmp_path, more), layout=LabelledLayout.from_dict(layout.to_dict()))
    assert later.sequences[0].tolist() == [[0.1], [0.2]]
    assert later.targets.tolist() == [0]
    bare = written(tmp_path, "id,x,t\nw,0.2,2\nw,0.1,1\n")
    assert read_labelled(bare, layout=layout, labels_needed=False).targets is None
    with pytest.raises(DataError, match=r"a\.csv has no column 'label'; its columns: 'id', 'x', 't'"):
        read_labelled(bare, layout=layout)
    with pytest.raises(DataError, match=r"has no column 'x'"):
        read_labelled(written(tmp_path, "id,z,t,label\nw,0.2,2,up\n"), layout=layout)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (LONG.replace("v,2,0.8,down", "v,2,0.8,up"), {}, r"line 5: sequence 'v' has label 'up' here and"),
        (LONG.replace("v,2,0.8,down", "v,2,0.8,"), {}, r"'v' has no label here and label 'down' in line 4"),
        (LONG.replace("down", ""), {}, r"line 4 has no label: write one in each row"),
        (LONG.replace("down", "up"), {}, r"every case is of class 'up'"),
        (LONG.replace("0.8", "?"), {}, r"line 5, column 'x': '\?' is not a number"),
        (LONG.replace("0.8", ""), {}, r"line 5, column 'x' holds no value: fill='linear' mends it"),
        (LONG.replace("0.8", "inf"), {}, r"line 5, column 'x': inf is not finite"),
        (LONG.replace("v,2", ",2"), {}, r"line 5: column 'id' holds no series name"),
        (LONG.replace("v,2", "v,1"), {}, r"line 5: time 1\.0 stands in line 4 already in series 'v'"),
        (LONG.replace("v,2", "v,"), {}, r"line 5.*column 't' holds no"),
        (LONG.replace("v,2,0.8,down", "v,2,0.8"), {}, r"line 5 has 3 cells where the first line has 4"),
        (LONG.replace("label", "kind"), {}, r"no column called label, class, target or y: name the one that holds"),
        (LONG, {"label": "lable"}, r"has no column 'lable'; its columns: 'id', 't', 'x', 'label'"),
        (LONG, {"label": "id", "id": "id"}, r"column 'id' is named for two things"),
        (LONG, {"features": "z"}, r"has no column 'z'"),
        (LONG.replace("id,", "who,"), {"time": "t"}, r"has no column that tells the sequences apart: name it \(id="),
        (LONG, {"task": "regress"}, r"line 2: the label 'up' is no finite number; to tell classes apart"),
        ("id,x,label\n", {}, r"has a header and no row"),
        ("who,x,label\nu,1,a\nu,2,b\n", {}, r"one column of numbers \('x'\) beside its label.*name the"),
    ],
)  # fmt: skip
def test_a_long_table_is_refused_by_its_line(tmp_path, text, options, message) -> None:
    with pytest.raises(DataError, match=message):
        read_labelled(written(tmp_path, text), **options)


def test_missing_values_of_a_long_table_are_mended_within_their_sequence(tmp_path) -> None:
    path = written(tmp_path, LONG.replace("0.9", "").replace("0.2", ""))
    data = read_labelled(path, fill="linear")
    assert [case[:, 0].tolist() for case in data.sequences] == [[0.1, 0.1], [0.8, 0.8, 0.7]]


def test_ids_are_taken_as_they_are_written(tmp_path) -> None:
    text = "id,t,x,label\na,1,1,u\na,2,2,u\na ,1,3,d\na ,2,4,d\n"
    data = read_labelled(written(tmp_path, text))
    assert (data.names, data.labels) == (("a", "a "), ("u", "d"))


def test_a_row_a_sequence(tmp_path) -> None:
    named = written(tmp_path, "id,label,s1,s2,s3\nu,1,1,2,3\nv,2,4,5,\n")
    data = read_labelled(named)
    assert data.names == ("u", "v")
    assert [case[:, 0].tolist() for case in data.sequences] == [[1, 2, 3], [4, 5]]
    assert (data.layout.shape, data.layout.features, data.layout.classes) == ("rows", ("value",), ("1", "2"))
    longer = read_labelled(written(tmp_path, "id,s1,s2,s3,s4\nw,1,2,3,4\n"), layout=data.layout, labels_needed=False)
    assert longer.sequences[0][:, 0].tolist() == [1, 2, 3, 4]
    twice = read_labelled(written(tmp_path, "id,label,s1,s2,s3\nw,1,2,3,4\nw,2,4,5,6\n"), layout=data.layout)
    assert (twice.names, twice.labels) == (("w", "w"), ("1", "2"))
    with pytest.raises(DataError, match=r"line 2, column 's2': series 'u' has no value there and goes on after it"):
        read_labelled(written(tmp_path, "id,label,s1,s2,s3\nu,1,1,,3\nv,2,4,5,\n"))
    with pytest.raises(DataError, match=r"line 3: series 'v' has no value"):
        read_labelled(written(tmp_path, "id,label,s1,s2,s3\nu,1,1,2,3\nv,2,,,\n"))


def test_a_later_row_a_sequence_is_read_alike(tmp_path) -> None:
    layout = read_labelled(written(tmp_path, "label,x,y_,z\nup,1,2,3\ndown,4,5,6\n")).layout
    layout = LabelledLayout.from_dict(json.loads(json.dumps(layout.to_dict())))
    turned = read_labelled(written(tmp_path, "z,x,y_\n3,1,2\n"), layout=layout, labels_needed=False)
    assert turned.sequences[0][:, 0].tolist() == [1, 2, 3]
    with pytest.raises(DataError, match=r"has no column 'z', a step that was trained on \(empty cells end.*'x', 'y_'"):
        read_labelled(written(tmp_path, "x,y_\n1,2\n"), layout=layout, labels_needed=False)


def test_a_column_that_may_be_the_id_is_asked_for(tmp_path) -> None:
    text = LONG.replace("id,", "who,")
    question = "each row is read as one sequence of 2 steps; is 'who' the id? --id who"
    assert question in read_labelled(written(tmp_path, text)).notes
    for others in (text + "u,3,0.1,down\n", "who,t,x,label\nu,1,0.1,up\nv,1,0.9,down\n"):
        assert question not in read_labelled(written(tmp_path, others)).notes


@pytest.mark.parametrize("name", ["id", "case", "sequence", "recording", "Series", "unique_id"])
def test_ids_are_found_by_their_names(tmp_path, name) -> None:
    data = read_labelled(written(tmp_path, LONG.replace("id,", f"{name},")))
    assert (data.layout.columns.id, len(data)) == (name, 2)


def test_a_row_a_sequence_without_a_header_begins_with_its_label(tmp_path) -> None:
    path = written(tmp_path, "1.0000000e+00\t0.1\t0.2\t0.3\n  2.0000000e+00\t0.4\t0.5\tNaN\n", "a.tsv")
    data = read_labelled(path)
    assert data.layout.classes == ("1", "2")
    assert data.names == ("1", "2")
    assert [case[:, 0].tolist() for case in data.sequences] == [[0.1, 0.2, 0.3], [0.4, 0.5]]
    assert any("the first column is read as the label" in note for note in data.notes)
    bare = written(tmp_path, "0.1\t0.2\t0.3\n0.5\t0.6\t0.7\n", "b.tsv")
    with pytest.raises(DataError, match=r"b\.tsv, line 1 begins with '0\.1', which is none of the classes known"):
        read_labelled(bare, layout=data.layout, labels_needed=False)


def test_text_and_unnamed_columns_of_rows_are_noted(tmp_path) -> None:
    frame = pd.DataFrame({"label": ["a", "b"], "s1": [1, 2], "s2": [3, 4], "who": ["x", "y"]})
    frame.to_csv(tmp_path / "a.csv")
    data = read_labelled(tmp_path / "a.csv")
    assert [case[:, 0].tolist() for case in data.sequences] == [[1, 3], [2, 4]]
    assert data.notes == ("column 'column_1' has no name and is left out", "column 'who' holds text and is left out")


@given(st.permutations(["10", "9", "1", "b", "a", "-2"]))
def test_classes_are_in_the_order_of_numbers_then_words(labels) -> None:
    frame = pl.DataFrame({"label": labels, "s1": [1.0] * 6, "s2": [2.0] * 6})
    data = read_labelled(frame)
    assert data.layout.classes == ("-2", "1", "9", "10", "a", "b")
    assert data.labels == tuple(labels)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([1.0, 2.0], ("1", "2")), ([1, 2], ("1", "2")), (["01", "1"], ("01", "1")), ([1.5, 2.0], ("1.5", "2")),
     ([True, False], ("false", "true"))],
)  # fmt: skip
def test_classes_are_called_as_they_are_written(labels, classes) -> None:
    data = read_labelled(pl.DataFrame({"label": labels, "s1": [1.0, 2.0], "s2": [3.0, 4.0]}))
    assert sorted(data.layout.classes) == sorted(classes)


def test_a_description_counts(tmp_path) -> None:
    lines = ["1,2,3:a", "4,5:b", "6:b", "7,8,9,10:b"]
    described = read_labelled(archive(tmp_path, lines)).describe()
    record = json.loads(json.dumps(described.to_dict()))
    assert (record["kind"], record["cases"], record["shortest"], record["median"], record["longest"]) == (
        "labelled", 4, 1, 2.5, 4)  # fmt: skip
    assert record["classes"][1] == {"name": "b", "cases": 3, "shortest": 1, "median": 2.0, "longest": 4}
    feature = record["features"][0]
    assert (feature["minimum"], feature["maximum"], feature["mean"]) == (1, 10, 5.5)
    text = printed(described)
    assert "1 to 4, median 2.5 a case" in text
    assert "75.0%" in text
    described.plot().savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


@pytest.mark.parametrize(("features", "classes"), [(1, 2), (2, 3), (5, 14)])
def test_a_picture_has_a_panel_a_class_up_to_twelve(features, classes) -> None:
    random = np.random.default_rng(0)
    rows = [
        {"id": case, "label": f"class {case % classes}"} | {f"x{k}": float(random.normal()) for k in range(features)}
        for case in range(2 * classes)
        for _ in range(3 + case % 4)
    ]
    figure = read_labelled(pl.DataFrame(rows)).describe().plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible() and axes.get_title(loc="left")]
    assert len(titles) == min(classes, 12)
    assert titles[0] == "class 0 · 2 cases"


def test_numbers_and_missing_labels_are_drawn_and_described(tmp_path) -> None:
    rows = [{"id": case, "y": case / 2, "v": float(step * case)} for case in range(5) for step in range(4)]
    data = read_labelled(pl.DataFrame(rows), task="regress")
    assert "0 to 2, mean 1" in printed(data.describe())
    data.describe().plot().savefig(tmp_path / "a.png")
    bare = read_labelled(pl.DataFrame(rows).drop("y"), labels_needed=False)
    assert "none, or not in every case" in printed(bare.describe())
    assert bare.describe().plot().axes[0].get_title(loc="left") == "all 5 cases"
