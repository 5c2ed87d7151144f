import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from fedsieve import look

ORDER = ["none", "krum", "fdsd"]


def drawn(n_names=1):
    with matplotlib.rc_context(look.STYLE):
        figure = Figure(figsize=(6, 4), layout="constrained")
        ax = figure.subplots()
        for i in range(n_names):
            ax.plot([0, 1], [0, i], label=f"defense-{i:02}")
        look.legend(figure, [], "title")
    return figure


def test_32_defenses_look_different():
    looks = {(str(s["color"]), s["linestyle"]) for s in look.styles(map(str, range(32))).values()}
    assert len(looks) == 32


def test_32_bars_look_different():
    found = look.styles(map(str, range(32))).values()
    assert len({(str(style["color"]), look.hatch(style)) for style in found}) == 32


def test_look_depends_on_the_place_in_the_order_alone():
    assert look.styles(ORDER)["fdsd"] == look.styles([*ORDER, "new"])["fdsd"]


def test_a_name_drawn_in_two_ways_has_both_in_the_legend():
    figure = Figure()
    for ax, draw in zip(figure.subplots(1, 2), ("plot", "bar"), strict=True):
        getattr(ax, draw)([0], [1], label="krum")
    look.legend(figure, ["krum"], "")
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["krum"]
    assert len(legend.findobj(Rectangle)) == len(legend.findobj(Line2D)) == 1


@pytest.mark.parametrize("n_names", [1, 6, 14])
def test_a_legend_fits_its_figure(n_names):
    figure = drawn(n_names)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert 0 <= box.y0 < box.y1 <= figure.bbox.height


@pytest.mark.parametrize("ending", ["pdf", "png", "svg"])
def test_same_data_give_the_same_bytes(tmp_path, ending):
    for name in ("a", "b"):
        look.save(drawn(), tmp_path / f"{name}.{ending}")
    written = (tmp_path / f"a.{ending}").read_bytes()
    assert written == (tmp_path / f"b.{ending}").read_bytes()
    assert len(written) > 1000


def test_files_carry_no_date(tmp_path):
    for name, date in (("a.pdf", b"CreationDate"), ("a.svg", b"dc:date")):
        look.save(drawn(), tmp_path / name)
        assert date not in (tmp_path / name).read_bytes()


def test_saving_again_gives_the_same_bytes(tmp_path):
    look.save(drawn(), *(tmp_path / name for name in ("a.png", "b.pdf", "c.png")))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "c.png").read_bytes()
