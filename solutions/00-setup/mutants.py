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
    the_example_by_heart="np.array([3.0, 6.0])",
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
    "float32": """
        import torch


        def row_means(vectors):
            return torch.tensor(vectors, dtype=torch.float32).mean(dim=1)
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
    "mended only where it fails": """
        def centered_rows(vectors):
            means = vectors.mean(axis=1)
            try:
                return vectors - means
            except ValueError:
                return vectors - means[:, None]
    """,
}
ALTERNATIVES["q02-centered-rows"] = _returns(
    CENTERED,
    turned_twice="(vectors.T - vectors.mean(axis=1)).T",
    new_axis="vectors - vectors.mean(axis=1)[:, None]",
    loop="[[x - sum(row) / len(row) for x in row] for row in vectors.tolist()]",
    projection="vectors @ (np.eye(vectors.shape[1]) - 1 / vectors.shape[1])",
) | {
    "float32": """
        import torch


        def centered_rows(vectors):
            vectors = torch.tensor(vectors, dtype=torch.float32)
            return vectors - vectors.mean(dim=1, keepdim=True)
    """,
}


def _devices(**parts: str) -> str:
    """Both functions of q03, with one part changed."""
    name = parts.get("name", '"cuda" if gpu else "cpu"')
    tensor = parts.get("tensor", "torch.tensor(numbers, dtype=torch.float32, device=device)")
    return f"""
        import numpy as np
        import torch


        def device_for(gpu):
            return {name}


        def on_device(numbers, device):
            return {tensor}
    """


MUTANTS["q03-on-device"] = {
    "always the cpu": _devices(name='"cpu"'),
    "always a gpu": _devices(name='"cuda"'),
    "what this machine has": _devices(name='"cuda" if torch.cuda.is_available() else "cpu"'),
    "turned round": _devices(name='"cpu" if gpu else "cuda"'),
    "a name that torch does not know": _devices(name='"gpu" if gpu else "cpu"'),
    "truth and no name": _devices(name="gpu"),
    "device not used": _devices(tensor="torch.tensor(numbers, dtype=torch.float32)"),
    "device in the code": _devices(
        tensor='torch.tensor(numbers, dtype=torch.float32, device="cpu")'
    ),
    "device that this machine has": _devices(
        tensor="torch.tensor(numbers, dtype=torch.float32, device=device_for(False))"
    ),
    "whole numbers stay whole": _devices(tensor="torch.tensor(numbers, device=device)"),
    "float64": _devices(tensor="torch.tensor(numbers, dtype=torch.float64, device=device)"),
    "half precision": _devices(tensor="torch.tensor(numbers, dtype=torch.float16, device=device)"),
    "an array": _devices(tensor="np.array(numbers, dtype=np.float32)"),
    "a column": _devices(
        tensor="torch.tensor([[x] for x in numbers], dtype=torch.float32, device=device)"
    ),
    "through whole numbers": _devices(
        tensor="torch.tensor([int(x) for x in numbers], dtype=torch.float32, device=device)"
    ),
    "nothing returned": """
        import torch


        def device_for(gpu):
            print("cuda" if gpu else "cpu")


        def on_device(numbers, device):
            return torch.tensor(numbers, dtype=torch.float32, device=device)
    """,
}
ALTERNATIVES["q03-on-device"] = {
    "moved": _devices(tensor="torch.tensor(numbers).float().to(device)"),
    "a device and no name": _devices(name='torch.device("cuda" if gpu else "cpu")'),
    "numbered": _devices(name='["cpu", "cuda:0"][gpu]'),
    "through numpy": _devices(
        tensor="torch.from_numpy(np.array(numbers, dtype=np.float32)).to(torch.device(device))"
    ),
    "converted": _devices(tensor="torch.FloatTensor(numbers).to(device)"),
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
    three_ways_to_write_it=(
        "sum(tokens.count(form) for form in {word.lower(), word.upper(), word.capitalize()})"
    ),
    punctuation_stripped=("sum(token.lower().strip('.,!?-') == word.lower() for token in tokens)"),
    letters_in_any_order="sum(sorted(token.lower()) == sorted(word.lower()) for token in tokens)",
    letters_as_a_set="sum(set(token.lower()) == set(word.lower()) for token in tokens)",
    beginnings="sum(token.lower().startswith(word.lower()) for token in tokens)",
    parts_of_the_text="' '.join(tokens).lower().count(word.lower())",
) | {
    "between word borders": """
        import re


        def count_word(tokens, word):
            text = " ".join(tokens)
            return len(re.findall(r"\\b" + re.escape(word) + r"\\b", text, flags=re.IGNORECASE))
    """,
    "the word as a pattern": """
        import re


        def count_word(tokens, word):
            return sum(bool(re.fullmatch(word, token, re.IGNORECASE)) for token in tokens)
    """,
}
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
    "an escaped pattern": """
        import re


        def count_word(tokens, word):
            pattern = re.compile(re.escape(word), re.IGNORECASE)
            return sum(pattern.fullmatch(token) is not None for token in tokens)
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
