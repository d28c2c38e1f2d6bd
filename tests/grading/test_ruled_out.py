"""Answers that use what the text rules out: however it was imported, and nothing else."""

from __future__ import annotations

import pytest

from nlp_course.grading.ruled_out import used


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.autograd.grad(J, x)",
        "import torch as t\ndef f(J, x):\n    return t.autograd.grad(J, x)",
        "import torch.autograd\n",
        "import torch.autograd as a\na.grad(J, x)",
        "from torch import autograd\nautograd.grad(J, x)",
        "from torch.autograd import grad as g\ng(J, x)",
        "from torch.autograd.functional import jacobian",
        # The set-up cell has imported torch already.
        "def f(J, x):\n    return torch.autograd.grad(J, x)[0].sum()",
    ],
)
def test_a_part_of_a_library_is_found_however_it_is_imported(source):
    assert used(source, ["torch.autograd"]) == ["torch.autograd"]


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.exp(x)",
        "from torch import nn",
        "autograd = 3\nautograd.real",
        "import torch.autogradient",
        "# import torch.autograd",
        "'torch.autograd.grad'",
        "from .torch import autograd",
    ],
)
def test_what_only_looks_like_it_is_not(source):
    assert used(source, ["torch.autograd"]) == []


def test_a_package_stands_for_all_that_is_in_it():
    source = "from transformers.generation.logits_process import MinPLogitsWarper\nimport nltk"
    assert used(source, ["transformers", "sklearn", "nltk"]) == ["transformers", "nltk"]
    assert used("import transformers_of_mine", ["transformers"]) == []


def test_a_method_is_found_on_any_object():
    assert used("f(x).sum().backward()", [".backward", ".grad"]) == [".backward"]
    assert used("def backward(x): return x", [".backward"]) == []


DEEP = ["(" * 100_000, "-" * 200_000 + "1", "a" + ".b" * 50_000, "[" * 5_000 + "]" * 5_000]


@pytest.mark.parametrize("source", ["def f(:", "import torch\n  x", "\x00", *DEEP], ids=range(7))
def test_what_is_no_python_uses_nothing(source):
    assert used(source, ["torch"]) == []


def test_a_report_warns_of_the_answer_and_says_what_it_uses():
    classbook = pytest.importorskip("nlp_course.grading.classbook")
    answers = {"q02-b": "sorted([])", "q01-a": "import nltk\n[].sort()"}
    found = classbook._ruled_out(("nltk", ".sort"), answers)
    assert found == ["q01-a uses nltk, .sort, which the text rules out: look at it"]
