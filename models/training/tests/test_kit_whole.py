"""Folders appear whole or not at all, and pages stand alone."""

import pytest
from html.parser import HTMLParser

from kit import plots, whole
from kit.problem import Problem


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), whole.folder(tmp_path / "out") as folder:
        (folder / "model.onnx").write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept_unless_it_may_be_replaced(tmp_path):
    for content, replace in (("first", False), ("second", True)):
        with whole.folder(tmp_path / "out", replace) as folder:
            (folder / "a").write_text(content)
    with pytest.raises(Problem, match="--replace"), whole.folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "a").read_text() == "second" and len(list(tmp_path.iterdir())) == 1


def test_a_failed_replacement_leaves_the_old(tmp_path):
    with whole.folder(tmp_path / "out") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(RuntimeError), whole.folder(tmp_path / "out", replace=True):
        raise RuntimeError
    assert (tmp_path / "out" / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


class Closed(HTMLParser):
    """Counts tags that are opened and not closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("drawn", [
    plots.roc({"a & b": [(0.0, 0.0), (0.2, 0.9), (1.0, 1.0)]}),
    plots.reliability({"a": [(0.1, 0.2, 5), (0.9, 0.8, 4)]}),
    plots.risk_coverage({"a": [(0.01, 0.0), (0.5, 0.1), (1.0, 0.3)]}),
    plots.confusion("c", [[5, 1], [0, 4]], ["normal", "abnormal"]),
    plots.bars("b", [("hu_1", 0.2), ("hu_2", -0.01)]),
])
def test_plots_are_whole_svg_without_anything_from_elsewhere(drawn):
    parser = Closed()
    parser.feed(drawn)
    assert drawn.startswith("<svg") and drawn.endswith("</svg>") and "http" not in drawn and "nan" not in drawn
    assert parser.open == []
