"""Drawings of graphs: every value and gradient is there, in its place, and in words."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from nlp_course import backprop_networks as networks
from nlp_course import computation_graph
from nlp_course.backprop import Node


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def notes_graph():
    """(x + y) z at (−2, 5, −4)."""
    x, y, z = Node(-2.0, "x"), Node(5.0, "y"), Node(-4.0, "z")
    q = x + y
    q.name = "q"
    f = q * z
    f.name = "f"
    f.backward()
    return f


def boxes(axes):
    """Place of each box, by what is written in it."""
    return {t.get_text(): t.get_position() for t in axes.texts if "=" in t.get_text()}


def test_each_box_has_name_value_and_gradient(notes_graph):
    axes = computation_graph.draw_graph(notes_graph)
    assert set(boxes(axes)) == {
        "x\n= −2\n∂ −4",
        "y\n= 5\n∂ −4",
        "z\n= −4\n∂ 3",
        "q [+]\n= 3\n∂ −4",
        "f [×]\n= −12\n∂ 1",
    }


def test_each_arrow_has_its_local_derivative(notes_graph):
    axes = computation_graph.draw_graph(notes_graph)
    slopes = sorted(t.get_text() for t in axes.texts if t.get_text().startswith("×"))
    assert slopes == sorted(["× 1", "× 1", "× −4", "× 3"])
    without = computation_graph.draw_graph(notes_graph, local=False)
    assert not [t for t in without.texts if t.get_text().startswith("×")]


def test_operands_stand_above_and_in_order(notes_graph):
    places = {
        text.split("\n")[0]: xy
        for text, xy in boxes(computation_graph.draw_graph(notes_graph)).items()
    }
    assert places["x"][1] == places["y"][1] > places["q [+]"][1] == places["z"][1]
    assert places["q [+]"][1] > places["f [×]"][1]
    assert places["x"][0] < places["y"][0]
    assert places["q [+]"][0] < places["z"][0]


def test_no_two_nodes_share_a_place():
    network = networks.MLP([3, 4, 2])
    loss = networks.cross_entropy(network(np.ones((5, 3))), np.array([0, 1, 1, 0, 1]))
    axes = computation_graph.draw_graph(loss)
    texts = [t for t in axes.texts if t.get_text()]
    assert len({t.get_position() for t in texts}) == len(texts) == 11
    assert {t.get_text() for t in texts} >= {"W1\n3 × 4", "[relu]\n5 × 4", "5 × 3"}


def test_gradients_are_left_out_before_the_backward_pass():
    x = Node(2.0, "x")
    axes = computation_graph.draw_graph(x * x)
    assert set(boxes(axes)) == {"x\n= 2", "[×]\n= 4"}


def test_in_words_constants_stand_where_they_are_used():
    x = Node(np.array([1.0, -2.0]), "x")
    loss = (x * 3.0).relu().sum()
    loss.backward()
    assert computation_graph.describe_graph(loss).splitlines() == [
        "x: (1, −2), gradient (3, 0)",
        "#1 = x × 3: (3, −6), gradient (1, 0)",
        "#2 = relu(#1): (3, 0), gradient (1, 1)",
        "#3 = sum(#2): 3, gradient 1",
    ]


def test_a_graph_that_nobody_could_read_is_refused():
    x = Node(1.0)
    y = x
    for _ in range(50):
        y = y * x
    with pytest.raises(ValueError, match="room for 40 nodes, this graph has 51"):
        computation_graph.draw_graph(y)


def test_the_engine_needs_no_drawing():
    code = (
        "import sys, nlp_course.backprop_networks;"
        "sys.exit(any(name.startswith('matplotlib') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
