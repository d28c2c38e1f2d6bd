"""Figures of the course: what is drawn, and that labels do not cover one another."""

from __future__ import annotations

from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from nlp_course import plots

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    with matplotlib.rc_context():
        yield
    plt.close("all")


def cell_texts(axes):
    return [text.get_text() for text in axes.texts]


def luminance(colour):
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in colour[:3]
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_heatmap_writes_each_value_into_its_cell():
    axes = plots.heatmap(np.array([[1, 20], [300, 4]]), ["a", "b"], ["c", "d"], fmt="d")
    assert cell_texts(axes) == ["1", "20", "300", "4"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["c", "d"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_heatmap_without_annotation_writes_nothing():
    assert cell_texts(plots.heatmap(np.eye(2), ["a", "b"], ["a", "b"], annotate=False)) == []


def test_heatmap_shows_minus_infinity_in_grey():
    axes = plots.heatmap(np.array([[1.0, -np.inf]]), ["a"], ["b", "c"])
    assert cell_texts(axes) == ["1", "−∞"]
    red, green, blue, _ = axes.images[0].get_array()[0, 1]
    assert red == green == blue


@pytest.mark.parametrize("matrix", [[[0.0, 1.0, 5.0]], [[-5.0, 0.0, 5.0]], [[-1.0, -2.0, -3.0]]])
def test_heatmap_text_keeps_its_contrast_on_every_colour(matrix):
    axes = plots.heatmap(np.array(matrix), ["a"], ["b", "c", "d"])
    for colour in axes.images[0].get_array()[0]:
        assert (luminance(colour) + 0.05) / 0.05 >= 4.5


def test_heatmap_colours_zero_white_where_signs_mix():
    axes = plots.heatmap(np.array([[-1.0, 0.0, 3.0]]), ["a"], ["b", "c", "d"])
    assert axes.images[0].get_array()[0, 1, :3].min() > 0.95


def test_heatmap_scale_ends_at_the_largest_value():
    axes = plots.heatmap(np.array([[0.0, 8.0]]), ["a"], ["b", "c"], label="count (pairs)")
    scale = axes.figure.axes[1]
    assert scale.get_ylim() == (0, 8)
    assert scale.get_ylabel() == "count (pairs)"


def test_heatmap_draws_in_the_axes_given():
    _, axes = plt.subplots()
    assert plots.heatmap(np.eye(2), ["a", "b"], ["a", "b"], ax=axes) is axes


def test_heatmap_of_zeros_is_white():
    axes = plots.heatmap(np.zeros((2, 2)), ["a", "b"], ["a", "b"])
    assert axes.images[0].get_array()[..., :3].min() > 0.95


def test_heatmap_refuses_names_that_do_not_fit():
    with pytest.raises(ValueError, match="2 row and 1 column names"):
        plots.heatmap(np.eye(2), ["a", "b"], ["a"])
    with pytest.raises(ValueError, match="empty"):
        plots.heatmap(np.zeros((0, 0)), [], [])


def label_boxes(axes):
    axes.figure.draw_without_rendering()
    # The words' own boxes: an annotation's extent holds the line to its point too.
    return [Text.get_window_extent(text) for text in axes.texts]


def overlap(first, second):
    return plots._overlaps(np.array(first.extents), np.array([second.extents]))[0]


def words(count):
    return [f"word{number}" for number in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_word_map_labels_do_not_overlap(seed):
    plots.use_style()
    points = np.random.default_rng(seed).normal(size=(25, 2))
    axes = plots.word_map(points, words(25))
    for first, second in combinations(label_boxes(axes), 2):
        assert overlap(first, second) < 1


def test_word_map_labels_of_one_place_do_not_overlap():
    axes = plots.word_map(np.zeros((4, 2)), words(4))
    for first, second in combinations(label_boxes(axes), 2):
        assert overlap(first, second) < 1


def test_word_map_ties_a_label_that_had_to_move_away():
    alone = plots.word_map(np.zeros((1, 2)), words(1))
    assert not alone.texts[0].arrow_patch.get_visible()
    crowd = plots.word_map(np.zeros((9, 2)), words(9))
    assert crowd.texts[8].arrow_patch.get_visible()


def test_word_map_is_the_same_each_time():
    points = np.random.default_rng(0).normal(size=(20, 2))
    first, second = (plots.word_map(points, words(20)) for _ in range(2))
    assert [text.get_position() for text in first.texts] == [
        text.get_position() for text in second.texts
    ]


def test_word_map_groups_differ_by_marker_as_well_as_colour():
    axes = plots.word_map(np.eye(4)[:, :2], words(4), groups=["king", "king", "city", "city"])
    paths = [drawn.get_paths()[0].vertices.tolist() for drawn in axes.collections]
    colours = [drawn.get_facecolor().tolist() for drawn in axes.collections]
    assert len(paths) == 2
    assert paths[0] != paths[1]
    assert colours[0] != colours[1]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["king", "city"]


def test_word_map_of_hundreds_leaves_out_the_labels_without_room():
    plots.use_style()
    points = np.random.default_rng(0).normal(size=(300, 2))
    axes = plots.word_map(points, words(300), crowded="leave out")
    assert len(axes.collections[0].get_offsets()) == 300
    assert 20 < len(axes.texts) < 150
    labelled = [int(name.removeprefix("word")) for name in cell_texts(axes)]
    assert labelled == sorted(labelled)
    assert np.mean(labelled) < 140  # the first words come first
    boxes = label_boxes(axes)
    for first, second in combinations(boxes, 2):
        assert overlap(first, second) < 1
    frame = axes.bbox
    assert all(overlap(box, frame) > 0.99 * box.width * box.height for box in boxes)


def test_word_map_with_room_leaves_nothing_out():
    points = np.random.default_rng(1).normal(size=(5, 2))
    axes = plots.word_map(points, words(5), crowded="leave out")
    assert cell_texts(axes) == words(5)


def test_word_map_refuses_what_it_cannot_place():
    with pytest.raises(ValueError, match="2 points and 1 words"):
        plots.word_map(np.eye(2), ["a"])
    with pytest.raises(ValueError, match="0 points"):
        plots.word_map(np.zeros((0, 2)), [])
    with pytest.raises(ValueError, match="not finite"):
        plots.word_map(np.array([[np.nan, 0.0]]), ["a"])
    with pytest.raises(ValueError, match="2 points and 1 groups"):
        plots.word_map(np.eye(2), ["a", "b"], groups=["g"])
    with pytest.raises(ValueError, match="at most 7 groups"):
        plots.word_map(np.ones((8, 2)), words(8), groups=words(8))
    # The run-time type check would refuse it first.
    function = getattr(plots.word_map, "__wrapped__", plots.word_map)
    with pytest.raises(ValueError, match='"cover" or "leave out", got \'hide\''):
        function(np.eye(2), ["a", "b"], crowded="hide")


def test_style_draws_lines_with_different_dashes_on_white():
    plots.use_style()
    _, axes = plt.subplots()
    lines = [axes.plot([0, 1])[0] for _ in plots.COLOURS]
    assert len({(line.get_color(), str(line.get_linestyle())) for line in lines}) == 7
    assert plt.rcParams["figure.facecolor"] == plt.rcParams["savefig.facecolor"] == "white"


def test_style_keeps_letters_legible_on_a_phone():
    plots.use_style()
    # A figure is about 350 CSS pixels wide there; a point of it is 350 / (72 * inches) pixels.
    pixels = 350 / (72 * plt.rcParams["figure.figsize"][0])
    for name in ("font.size", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"):
        assert plt.rcParams[name] * pixels >= 10


class History:
    """What a training leaves behind, with a loss that halves and a validation every 10 steps."""

    loss = np.repeat([4.0, 2.0], 20)
    gradient_norm = np.linspace(3, 1, 40)
    learning_rate = np.linspace(0.1, 0, 40)
    validated = np.array([10, 20, 30, 40])
    validation = np.array([3.9, 3.0, 2.2, 2.1])


def test_training_curves_draw_loss_mean_and_validation():
    (axes,) = plots.training_curves(History(), smooth=4)
    raw, mean, validation = axes.lines
    np.testing.assert_array_equal(raw.get_ydata(), History.loss)
    np.testing.assert_allclose(mean.get_ydata()[18:26], [4, 4, 3.5, 3, 2.5, 2, 2, 2])
    np.testing.assert_array_equal(validation.get_xydata()[:, 0], History.validated)
    np.testing.assert_array_equal(validation.get_ydata(), History.validation)
    assert axes.get_xlabel() == "step"
    assert "nats" in axes.get_ylabel()
    assert len({line.get_linestyle() for line in (mean, validation)}) == 2


def test_training_curves_begin_with_the_mean_of_fewer_steps():
    history = History()
    history.loss = np.array([1.0, 3.0, 5.0])
    mean = plots.training_curves(history, smooth=10)[0].lines[1]
    np.testing.assert_allclose(mean.get_ydata(), [1, 2, 3])


def test_training_curves_have_the_rows_asked_for():
    axes = plots.training_curves(History(), rows=("loss", "gradient_norm", "learning_rate"))
    assert [ax.get_ylabel() for ax in axes] == [
        "loss (nats a token)",
        "gradient norm",
        "learning rate",
    ]
    np.testing.assert_array_equal(axes[2].lines[0].get_ydata(), History.learning_rate)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"loss": np.zeros(0)}, {}, "no steps"),
        ({}, {"rows": ("loss", "accuracy")}, r"rows must be .* got \['accuracy'\]"),
        ({}, {"rows": ()}, "rows must be some of"),
        ({}, {"smooth": 0}, "smooth must be at least 1"),
    ],
)
def test_training_curves_refuse(changes, settings, message):
    history = History()
    for name, value in changes.items():
        setattr(history, name, value)
    with pytest.raises(ValueError, match=message):
        plots.training_curves(history, **settings)


def test_training_curves_draw_what_the_loop_returns():
    pytest.importorskip("torch", reason="torch is not installed")
    from nlp_course.training_history import History, Step, Validation

    history = History([Step(2.0, 1.0, 0.1, 10, 0.1)] * 3, [Validation(3, 1.5)])
    assert len(plots.training_curves(history)[0].lines) == 3
