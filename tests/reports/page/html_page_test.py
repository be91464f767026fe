import dataclasses
import html.parser
import json
import re

import pytest

from tests.reports.whole_run_report import REPORT
from tfmp.reports import RunReport

VOID = {"meta", "link", "br"}


class Page(html.parser.HTMLParser):
    """What a page has: its tables by caption, ids, headings, links and all texts; and whether tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.ids, self.hrefs, self.headings, self.words = {}, [], [], [], []
        self.svgs, self._open, self._rows = 0, [], None
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.hrefs += [attrs["href"]] if "href" in attrs else []
        self.svgs += tag == "svg" and "aria-labelledby" in attrs
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._rows[-1].append("")
        elif tag == "data":
            self._rows[-1][-1] = float(attrs["value"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._rows
            self._rows = None

    def handle_data(self, data):
        self.words.append(data.strip())
        tag = self._open[-1] if self._open else ""
        if tag == "caption":
            self._caption += data
        elif tag == "h2":
            self.headings.append(data)
        elif self._rows and self._rows[-1] and tag in ("th", "td", "a") and isinstance(self._rows[-1][-1], str):
            self._rows[-1][-1] += data


@pytest.fixture(scope="module")
def page():
    return Page(REPORT.to_html())


@pytest.fixture(scope="module")
def record():
    return json.loads(REPORT.to_json())


def rows_of(page, caption):
    return page.tables[caption][1:]


def test_every_table_equals_the_record(page, record):
    layers = [layer for layer in record["layers"] if layer["weight_bits"]]
    assert rows_of(page, "Bits by layer") == [
        [
            each["name"],
            each["kind"],
            ", ".join(each["inputs"]),
            *(each[key] or "" for key in ("weight_bits", "activation_bits", "macs")),
        ]
        for each in record["layers"]
    ]
    assert rows_of(page, "Bytes by layer") == [
        [each["name"], each["weight_bits"], each["container"], each["file_bytes"]] for each in layers
    ]
    assert rows_of(page, "Energy and time by layer") == [
        [each["name"], each["macs"], each["energy_nj"], each["latency_us"]] for each in layers
    ]
    assert rows_of(page, "Harm of the chosen bits") == [[each["name"], each["harm"]] for each in layers]
    size = sum(record["file_bytes"].values())
    roles = [[name, value, value / size] for name, value in record["file_bytes"].items()]
    assert rows_of(page, "Bytes of the file") == [*roles, ["whole file", size, 1.0]]
    assert [row[:2] for row in rows_of(page, "Accuracies")] == [list(pair) for pair in record["accuracies"].items()]
    assert [row[2:] for row in rows_of(page, "What came out")] == [
        [each["found"], each["limit"]] for each in record["checks"]
    ]
    assert [[row[0], row[2] or None, row[3] or None] for row in rows_of(page, "In order of their cost")] == [
        [each["way"], each["size_bytes"], each["accuracy"]] for each in record["attempts"]
    ]
    assert rows_of(page, "Sensitivities of weights") == [
        [name, *tensors["weights"].values()] for name, tensors in record["sensitivities"].items()
    ]
    assert [row[1:5] for row in rows_of(page, "Predicted harm by budget")] == [
        [each[key] for key in ("limit", "mixed", "uniform", "depthwise_8")] for each in record["forecast"]["rows"]
    ]
    assert rows_of(page, "By epoch") == [
        [epoch + 1, *(values[epoch] for values in record["history"].values())] for epoch in range(3)
    ]
    parity = rows_of(page, "The file beside its models (agreement, not accuracy)")
    assert [[row[0], row[2], row[3], row[5]] for row in parity] == [
        [each["model"], each["equal_share"], each["top1_agreement"], each["num_samples"]] for each in record["parity"]
    ]
    assert rows_of(page, "Operators below 100 %") == [["sum", "sum", "add", 0.9999999, 1]]
    assert [row[1:3] for row in rows_of(page, "Points")] == [
        [each["bitops"], each["val_accuracy"]] for each in record["front"]["points"]
    ]
    assert rows_of(page, "Versions") == [list(pair) for pair in record["versions"].items()]


def test_what_is_below_100_percent_never_reads_so():
    text = REPORT.to_html()
    assert '<data value="0.9999999">&lt; 100 %</data>' in text


def test_texts_of_a_model_are_no_markup(page):
    assert "a <network> & its report" in page.words
    assert "<network>" not in REPORT.to_html()


def test_every_link_leads_to_a_place_of_the_page(page):
    assert len(page.ids) == len(set(page.ids))
    assert {href for href in page.hrefs if not href.startswith("#")} == {"data:,"}
    assert {href[1:] for href in page.hrefs if href.startswith("#")} <= set(page.ids)
    assert {"#point-0", "#point-1"} <= set(page.hrefs) and "#point-2" not in page.hrefs


def test_nothing_is_loaded_from_elsewhere():
    text = REPORT.to_html()
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|url\(|@import|src=|<link (?!rel=\"icon\" href=\"data:)", text)


def test_every_picture_has_a_table_and_a_description(page):
    assert page.svgs == 10
    assert text_of_descriptions(REPORT.to_html()) == page.svgs


def text_of_descriptions(text):
    return len(re.findall(r"<desc id=\"[^\"]+\">[^<]{10,}</desc>", text))


def test_parts_that_a_run_lacks_are_left_out():
    assert Page(RunReport("net").to_html()).headings == []
    accuracies = RunReport("net", accuracies={"float": 0.5})
    assert Page(accuracies.to_html()).headings == ["Accuracy"]
    rows = [dataclasses.replace(row, depthwise_8=None) for row in REPORT.forecast.rows]
    forecast = RunReport("net", forecast=dataclasses.replace(REPORT.forecast, rows=rows))
    (titles, *_) = Page(forecast.to_html()).tables["Predicted harm by budget"]
    assert titles[2:] == ["mixed", "uniform", "verdict"]
    one_epoch = RunReport("net", history={"loss": [0.25], "empty": []})
    assert Page(one_epoch.to_html()).tables["By epoch"] == [["epoch", "loss"], [1.0, 0.25]]


def test_equal_and_zero_values_can_be_drawn():
    flat = dataclasses.replace(
        REPORT,
        history={"loss": (0.0, 0.0), "accuracy": (0.5, 0.5), "below": (-1.0, -2.0)},
        layers=[dataclasses.replace(layer, energy_nj=0.0, latency_us=0.0) for layer in REPORT.layers],
    )
    assert "nan" not in flat.to_html() and "inf" not in re.sub("information|infinite", "", flat.to_html())


def test_a_page_is_small_and_written_once(tmp_path):
    REPORT.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 100_000
    with pytest.raises(FileExistsError):
        REPORT.to_html(tmp_path / "report.html")
