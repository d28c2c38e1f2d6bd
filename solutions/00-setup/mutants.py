"""Known answers to the questions of 00-setup: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""


def _returns(head: str, **results: str) -> dict[str, str]:
    """Functions of one line."""
    return {name: f"import numpy as np\n\n\n{head}\n    return {r}" for name, r in results.items()}


MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}

MEANS = "def row_means(vectors):"
MUTANTS["q01-row-means"] = _returns(
    MEANS,
    columns="vectors.mean(axis=0)",
    one_number_for_all="vectors.mean()",
    a_column_in_place_of_a_row="vectors.mean(axis=1, keepdims=True)",
    sum_not_mean="vectors.sum(axis=1)",
    divided_by_the_number_of_rows="vectors.sum(axis=1) / len(vectors)",
    the_example_by_heart="np.array([2.0, 7.0])",
) | {
    "nothing returned": """
        def row_means(vectors):
            print(vectors.mean(axis=1))
    """,
}
ALTERNATIVES["q01-row-means"] = _returns(
    MEANS,
    loop="[sum(row) / len(row) for row in vectors]",
    matrix_product="vectors @ np.full(vectors.shape[1], 1 / vectors.shape[1])",
    einsum="np.einsum('ij->i', vectors) / vectors.shape[1]",
) | {
    "torch": """
        import torch


        def row_means(vectors):
            return torch.tensor(vectors).mean(dim=1)
    """,
}

CENTERED = "def centered_rows(vectors):"
MUTANTS["q02-centered-rows"] = _returns(
    CENTERED,
    no_keepdims="vectors - vectors.mean(axis=1)",
    columns="vectors - vectors.mean(axis=0)",
    the_mean_of_all="vectors - vectors.mean()",
    turned="(vectors.T - vectors.mean(axis=1)) ",
    also_scaled=(
        "(vectors - vectors.mean(axis=1, keepdims=True))"
        " / (vectors.std(axis=1, keepdims=True) + 1e-9)"
    ),
    sign="vectors.mean(axis=1, keepdims=True) - vectors",
) | {
    "argument changed": """
        def centered_rows(vectors):
            vectors -= vectors.mean(axis=1, keepdims=True)
            return vectors
    """,
}
ALTERNATIVES["q02-centered-rows"] = _returns(
    CENTERED,
    turned_twice="(vectors.T - vectors.mean(axis=1)).T",
    new_axis="vectors - vectors.mean(axis=1)[:, None]",
    loop="[[x - sum(row) / len(row) for x in row] for row in vectors.tolist()]",
    projection="vectors @ (np.eye(vectors.shape[1]) - 1 / vectors.shape[1])",
)

MUTANTS["q03-on-device"] = {
    "whole numbers stay whole": """
        import torch


        def on_device(numbers):
            return torch.tensor(numbers)
    """,
    "float64": """
        import torch


        def on_device(numbers):
            return torch.tensor(numbers, dtype=torch.float64)
    """,
    "half precision": """
        import torch


        def on_device(numbers):
            return torch.tensor(numbers, dtype=torch.float16)
    """,
    "an array": """
        import numpy as np


        def on_device(numbers):
            return np.array(numbers, dtype=np.float32)
    """,
    "a column": """
        import torch


        def on_device(numbers):
            return torch.tensor([[number] for number in numbers], dtype=torch.float32)
    """,
    "through whole numbers": """
        import torch


        def on_device(numbers):
            return torch.tensor([int(number) for number in numbers], dtype=torch.float32)
    """,
    "always a gpu": """
        import torch


        def on_device(numbers):
            return torch.tensor(numbers, dtype=torch.float32, device="cuda:63")
    """,
}
ALTERNATIVES["q03-on-device"] = {
    "moved": """
        import torch


        def on_device(numbers):
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            return torch.tensor(numbers).float().to(device)
    """,
    "through numpy": """
        import numpy as np
        import torch


        def on_device(numbers):
            tensor = torch.from_numpy(np.array(numbers, dtype=np.float32))
            return tensor.cuda() if torch.cuda.is_available() else tensor
    """,
}

COUNT = "def count_word(tokens, word):"
MUTANTS["q04-count-word"] = _returns(
    COUNT,
    the_example_by_heart="2",
    capitals_are_others="tokens.count(word)",
    the_asked_word_as_it_stands="sum(token.lower() == word for token in tokens)",
    parts_of_words="sum(word.lower() in token.lower() for token in tokens)",
    different_forms="len({token for token in tokens if token.lower() == word.lower()})",
    a_share="sum(token.lower() == word.lower() for token in tokens) / max(len(tokens), 1)",
    fails_without_tokens=(
        "[token.lower() for token in tokens].count(word.lower()) if tokens[0] else 0"
    ),
)
ALTERNATIVES["q04-count-word"] = _returns(
    COUNT,
    list_and_count="[token.casefold() for token in tokens].count(word.casefold())",
    numpy="np.sum(np.array([token.lower() for token in tokens], dtype=str) == word.lower())",
) | {
    "counter": """
        from collections import Counter


        def count_word(tokens, word):
            return Counter(map(str.lower, tokens))[word.lower()]
    """,
    "loop": """
        def lowered(text):
            return text.lower()


        def count_word(tokens, word):
            count = 0
            for token in tokens:
                if lowered(token) == lowered(word):
                    count += 1
            return count
    """,
}
