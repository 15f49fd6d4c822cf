"""Sliders baked into a page that stands alone; test_widgets_live has those with a kernel."""

from __future__ import annotations

import base64
import io
import re
import sys
import types

import matplotlib.pyplot as plt
import pytest
from chromium import chromium, opened, standalone
from PIL import Image

from bnkit.book.explore import explore, widget_home
from bnkit.book.page import png


@pytest.fixture(autouse=True)
def baked(monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")


def draw(gamma: float, beta: float = 0.0):
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.plot([-1, 1], [beta - abs(gamma), beta + abs(gamma)])
    ax.set(ylim=(-4, 4))
    return figure


def widget(**options):
    given = dict(
        alt=lambda gamma, beta: f"A line of slope {gamma} through {beta}.",
        caption=r"\( y = \gamma \hat x + \beta \) in `BatchNorm1d`",
        gamma=dict(values=[-1.0, 0.5, 1.0], default=0.5, label="γ <weight>"),
        beta=[0, 1],
    )
    return explore(draw, **{**given, **options})


def html(output) -> str:
    return output._repr_mimebundle_()["text/html"]


def images(text: str) -> list[str]:
    """Every base64 PNG in it."""
    return re.findall(r"iVBORw0KGgo[A-Za-z0-9+/]+=*", text)


def test_the_output_is_one_html_with_a_text_for_those_who_cannot_show_it():
    bundle = widget()._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    expected = "A line of slope 0.5 through 0. [γ <weight> = 0.5, beta = 0; 6 settings]"
    assert bundle["text/plain"] == expected


def test_two_runs_give_the_same_bytes():
    assert html(widget()) == html(widget())


def test_another_content_gives_another_name():
    names = {re.search(r'data-bnkit="(\w+)"', html(w))[1] for w in (widget(), widget(caption="z"))}
    assert len(names) == 2


def test_equal_frames_are_stored_once():
    assert len(images(html(widget()))) == 4  # slopes -1 and 1 look the same, for two beta


def test_a_frame_has_few_colours_and_a_transparent_ground():
    data = png(draw(1.0))
    frame = Image.open(io.BytesIO(data))
    assert frame.mode == "P"
    assert len(frame.convert("RGBA").getcolors()) <= 48
    assert frame.convert("RGBA").getpixel((0, 0))[3] == 0
    assert len(data) < len(png(draw(1.0), colors=None))


def test_a_frame_carries_no_date_and_no_version():
    assert Image.open(io.BytesIO(png(draw(1.0)))).info.keys() <= {"transparency", "gamma"}


def test_no_figure_stays_open():
    before = plt.get_fignums()
    widget()
    assert plt.get_fignums() == before


def test_fifty_frames_of_a_curve_stay_within_the_page_budget():
    many = explore(draw, gamma=[i / 50 for i in range(50)])
    assert len(html(many)) < 300_000


def test_alternative_texts_may_be_a_string_or_missing():
    assert "A line. gamma = 1.0, beta = 0." not in html(widget(alt="A line."))
    assert "A line. γ &lt;weight&gt; = 0.5, beta = 0." in html(widget(alt="A line."))
    assert 'alt="Figure. γ &lt;weight&gt; = 0.5, beta = 0."' in html(widget(alt=None))


def test_the_script_cannot_be_ended_by_a_text():
    text = html(explore(draw, alt="</script><b>", gamma=[1.0]))
    assert text.count("</script>") == 1


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ({}, ValueError, r"got 0 axes \(\), expected 1 to 3"),
        (dict(gamma=[]), ValueError, "axis gamma got no values, expected at least one"),
        (dict(gamma=[2, 1]), ValueError, r"axis gamma got \[2, 1\], expected rising values"),
        (dict(gamma=[1, 1]), ValueError, "expected rising values"),
        (
            dict(gamma=dict(values=[1, 2], default=3)),
            ValueError,
            r"axis gamma got default 3, expected one of \[1, 2\]",
        ),
        (dict(gamma=dict(default=3)), ValueError, "got keys default, expected values and"),
        (dict(gamma=dict(values=[1], lable="g")), ValueError, "got keys values, lable, expected"),
        (dict(gamma=range(401)), ValueError, "got 401 = 401 frames, expected at most 400"),
        (
            dict(gamma=range(21), beta=range(20)),
            ValueError,
            "got 21 x 20 = 420 frames, expected at most 400",
        ),
        (dict(gama=[1]), TypeError, r"got axes \['gama'\], expected those of draw\(gamma"),
        (dict(beta=[1]), TypeError, "missing a required argument: 'gamma'"),
        (dict(a=[1], b=[1], c=[1], d=[1]), ValueError, "got 4 axes"),
    ],
)
def test_a_wrong_axis_is_named_in_one_line(axes, error, message):
    with pytest.raises(error, match=message) as caught:
        explore(draw, **axes)
    assert "\n" not in str(caught.value)


def test_a_draw_that_returns_no_figure_is_told_so():
    def forgetful(gamma):
        return plt.subplots()[1]

    with pytest.raises(TypeError, match="draw returned Axes, expected a matplotlib Figure"):
        explore(forgetful, gamma=[1])
    plt.close("all")


def test_values_that_are_no_numbers_need_no_order():
    shown = explore(lambda gamma: draw(len(gamma)), gamma=["relu", "gelu"])
    assert "gamma = relu; 2 settings" in repr(shown)


def test_widgets_are_live_where_a_person_is_and_baked_elsewhere(monkeypatch):
    monkeypatch.delenv("BNKIT_WIDGETS")
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert widget_home() == "baked"
    with monkeypatch.context() as patch:
        patch.setenv("JPY_SESSION_NAME", "chapter.ipynb")
        assert widget_home() == "live"
        patch.setenv("BNKIT_WIDGETS", "baked")
        assert widget_home() == "baked"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
        assert widget_home() == "live"
    with monkeypatch.context() as patch:
        shell = types.SimpleNamespace(user_ns={"__vsc_ipynb_file__": "chapter.ipynb"})
        fake = types.SimpleNamespace(get_ipython=lambda: shell)
        patch.setitem(sys.modules, "IPython", fake)
        assert widget_home() == "live"


def test_a_misspelt_home_is_refused(monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "bake")
    with pytest.raises(ValueError, match="got BNKIT_WIDGETS='bake', expected 'live' or 'baked'"):
        widget_home()


def test_nothing_is_asked_of_another_host_but_in_colab(monkeypatch):
    assert "http" not in html(widget())
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    assert html(widget()).count("http") == 1  # its outputs have no MathJax of their own


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "page.html"
    standalone(file, widget(), widget(), explore(draw, alt="One slider.", gamma=[1.0, 2.0]))
    return file


def test_the_keyboard_moves_frame_words_and_value(browser, path):
    with opened(browser, path) as page:
        slider, image = page.get_by_role("slider").first, page.locator("img").first
        before = image.get_attribute("src")
        assert image.get_attribute("alt") == "A line of slope 0.5 through 0."
        slider.press("ArrowRight")
        assert image.get_attribute("alt") == "A line of slope 1.0 through 0."
        assert slider.get_attribute("aria-valuetext") == "1"
        assert page.locator("output").first.inner_text() == "1"
        assert image.get_attribute("src") != before
        slider.press("ArrowLeft")
        assert image.get_attribute("src") == before
        page.get_by_role("slider").nth(1).press("End")
        assert image.get_attribute("alt") == "A line of slope 0.5 through 1."
        assert image.evaluate("image => image.naturalWidth") == 300


def test_widgets_of_a_page_do_not_disturb_each_other_and_leave_no_global(browser, path):
    with opened(browser, path) as page:
        words = [image.get_attribute("alt") for image in page.locator("img").all()]
        page.get_by_role("slider").nth(2).press("Home")
        after = [image.get_attribute("alt") for image in page.locator("img").all()]
        assert [a == b for a, b in zip(words, after, strict=True)] == [True, False, True]
        assert page.evaluate("typeof wire + typeof data") == "undefinedundefined"


def test_every_slider_is_named(browser, path):
    with opened(browser, path) as page:
        assert page.get_by_role("slider", name="γ <weight>", exact=True).count() == 2
        assert page.get_by_role("slider", name="gamma", exact=True).count() == 1


def test_without_javascript_the_default_frame_and_its_values_are_shown(browser, path):
    with opened(browser, path, java_script_enabled=False) as page:
        assert page.locator("img").first.is_visible()
        assert page.get_by_text("γ <weight> = 0.5, beta = 0").first.is_visible()
        assert page.get_by_role("slider").count() == 0


def test_print_shows_the_chosen_frame_and_its_values_without_sliders(browser, path):
    with opened(browser, path) as page:
        page.get_by_role("slider").first.press("ArrowRight")
        page.emulate_media(media="print")
        assert page.locator("img").first.is_visible()
        assert page.get_by_text("γ <weight> = 1, beta = 0").first.is_visible()
        assert page.get_by_role("slider").count() == 0


def test_a_phone_shows_it_whole_with_targets_to_touch(browser, path):
    with opened(browser, path, viewport={"width": 390, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.get_by_role("slider").first.bounding_box()["height"] >= 44


def test_the_stored_frames_are_the_drawn_ones():
    shown = images(html(explore(draw, gamma=[1.0])))
    assert [base64.b64decode(image) for image in shown] == [png(draw(1.0))]
