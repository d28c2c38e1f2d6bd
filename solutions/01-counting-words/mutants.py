"""Known answers to the questions of 01-counting-words: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _coverage(**parts: str) -> str:
    """Coverage over sentences cut at their ends, with one part changed."""
    sentences = parts.get("sentences", '" ".join(tokens).split("</s>")')
    starts = parts.get("starts", "len(words) - n + 1")
    gram = parts.get("gram", "tuple(words[i : i + n])")
    asked = parts.get("asked", "grams(test, n)")
    seen = parts.get("seen", "set(grams(train, n))")
    hits = parts.get("hits", "sum(gram in seen for gram in asked)")
    lengths = parts.get("lengths", "range(1, longest + 1)")
    share = parts.get("share", 'hits / len(asked) if asked else float("nan")')
    return f"""
        from collections import Counter


        def coverage(test, train, longest):
            def grams(tokens, n):
                found = []
                for sentence in {sentences}:
                    words = sentence.split()
                    for i in range({starts}):
                        found.append({gram})
                return found

            shares = []
            for n in {lengths}:
                asked = {asked}
                seen = {seen}
                hits = {hits}
                shares.append({share})
            return shares
    """


MUTANTS["q01-coverage"] = {
    "distinct ngrams": _coverage(asked="set(grams(test, n))"),
    "ngrams reach over sentences": _coverage(sentences='[" ".join(tokens).replace("</s>", " ")]'),
    "sentence end is a word": _coverage(sentences='[" ".join(tokens)]'),
    "last ngram of a sentence missing": _coverage(starts="len(words) - n"),
    "last sentence needs its end": _coverage(sentences='" ".join(tokens).split("</s>")[:-1]'),
    "texts swapped": _coverage(asked="grams(train, n)", seen="set(grams(test, n))"),
    "longest left out": _coverage(lengths="range(1, longest)"),
    "starts at bigrams": _coverage(lengths="range(2, longest + 2)"),
    "lengths from 0": _coverage(lengths="range(longest)"),
    "first sentence alone": _coverage(sentences='" ".join(tokens).split("</s>")[:1]'),
    "first sentence of the test text alone": _coverage(
        asked='grams([*test, "</s>"][: [*test, "</s>"].index("</s>")], n)'
    ),
    "capital letters made small": _coverage(sentences='" ".join(tokens).lower().split("</s>")'),
    "zero where there is nothing": _coverage(share="hits / len(asked) if asked else 0.0"),
    "one where there is nothing": _coverage(share="hits / len(asked) if asked else 1.0"),
    "divides by no ngrams": _coverage(share="hits / len(asked)"),
    "words glued together": _coverage(gram='"".join(words[i : i + n])'),
    "looked for as a string": _coverage(
        gram='" ".join(words[i : i + n])',
        seen='" ".join(train)',
        hits="sum(g in seen for g in asked)",
    ),
    "seen only as often as in training": _coverage(
        seen="Counter(grams(train, n))", hits="(Counter(asked) & seen).total()"
    ),
    "whole percent": _coverage(share='100 * hits / len(asked) if asked else float("nan")'),
    "integer division": _coverage(share='hits // len(asked) if asked else float("nan")'),
    "training text must have words": _coverage(
        share='hits / len(asked) if asked and seen else float("nan")'
    ),
    "longest alone": """
        def coverage(test, train, longest):
            def grams(tokens):
                windows = zip(*(tokens[i:] for i in range(longest)))
                return [window for window in windows if "</s>" not in window]

            asked, seen = grams(test), set(grams(train))
            return sum(gram in seen for gram in asked) / len(asked)
    """,
}
ALTERNATIVES["q01-coverage"] = {
    "loop over sentences": _coverage(),
    "windows by zip": """
        from itertools import groupby


        def coverage(test, train, longest):
            def cut(tokens):
                groups = groupby(tokens, key=lambda token: token == "</s>")
                return [list(words) for border, words in groups if not border]

            def grams(sentences, n):
                return [gram for words in sentences for gram in zip(*(words[i:] for i in range(n)))]

            old, new = cut(train), cut(test)
            shares = np.full(longest, np.nan)
            for n in range(1, longest + 1):
                asked, seen = grams(new, n), set(grams(old, n))
                if asked:
                    shares[n - 1] = np.mean([gram in seen for gram in asked])
            return shares
    """,
    "float32 and counters": """
        from collections import Counter


        def coverage(test, train, longest):
            def count(tokens, n):
                found = Counter()
                run = []
                for token in tokens:
                    run = [] if token == "</s>" else [*run, token][-n:]
                    if len(run) == n:
                        found[tuple(run)] += 1
                return found

            shares = []
            for n in range(1, longest + 1):
                asked, seen = count(test, n), count(train, n)
                hits = sum(times for gram, times in asked.items() if gram in seen)
                total = sum(asked.values())
                shares.append(np.float32(hits / total) if total else np.float32("nan"))
            return tuple(shares)
    """,
}


def _bags(**parts: str) -> str:
    """Both functions of q02, with one part changed."""
    ids = parts.get("ids", "{word: number for number, word in enumerate(vocabulary)}")
    row = parts.get("row", "ids.get(token, len(vocabulary))")
    height = parts.get("height", "len(vocabulary) + 1")
    hot = parts.get("hot", "columns")
    count = parts.get("count", "counts[row, j] += 1")
    bags = parts.get("bags", "counts")
    return f"""
        def one_hot(tokens, vocabulary):
            ids = {ids}
            columns = np.zeros(({height}, len(tokens)))
            for j, token in enumerate(tokens):
                columns[{row}, j] = 1
            return {hot}


        def bag_of_words(documents, vocabulary):
            ids = {ids}
            counts = np.zeros(({height}, len(documents)))
            for j, document in enumerate(documents):
                for token in document:
                    row = {row}
                    {count}
            return {bags}
    """


MUTANTS["q02-bag-of-words"] = {
    "unknown words left out": """
        def one_hot(tokens, vocabulary):
            columns = np.zeros((len(vocabulary) + 1, len(tokens)))
            for j, token in enumerate(tokens):
                if token in vocabulary:
                    columns[vocabulary.index(token), j] = 1
            return columns


        def bag_of_words(documents, vocabulary):
            counts = np.zeros((len(vocabulary) + 1, len(documents)))
            for j, document in enumerate(documents):
                for token in document:
                    if token in vocabulary:
                        counts[vocabulary.index(token), j] += 1
            return counts
    """,
    "unknown words raise": _bags(row="ids[token]"),
    "unknown words are word 0": _bags(row="ids.get(token, 0)"),
    "no row for unknown words": _bags(row="ids.get(token, len(vocabulary) - 1)", height="len(ids)"),
    "unknown words come first": _bags(row="ids.get(token, -1) + 1"),
    "vocabulary sorted": _bags(
        ids="{word: number for number, word in enumerate(sorted(vocabulary))}"
    ),
    "capital letters made small": _bags(row="ids.get(token.lower(), len(vocabulary))"),
    "one row a token": _bags(hot="columns.T"),
    "one row a document": _bags(bags="counts.T"),
    "words counted once": _bags(count="counts[row, j] = 1"),
    "shares": _bags(bags="counts / counts.sum(axis=0)"),
    "shares without nan": _bags(bags="counts / np.maximum(counts.sum(axis=0), 1)"),
    "repeated ids counted once": """
        def one_hot(tokens, vocabulary):
            ids = {word: number for number, word in enumerate(vocabulary)}
            return np.eye(len(ids) + 1)[:, [ids.get(token, len(ids)) for token in tokens]]


        def bag_of_words(documents, vocabulary):
            ids = {word: number for number, word in enumerate(vocabulary)}
            counts = np.zeros((len(ids) + 1, len(documents)))
            for j, document in enumerate(documents):
                rows = [ids.get(token, len(ids)) for token in document]
                counts[rows, j] += 1
            return counts
    """,
    "parts of words count": """
        def one_hot(tokens, vocabulary):
            columns = np.zeros((len(vocabulary) + 1, len(tokens)))
            for j, token in enumerate(tokens):
                rows = [i for i, word in enumerate(vocabulary) if word in token]
                columns[rows or [-1], j] = 1
            return columns


        def bag_of_words(documents, vocabulary):
            columns = [one_hot(document, vocabulary).sum(axis=1) for document in documents]
            return np.array(columns).reshape(-1, len(vocabulary) + 1).T
    """,
    "no tokens not thought of": """
        def one_hot(tokens, vocabulary):
            return np.stack(
                [[*(float(word == t) for word in vocabulary), t not in vocabulary] for t in tokens],
                axis=1,
            )


        def bag_of_words(documents, vocabulary):
            bags = [one_hot(tokens, vocabulary).sum(axis=1) for tokens in documents]
            return np.stack(bags, axis=1)
    """,
}
ALTERNATIVES["q02-bag-of-words"] = {
    "loop": _bags(),
    "sums of one hot columns": """
        def one_hot(tokens, vocabulary):
            words = np.array([*vocabulary, None], dtype=object)
            ids = [vocabulary.index(token) if token in vocabulary else -1 for token in tokens]
            return np.eye(len(words), dtype=np.float32)[:, np.array(ids, dtype=int)]


        def bag_of_words(documents, vocabulary):
            bags = [one_hot(tokens, vocabulary).sum(axis=1) for tokens in documents]
            return np.stack(bags, axis=1)
    """,
    "whole numbers and counters": """
        from collections import Counter


        def one_hot(tokens, vocabulary):
            rows = [[int(token == word) for token in tokens] for word in vocabulary]
            return np.array([*rows, [int(token not in vocabulary) for token in tokens]])


        def bag_of_words(documents, vocabulary):
            columns = []
            for document in documents:
                seen = Counter(document)
                known = [seen[word] for word in vocabulary]
                columns.append([*known, len(document) - sum(known)])
            return list(zip(*columns))
    """,
    "torch": """
        import torch


        def one_hot(tokens, vocabulary):
            ids = {word: number for number, word in enumerate(vocabulary)}
            rows = torch.tensor([ids.get(t, len(ids)) for t in tokens], dtype=torch.long)
            return torch.nn.functional.one_hot(rows, len(ids) + 1).T


        def bag_of_words(documents, vocabulary):
            return torch.stack([one_hot(d, vocabulary).sum(dim=1) for d in documents], dim=1)
    """,
}


def _weights(**parts: str) -> str:
    """TF-IDF, with one part changed."""
    before = parts.get("before", "counts = np.asarray(counts, dtype=float)")
    lengths = parts.get("lengths", "counts.sum(axis=0)")
    shares = parts.get("shares", "counts / np.where(lengths > 0, lengths, 1)")
    df = parts.get("df", "np.maximum((counts > 0).sum(axis=1, keepdims=True), 1)")
    documents = parts.get("documents", "counts.shape[1]")
    idf = parts.get("idf", "np.log(documents / df)")
    return f"""
        def tf_idf(counts):
            {before}
            lengths = {lengths}
            shares = {shares}
            df = {df}
            documents = {documents}
            return shares * {idf}
    """


MUTANTS["q03-tf-idf"] = {
    "one added to df": _weights(idf="np.log(documents / (1 + df))"),
    "one added to idf": _weights(idf="(1 + np.log(documents / df))"),
    "smoothed": _weights(idf="(1 + np.log((1 + documents) / (1 + df)))"),
    "logarithm to base 2": _weights(idf="np.log2(documents / df)"),
    "logarithm to base 10": _weights(idf="np.log10(documents / df)"),
    "counts instead of shares": _weights(shares="counts"),
    "documents in rows": _weights(
        lengths="counts.sum(axis=1, keepdims=True)",
        df="np.maximum((counts > 0).sum(axis=0), 1)",
        documents="counts.shape[0]",
    ),
    "shares of the word": _weights(lengths="counts.sum(axis=1, keepdims=True)"),
    "number of words as n": _weights(documents="counts.shape[0]"),
    "tokens in place of documents": _weights(df="np.maximum(counts.sum(axis=1, keepdims=True), 1)"),
    "empty documents not counted": _weights(documents="max((lengths > 0).sum(), 1)"),
    "empty document gives nan": _weights(shares="counts / lengths"),
    "unused word gives nan": _weights(df="(counts > 0).sum(axis=1, keepdims=True)"),
    "no logarithm": _weights(idf="(documents / df)"),
    "integer division": _weights(idf="np.log(documents // df)"),
    "columns at length one": _weights(
        shares="counts / np.maximum(np.linalg.norm(counts, axis=0), 1e-12)"
    ),
    "changes its input": """
        def tf_idf(counts):
            documents = counts.shape[1]
            lengths = np.maximum(counts.sum(axis=0), 1)
            shares = counts / lengths
            counts[counts > 0] = 1
            df = np.maximum(counts.sum(axis=1), 1)
            return shares * np.log(documents / df)[:, None]
    """,
}
ALTERNATIVES["q03-tf-idf"] = {
    "one expression": _weights(),
    "nan replaced": """
        def tf_idf(counts):
            counts = np.array(counts, dtype=np.float32)
            with np.errstate(all="ignore"):
                shares = np.nan_to_num(counts / counts.sum(axis=0))
                idf = np.log(counts.shape[1] / np.count_nonzero(counts, axis=1))
            return shares * np.where(np.isfinite(idf), idf, 0)[:, None]
    """,
    "loop": """
        import math


        def tf_idf(counts):
            words, documents = len(counts), len(counts[0])
            lengths = [sum(float(row[j]) for row in counts) for j in range(documents)]
            weights = [[0.0] * documents for _ in range(words)]
            for i in range(words):
                df = sum(1 for number in counts[i] if number > 0)
                for j in range(documents):
                    if counts[i][j] > 0:
                        weights[i][j] = counts[i][j] / lengths[j] * math.log(documents / df)
            return weights
    """,
    "torch": """
        import torch


        def tf_idf(counts):
            counts = torch.tensor(np.array(counts), dtype=torch.float64)
            shares = counts / counts.sum(dim=0).clamp(min=1)
            df = (counts > 0).sum(dim=1, keepdim=True).clamp(min=1)
            return shares * torch.log(counts.shape[1] / df)
    """,
}


def _meetings(**parts: str) -> str:
    """The loop over positions, with one part changed."""
    before = parts.get("before", "sentences = batch")
    first = parts.get("first", "i - window")
    last = parts.get("last", "i + window + 1")
    condition = parts.get(
        "condition", "i != j and sentence[i] != padding and sentence[j] != padding"
    )
    weight = parts.get("weight", "(window + 1 - abs(i - j)) / window")
    change = parts.get("change", "counts[sentence[i], sentence[j]] += weight")
    return f"""
        def cooccurrence(batch, padding, vocabulary_size, window):
            counts = np.zeros((vocabulary_size, vocabulary_size))
            {before}
            for sentence in sentences:
                for i in range(len(sentence)):
                    for j in range(max(0, {first}), min(len(sentence), {last})):
                        if {condition}:
                            weight = {weight}
                            {change}
            return counts
    """


MUTANTS["q04-cooccurrence"] = {
    "padding is a word": _meetings(condition="i != j"),
    "padding counted as a neighbour": _meetings(condition="i != j and sentence[i] != padding"),
    "padding is always 0": _meetings(condition="i != j and sentence[i] != 0 and sentence[j] != 0"),
    "no ramp": _meetings(weight="1"),
    "ramp the wrong way round": _meetings(weight="abs(i - j) / window"),
    "ramp one too low": _meetings(weight="(window - abs(i - j)) / window"),
    "ramp divided by one more": _meetings(weight="(window + 1 - abs(i - j)) / (window + 1)"),
    "one over the distance": _meetings(weight="1 / abs(i - j)"),
    "whole weights": _meetings(weight="(window + 1 - abs(i - j)) // window"),
    "an array of whole numbers": _meetings(
        change="counts = counts.astype(int); counts[sentence[i], sentence[j]] += weight"
    ),
    "range stops one short": _meetings(last="i + window"),
    "only the right side": _meetings(first="i"),
    "only the left side": _meetings(last="i"),
    "every meeting twice": _meetings(weight="2 * (window + 1 - abs(i - j)) / window"),
    "center is its own neighbour": _meetings(
        condition="sentence[i] != padding and sentence[j] != padding"
    ),
    "equal words left out": _meetings(
        condition="sentence[i] != sentence[j] and sentence[i] != padding and sentence[j] != padding"
    ),
    "rows run together": _meetings(before="sentences = [batch[batch != padding]]"),
    "batch read by columns": _meetings(before="sentences = batch.T"),
    "meetings counted once a pair": _meetings(
        change="counts[sentence[i], sentence[j]] = max(counts[sentence[i], sentence[j]], weight)"
    ),
    "repeated pairs counted once": """
        def cooccurrence(batch, padding, vocabulary_size, window):
            counts = np.zeros((vocabulary_size, vocabulary_size))
            for distance in range(1, window + 1):
                left, right = batch[:, :-distance], batch[:, distance:]
                words = (left != padding) & (right != padding)
                weight = (window + 1 - distance) / window
                counts[left[words], right[words]] += weight
                counts[right[words], left[words]] += weight
            return counts
    """,
    "rows joined by roll": """
        def cooccurrence(batch, padding, vocabulary_size, window):
            counts = np.zeros((vocabulary_size, vocabulary_size))
            for distance in range(1, window + 1):
                right = np.roll(batch, -distance, axis=1)
                words = (batch != padding) & (right != padding)
                weight = (window + 1 - distance) / window
                np.add.at(counts, (batch[words], right[words]), weight)
            return counts + counts.T
    """,
    "changes its input": """
        def cooccurrence(batch, padding, vocabulary_size, window):
            batch[batch == padding] = vocabulary_size
            counts = np.zeros((vocabulary_size + 1, vocabulary_size + 1))
            for distance in range(1, window + 1):
                left, right = batch[:, :-distance], batch[:, distance:]
                np.add.at(counts, (left, right), (window + 1 - distance) / window)
            return (counts + counts.T)[:-1, :-1]
    """,
}
ALTERNATIVES["q04-cooccurrence"] = {
    "loop over positions": _meetings(),
    "padding emptied at the end": """
        def cooccurrence(batch, padding, vocabulary_size, window):
            counts = np.zeros((vocabulary_size, vocabulary_size), dtype=np.float32)
            for distance in range(1, min(window, batch.shape[1] - 1) + 1):
                pairs = batch[:, :-distance], batch[:, distance:]
                np.add.at(counts, pairs, 1 - (distance - 1) / window)
            counts[padding] = counts[:, padding] = 0
            return counts + counts.T
    """,
    "one product": """
        def cooccurrence(batch, padding, vocabulary_size, window):
            words = np.eye(vocabulary_size)
            words[padding] = 0
            words = words[batch]
            places = np.arange(batch.shape[1])
            distance = abs(places[:, None] - places)
            ramp = np.maximum(window + 1 - distance, 0) / window * (distance > 0)
            return np.einsum("bjv,bjw->vw", words, ramp @ words)
    """,
    "torch": """
        import torch


        def cooccurrence(batch, padding, vocabulary_size, window):
            batch = torch.tensor(np.array(batch), dtype=torch.long)
            counts = torch.zeros(vocabulary_size * vocabulary_size, dtype=torch.float64)
            for distance in range(1, window + 1):
                if distance >= batch.shape[1]:
                    break
                left, right = batch[:, :-distance], batch[:, distance:]
                words = (left != padding) & (right != padding)
                cells = left[words] * vocabulary_size + right[words]
                weight = (window + 1 - distance) / window
                counts.index_add_(0, cells, torch.full(cells.shape, weight, dtype=torch.float64))
            counts = counts.reshape(vocabulary_size, vocabulary_size)
            return counts + counts.T
    """,
}


def _information(**parts: str) -> str:
    """PPMI, with one part changed."""
    before = parts.get("before", "counts = np.asarray(counts, dtype=float)")
    rows = parts.get("rows", "counts.sum(axis=1, keepdims=True)")
    columns = parts.get("columns", "counts.sum(axis=0, keepdims=True)")
    ratio = parts.get("ratio", "counts * counts.sum() / (rows * columns)")
    logarithm = parts.get("logarithm", "np.log2(ratio)")
    result = parts.get("result", "np.where(counts > 0, np.maximum(pmi, 0), 0)")
    return f"""
        def ppmi(counts):
            {before}
            rows = {rows}
            columns = {columns}
            with np.errstate(all="ignore"):
                ratio = {ratio}
                pmi = {logarithm}
            return {result}
    """


MUTANTS["q05-ppmi"] = {
    "natural logarithm": _information(logarithm="np.log(ratio)"),
    "negative values kept": _information(result="np.where(counts > 0, pmi, 0)"),
    "sign thrown away": _information(result="np.where(counts > 0, abs(pmi), 0)"),
    "plain pmi": _information(result="pmi"),
    "empty rows give nan": _information(result="np.maximum(pmi, 0)"),
    "infinity replaced by a large number": _information(result="abs(np.nan_to_num(pmi))"),
    "one added to every count": _information(
        before="counts = np.asarray(counts, dtype=float) + 1",
    ),
    "small number in the logarithm": _information(
        ratio="(counts / counts.sum() + 1e-8) / (rows * columns / counts.sum() ** 2 + 1e-8)"
    ),
    "very small number added to every count": _information(
        before="counts = np.asarray(counts, dtype=float) + 1e-10",
    ),
    "no logarithm": _information(logarithm="ratio"),
    "total forgotten": _information(ratio="counts / (rows * columns)"),
    "counts divided by their number": _information(ratio="counts * counts.size / (rows * columns)"),
    "only the row": _information(ratio="counts / rows"),
    "rows and columns swapped": _information(
        rows="counts.sum(axis=0)[:, None]", columns="counts.sum(axis=1)"
    ),
    "row sums for both": _information(columns="counts.sum(axis=1)"),
    "ones left out": _information(result="np.where(counts > 1, np.maximum(pmi, 0), 0)"),
    "whole numbers overflow": _information(before="counts = np.asarray(counts)"),
    "maximum before the logarithm": _information(
        logarithm="np.log2(np.maximum(ratio, 1e-3)) + 0", result="np.where(counts > 0, pmi, 0)"
    ),
    "root of the chance": _information(ratio="counts * counts.sum() / np.sqrt(rows * columns)"),
    "changes its input": """
        def ppmi(counts):
            counts = np.asarray(counts, dtype=float)
            total = counts.sum()
            rows, columns = counts.sum(axis=1), counts.sum(axis=0)
            with np.errstate(all="ignore"):
                counts *= total
                counts /= np.outer(rows, columns)
                np.log2(counts, out=counts)
            return np.maximum(np.nan_to_num(counts, neginf=0), 0)
    """,
}
ALTERNATIVES["q05-ppmi"] = {
    "one expression": _information(),
    "nan replaced": _information(result="np.maximum(np.nan_to_num(pmi, nan=0, neginf=0), 0)"),
    "pair by pair": """
        import math


        def ppmi(counts):
            rows = [sum(map(float, row)) for row in counts]
            columns = [sum(map(float, column)) for column in zip(*counts)]
            total = sum(rows)
            return [
                [
                    max(0.0, math.log2(float(n) * total / (rows[i] * columns[j]))) if n > 0 else 0.0
                    for j, n in enumerate(row)
                ]
                for i, row in enumerate(counts)
            ]
    """,
    "probabilities in float32": """
        def ppmi(counts):
            joint = np.asarray(counts, dtype=np.float32)
            if joint.sum() == 0:
                return joint * 0
            joint = joint / joint.sum()
            chance = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
            ratio = np.divide(joint, chance, out=np.ones_like(joint), where=joint > 0)
            return np.log2(np.maximum(ratio, 1))
    """,
    "torch": """
        import torch


        def ppmi(counts):
            counts = torch.tensor(np.array(counts), dtype=torch.float64)
            chance = counts.sum(dim=1, keepdim=True) * counts.sum(dim=0) / counts.sum()
            return torch.where(counts > 0, torch.log2(counts / chance).clamp(min=0), 0.0)
    """,
}


def _short(**parts: str) -> str:
    """Truncated SVD, with one part changed."""
    before = parts.get("before", "matrix = np.asarray(matrix, dtype=float)")
    factors = parts.get("factors", "left, values, right = np.linalg.svd(matrix)")
    vectors = parts.get("vectors", "values[:k, None] * right[: min(k, len(values))]")
    result = parts.get("result", "np.pad(vectors, ((0, k - len(vectors)), (0, 0)))")
    return f"""
        def svd_vectors(matrix, k):
            {before}
            {factors}
            vectors = {vectors}
            return {result}
    """


MUTANTS["q07-svd-vectors"] = {
    "left singular vectors": _short(
        factors="left, values, right = np.linalg.svd(matrix, full_matrices=False)",
        vectors="(left * values).T[:k]",
    ),
    "one row a word": _short(result="np.pad(vectors, ((0, k - len(vectors)), (0, 0))).T"),
    "singular values left out": _short(vectors="right[: min(k, len(values))]"),
    "root of the singular values": _short(
        vectors="np.sqrt(values[:k, None]) * right[: min(k, len(values))]"
    ),
    "square of the singular values": _short(
        vectors="values[:k, None] ** 2 * right[: min(k, len(values))]"
    ),
    "smallest first": _short(vectors="values[::-1][:k, None] * right[: len(values)][::-1][:k]"),
    "v transposed once more": _short(
        factors="left, values, right = np.linalg.svd(matrix, full_matrices=False)",
        vectors="(right.T * values)[:k]",
    ),
    "rows of v": _short(
        factors="left, values, right = np.linalg.svd(matrix, full_matrices=False)",
        vectors="(values[:, None] * right.T)[:k] if len(right) == len(right.T) else right[:k]",
    ),
    "centered like pca": _short(
        before="matrix = np.asarray(matrix) - np.mean(matrix, axis=1, keepdims=True)"
    ),
    "centered by columns": _short(before="matrix = np.asarray(matrix) - np.mean(matrix, axis=0)"),
    "rows missing beyond the rank": _short(result="vectors"),
    "first direction left out": _short(
        vectors="np.append(values, 0)[1 : k + 1, None] * right[1 : min(k + 1, len(values) + 1)]",
        result="np.pad(vectors, ((0, k - len(vectors)), (0, 0)))",
    ),
    "scaled in the wrong direction": _short(
        factors="left, values, right = np.linalg.svd(matrix, full_matrices=False)",
        vectors="right[:k] / np.maximum(values[:k, None], 1e-12)",
    ),
    "eigenvalues below zero": """
        def svd_vectors(matrix, k):
            squares, directions = np.linalg.eigh(matrix.T @ matrix)
            vectors = (np.sqrt(squares) * directions)[:, ::-1].T[:k]
            return np.pad(vectors, ((0, k - len(vectors)), (0, 0)))
    """,
    "eigenvalues in place of singular values": """
        def svd_vectors(matrix, k):
            squares, directions = np.linalg.eigh(matrix.T @ matrix)
            vectors = (np.maximum(squares, 0) * directions)[:, ::-1].T[:k]
            return np.pad(vectors, ((0, k - len(vectors)), (0, 0)))
    """,
    "smallest of eigh": """
        def svd_vectors(matrix, k):
            squares, directions = np.linalg.eigh(matrix.T @ matrix)
            vectors = (np.sqrt(np.maximum(squares, 0)) * directions).T[:k]
            return np.pad(vectors, ((0, k - len(vectors)), (0, 0)))
    """,
    "changes its input": """
        def svd_vectors(matrix, k):
            matrix /= np.abs(matrix).max() + 1e-300
            _, values, right = np.linalg.svd(matrix, full_matrices=False)
            vectors = (values[:, None] * right)[:k]
            return np.pad(vectors, ((0, k - len(vectors)), (0, 0)))
    """,
    "no more than the rank": """
        def svd_vectors(matrix, k):
            _, values, right = np.linalg.svd(matrix, full_matrices=False)
            k = min(k, np.linalg.matrix_rank(matrix))
            return values[:k, None] * right[:k]
    """,
}
ALTERNATIVES["q07-svd-vectors"] = {
    "padded afterwards": _short(),
    "rows of the transpose": """
        def svd_vectors(matrix, k):
            left, values, _ = np.linalg.svd(np.asarray(matrix, dtype=float).T, full_matrices=False)
            vectors = np.zeros((np.shape(matrix)[1], k))
            for i in range(min(k, len(values))):
                vectors[:, i] = -values[i] * left[:, i]
            return vectors.T
    """,
    "eigenvectors of the dot products": """
        def svd_vectors(matrix, k):
            matrix = np.asarray(matrix, dtype=float)
            squares, directions = np.linalg.eigh(matrix.T @ matrix)
            order = np.argsort(-squares)[:k]
            vectors = np.zeros((k, matrix.shape[1]))
            vectors[: len(order)] = (np.sqrt(np.maximum(squares, 0)) * directions).T[order]
            return vectors
    """,
    "projected in float32": """
        import scipy.linalg


        def svd_vectors(matrix, k):
            matrix = np.array(matrix, dtype=np.float32)
            left, _, _ = scipy.linalg.svd(matrix, full_matrices=False)
            vectors = left.T @ matrix
            empty = [[0.0] * matrix.shape[1] for _ in range(k - len(vectors))]
            return [*vectors[:k].tolist(), *empty]
    """,
    "torch": """
        import torch


        def svd_vectors(matrix, k):
            matrix = torch.tensor(np.array(matrix), dtype=torch.float64)
            _, values, right = torch.linalg.svd(matrix, full_matrices=False)
            vectors = values[:k, None] * right[:k]
            return torch.cat([vectors, torch.zeros(k - len(vectors), matrix.shape[1])])
    """,
}


def _angles(**parts: str) -> str:
    """Cosines, with one part changed."""
    axis = parts.get("axis", "axis=0")
    first = parts.get("first", "np.where(n > 0, n, 1)[:, None]")
    second = parts.get("second", "np.where(m > 0, m, 1)")
    dots = parts.get("dots", "np.asarray(first).T @ np.asarray(second)")
    result = parts.get("result", "np.clip(cosine, -1, 1)")
    return f"""
        def cosines(first, second):
            n = np.linalg.norm(first, {axis})
            m = np.linalg.norm(second, {axis})
            dots = {dots}
            with np.errstate(all="ignore"):
                cosine = dots / ({first} * {second})
            return {result}
    """


MUTANTS["q08-cosines"] = {
    "zero gives nan": _angles(first="n[:, None]", second="m"),
    "zero gives one": _angles(
        first="n[:, None]", second="m", result="np.clip(np.nan_to_num(cosine, nan=1.0), -1, 1)"
    ),
    "small number added": _angles(first="(n[:, None] + 1e-8)", second="(m + 1e-8)"),
    "very small number added": _angles(first="(n[:, None] + 1e-12)", second="(m + 1e-12)"),
    "short vectors taken for zero": _angles(
        first="np.where(n > 1e-4, n, np.inf)[:, None]", second="np.where(m > 1e-4, m, np.inf)"
    ),
    "not cut off": _angles(result="cosine"),
    "cut off at 0": _angles(result="np.clip(cosine, 0, 1)"),
    "sign thrown away": _angles(result="np.clip(abs(cosine), 0, 1)"),
    "distance": _angles(result="1 - np.clip(cosine, -1, 1)"),
    "dot products": _angles(result="dots"),
    "only the first divided": _angles(second="1", result="cosine"),
    "squared lengths": _angles(
        first="np.where(n > 0, n**2, 1)[:, None]", second="np.where(m > 0, m**2, 1)"
    ),
    "one length for a whole batch": _angles(
        axis="axis=None", first="max(n, 1e-300)", second="max(m, 1e-300)"
    ),
    "transposed": _angles(result="np.clip(cosine, -1, 1).T"),
    "vectors in rows": """
        def cosines(first, second):
            def unit(vectors):
                lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
                return vectors / np.where(lengths > 0, lengths, 1)

            return np.clip(unit(first) @ unit(second).T, -1, 1)
    """,
    "pair by pair only": """
        def cosines(first, second):
            n, m = np.linalg.norm(first, axis=0), np.linalg.norm(second, axis=0)
            k = min(len(n), len(m))
            dots = (first[:, :k] * second[:, :k]).sum(axis=0)
            return dots / np.maximum(n[:k] * m[:k], 1e-300)
    """,
    "lengths of the rows": """
        def cosines(first, second):
            def unit(vectors):
                lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
                return vectors / np.where(lengths > 0, lengths, 1)

            return np.clip(unit(first).T @ unit(second), -1, 1)
    """,
    "changes its input": """
        def cosines(first, second):
            first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
            for vectors in (first, second):
                lengths = np.linalg.norm(vectors, axis=0)
                vectors /= np.where(lengths > 0, lengths, 1)
            return np.clip(first.T @ second, -1, 1)
    """,
}
ALTERNATIVES["q08-cosines"] = {
    "one expression": _angles(),
    "nan replaced": _angles(
        first="n[:, None]", second="m", result="np.clip(np.nan_to_num(cosine), -1, 1)"
    ),
    "loop": """
        import math


        def cosines(first, second):
            result = []
            for a in np.asarray(first).T:
                row = []
                for b in np.asarray(second).T:
                    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
                    dot = sum(x * y for x, y in zip(a, b))
                    row.append(max(-1.0, min(1.0, dot / lengths)) if lengths else 0.0)
                result.append(row)
            return result
    """,
    "float32": """
        def cosines(first, second):
            first, second = np.float32(first), np.float32(second)
            lengths = np.outer(np.sqrt((first**2).sum(0)), np.sqrt((second**2).sum(0)))
            dots = first.T @ second
            return np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0).clip(-1, 1)
    """,
    "torch": """
        import torch


        def cosines(first, second):
            a = torch.tensor(np.array(first), dtype=torch.float64)
            b = torch.tensor(np.array(second), dtype=torch.float64)
            a = torch.nn.functional.normalize(a, dim=0, eps=1e-300)
            b = torch.nn.functional.normalize(b, dim=0, eps=1e-300)
            return (a.T @ b).clamp(-1, 1)
    """,
}


def _order(**parts: str) -> str:
    """Neighbours, with one part changed."""
    before = parts.get("before", "scores = np.array(similarities, dtype=float)")
    masked = parts.get("masked", "np.fill_diagonal(scores, -np.inf)")
    order = parts.get("order", 'np.argsort(-scores, axis=1, kind="stable")')
    result = parts.get("result", "order[:, : min(k, len(scores) - 1)]")
    return f"""
        def nearest(similarities, k):
            {before}
            {masked}
            order = {order}
            return {result}
    """


MUTANTS["q09-nearest"] = {
    "word is its own neighbour": _order(masked="pass"),
    "first place left out": _order(masked="pass", result="order[:, 1 : k + 1]"),
    "own similarity set to 0": _order(masked="np.fill_diagonal(scores, 0)"),
    "own similarity set to minus 1": _order(masked="np.fill_diagonal(scores, -1)"),
    "more than there are": _order(result="order[:, :k]"),
    "one too few": _order(result="order[:, : min(k, len(scores) - 1) - 1]"),
    "larger id first": _order(order='np.argsort(scores, axis=1, kind="stable")[:, ::-1]'),
    "sort not stable": _order(order="np.argsort(-scores, axis=1)"),
    "similarities rounded": _order(before="scores = np.round(similarities, 6).astype(float)"),
    "upwards and itself first": _order(order='np.argsort(scores, axis=1, kind="stable")'),
    "least similar first": _order(
        masked="np.fill_diagonal(scores, np.inf)",
        order='np.argsort(scores, axis=1, kind="stable")',
    ),
    "columns in place of rows": _order(order='np.argsort(-scores.T, axis=1, kind="stable")'),
    "sorted along columns": _order(order='np.argsort(-scores, axis=0, kind="stable")'),
    "sorted by id": _order(result="np.sort(order[:, : min(k, len(scores) - 1)], axis=1)"),
    "similarities in place of ids": _order(
        result="np.take_along_axis(scores, order, axis=1)[:, : min(k, len(scores) - 1)]"
    ),
    "ids from 1": _order(result="order[:, : min(k, len(scores) - 1)] + 1"),
    "changes its input": """
        def nearest(similarities, k):
            similarities = np.asarray(similarities, dtype=float)
            np.fill_diagonal(similarities, -np.inf)
            order = np.argsort(-similarities, axis=1, kind="stable")
            return order[:, : min(k, len(order) - 1)]
    """,
    "best k in any order": """
        def nearest(similarities, k):
            scores = np.array(similarities, dtype=float)
            np.fill_diagonal(scores, -np.inf)
            k = min(k, len(scores) - 1)
            return np.argpartition(-scores, k - 1, axis=1)[:, :k]
    """,
    "maximum taken out as itself": """
        def nearest(similarities, k):
            rows = []
            for row in similarities:
                order = sorted(range(len(row)), key=lambda word: (-row[word], word))
                order.remove(int(np.argmax(row)))
                rows.append(order[:k])
            return rows
    """,
    "equal similarities counted once": """
        def nearest(similarities, k):
            rows = []
            for i, row in enumerate(similarities):
                place = {}
                for j, value in enumerate(row):
                    if i != j:
                        place.setdefault(float(value), j)
                rows.append([place[value] for value in sorted(place, reverse=True)[:k]])
            return rows
    """,
}
ALTERNATIVES["q09-nearest"] = {
    "one expression": _order(),
    "sorted lists": """
        def nearest(similarities, k):
            rows = []
            for i, row in enumerate(similarities):
                others = [j for j in range(len(row)) if j != i]
                rows.append(sorted(others, key=lambda j: (-row[j], j))[:k])
            return rows
    """,
    "largest taken out one by one": """
        def nearest(similarities, k):
            scores = np.array(similarities, dtype=np.float32)
            scores[np.arange(len(scores)), np.arange(len(scores))] = -np.inf
            columns = []
            for _ in range(min(k, len(scores) - 1)):
                best = scores.argmax(axis=1)
                scores[np.arange(len(scores)), best] = -np.inf
                columns.append(best)
            return np.array(columns, dtype=int).reshape(-1, len(scores)).T
    """,
    "two keys": """
        def nearest(similarities, k):
            n = len(similarities)
            rows = []
            for word in range(n):
                ids = np.delete(np.arange(n), word)
                order = np.lexsort((ids, -np.asarray(similarities, dtype=float)[word, ids]))
                rows.append(ids[order][:k])
            return np.array(rows)
    """,
    "torch": """
        import torch


        def nearest(similarities, k):
            scores = torch.tensor(np.array(similarities), dtype=torch.float64)
            scores.fill_diagonal_(-torch.inf)
            order = torch.sort(scores, dim=1, descending=True, stable=True).indices
            return order[:, : min(k, len(scores) - 1)]
    """,
}


def _proportions(**parts: str) -> str:
    """Analogies, with one part changed."""
    before = parts.get("before", "unit = vectors / np.linalg.norm(vectors, axis=0)")
    direction = parts.get("direction", "unit[:, b] - unit[:, a] + unit[:, c]")
    candidates = parts.get("candidates", "unit")
    masked = parts.get("masked", "scores[[a[q], b[q], c[q]], q] = -np.inf")
    result = parts.get("result", "scores.argmax(axis=0)")
    rows = parts.get("rows", "a, b, c = given")
    return f"""
        def analogies(vectors, given):
            {before}
            {rows}
            direction = {direction}
            scores = {candidates}.T @ direction
            for q in range(len(a)):
                {masked}
            return {result}
    """


MUTANTS["q10-analogies"] = {
    "lengths left as they are": _proportions(before="unit = np.array(vectors)"),
    "only the candidates normalised": _proportions(
        direction="vectors[:, b] - vectors[:, a] + vectors[:, c]"
    ),
    "only the given words normalised": _proportions(candidates="vectors"),
    "rows normalised": _proportions(
        before="unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)"
    ),
    "one length for all": _proportions(before="unit = vectors / np.linalg.norm(vectors)"),
    "given words may answer": _proportions(masked="pass"),
    "only c left out": _proportions(masked="scores[c[q], q] = -np.inf"),
    "only b and c left out": _proportions(masked="scores[[b[q], c[q]], q] = -np.inf"),
    "given words of all questions left out": _proportions(masked="scores[given.ravel()] = -np.inf"),
    "given words set to 0": _proportions(masked="scores[[a[q], b[q], c[q]], q] = 0"),
    "given words set to minus 1": _proportions(masked="scores[[a[q], b[q], c[q]], q] = -1"),
    "signs the wrong way round": _proportions(direction="unit[:, a] - unit[:, b] + unit[:, c]"),
    "c subtracted": _proportions(direction="unit[:, b] - unit[:, a] - unit[:, c]"),
    "c left out of the sum": _proportions(direction="unit[:, b] - unit[:, a]"),
    "least similar": _proportions(
        masked="scores[[a[q], b[q], c[q]], q] = np.inf", result="scores.argmin(axis=0)"
    ),
    "questions in rows": _proportions(rows="a, b, c = given.reshape(-1, 3).T"),
    "only the first question": _proportions(result="scores.argmax(axis=0)[:1]"),
    "changes its input": _proportions(
        before="vectors /= np.linalg.norm(vectors, axis=0); unit = vectors"
    ),
    "closest by distance": """
        def analogies(vectors, given):
            a, b, c = given
            direction = vectors[:, b] - vectors[:, a] + vectors[:, c]
            distances = np.linalg.norm(vectors[:, :, None] - direction[:, None, :], axis=0)
            np.put_along_axis(distances, np.asarray(given), np.inf, axis=0)
            return distances.argmin(axis=0)
    """,
}
ALTERNATIVES["q10-analogies"] = {
    "one question after the other": _proportions(),
    "loop": """
        def analogies(vectors, given):
            words = [np.array(v) / np.sqrt(np.dot(v, v)) for v in np.transpose(vectors)]
            answers = []
            for a, b, c in np.transpose(given):
                best, largest = None, -np.inf
                direction = words[b] - words[a] + words[c]
                for number, word in enumerate(words):
                    if number not in (a, b, c) and word @ direction > largest:
                        best, largest = number, word @ direction
                answers.append(best)
            return answers
    """,
    "three sums of cosines": """
        def analogies(vectors, given):
            unit = np.asarray(vectors, dtype=np.float32)
            unit = unit / np.sqrt(np.square(unit).sum(axis=0, keepdims=True))
            cosine = unit.T @ unit
            a, b, c = given
            scores = cosine[b] - cosine[a] + cosine[c]
            scores[np.arange(len(scores)), np.asarray(given)] = -np.inf
            return np.argmax(scores, axis=1)
    """,
    "shortest distance at length 1": """
        def analogies(vectors, given):
            unit = vectors / np.linalg.norm(vectors, axis=0)
            a, b, c = (unit[:, ids] for ids in given)
            direction = b - a + c
            direction = direction / np.linalg.norm(direction, axis=0)
            distances = ((unit[:, :, None] - direction[:, None, :]) ** 2).sum(axis=0)
            distances[given, np.arange(given.shape[1])] = np.inf
            return distances.argmin(axis=0)
    """,
    "torch": """
        import torch


        def analogies(vectors, given):
            unit = torch.nn.functional.normalize(torch.tensor(np.array(vectors)), dim=0)
            ids = torch.tensor(np.array(given), dtype=torch.long)
            a, b, c = (unit[:, row] for row in ids)
            scores = unit.T @ (b - a + c)
            return scores.scatter(0, ids, -torch.inf).argmax(dim=0)
    """,
}


def _ranks(**parts: str) -> str:
    """Spearman's correlation, with one part changed."""
    known = parts.get("known", "~(np.isnan(x) | np.isnan(y))")
    kept = parts.get("kept", "x, y = x[known], y[known]")
    rank = parts.get("rank", "[(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values]")
    undefined = parts.get("undefined", 'float("nan")')
    defined = parts.get("defined", "len(r) > 1 and np.ptp(r) > 0 and np.ptp(s) > 0")
    rho = parts.get("rho", "(r @ s) / np.sqrt((r @ r) * (s @ s))")
    return f"""
        def spearman(x, y):
            x, y = np.array(x, dtype=float), np.array(y, dtype=float)
            known = {known}
            {kept}

            def ranks(values):
                return np.array({rank}, dtype=float)

            r, s = ranks(x), ranks(y)
            if not ({defined}):
                return {undefined}
            n = len(r)
            with np.errstate(all="ignore"):
                r, s = r - r.mean(), s - s.mean()
                return float({rho})
    """


MUTANTS["q11-spearman"] = {
    "ties by place": _ranks(rank="np.argsort(np.argsort(values, kind='stable'))"),
    "argsort only once": _ranks(rank="np.argsort(values, kind='stable')"),
    "ties share the smallest rank": _ranks(rank="[(values < v).sum() + 1 for v in values]"),
    "ties share the largest rank": _ranks(rank="[(values <= v).sum() for v in values]"),
    "ranks without gaps": _ranks(rank="np.unique(values, return_inverse=True)[1] + 1"),
    "correlation of the numbers": _ranks(rank="values"),
    "short formula": _ranks(rho="1 - 6 * ((r - s) ** 2).sum() / (n * (n**2 - 1))"),
    "zero where not defined": _ranks(undefined="0.0"),
    "one where not defined": _ranks(undefined="1.0"),
    "raises where not defined": _ranks(undefined="1 / 0"),
    "fewer than three not defined": _ranks(
        defined="len(r) > 2 and np.ptp(r) > 0 and np.ptp(s) > 0"
    ),
    "only x looked at": _ranks(known="~np.isnan(x)"),
    "only y looked at": _ranks(known="~np.isnan(y)"),
    "nan taken for 0": _ranks(kept="x, y = np.nan_to_num(x), np.nan_to_num(y)"),
    "nan not thought of": _ranks(kept="pass"),
    "each side leaves out its own": _ranks(
        kept="x, y = x[~np.isnan(x)], y[~np.isnan(y)]; m = min(len(x), len(y)); x, y = x[:m], y[:m]"
    ),
    "left out after ranking": _ranks(
        kept="pass",
        defined="True",
        rho="np.nan if known.sum() < 2 else np.corrcoef(r[known], s[known])[0, 1]",
    ),
    "values rounded first": _ranks(kept="x, y = x[known].round(2), y[known].round(2)"),
    "sign thrown away": _ranks(rho="abs(r @ s) / np.sqrt((r @ r) * (s @ s))"),
    "squared": _ranks(rho="(r @ s) ** 2 / ((r @ r) * (s @ s))"),
    "changes its input": """
        def spearman(x, y):
            def ranks(values):
                wanted = values.copy()
                values.sort()
                low = np.searchsorted(values, wanted, "left")
                return (low + np.searchsorted(values, wanted, "right") + 1) / 2

            if np.isnan(x).any() or np.isnan(y).any():
                known = ~(np.isnan(x) | np.isnan(y))
                x, y = x[known], y[known]
            r, s = ranks(x), ranks(y)
            if len(r) < 2 or np.ptp(r) == 0 or np.ptp(s) == 0:
                return float("nan")
            return float(np.corrcoef(r, s)[0, 1])
    """,
}
ALTERNATIVES["q11-spearman"] = {
    "ranks by comparison": _ranks(),
    "runs of equal values": """
        import math


        def spearman(x, y):
            pairs = [
                (float(a), float(b)) for a, b in zip(x, y) if not (math.isnan(a) or math.isnan(b))
            ]

            def ranks(values):
                order = sorted(range(len(values)), key=values.__getitem__)
                result = [0.0] * len(values)
                start = 0
                while start < len(order):
                    end = start
                    while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
                        end += 1
                    for i in order[start : end + 1]:
                        result[i] = (start + end) / 2 + 1
                    start = end + 1
                return result

            r, s = ranks([a for a, _ in pairs]), ranks([b for _, b in pairs])
            mean = (len(pairs) + 1) / 2
            products = sum((a - mean) * (b - mean) for a, b in zip(r, s))
            spread = sum((a - mean) ** 2 for a in r) * sum((b - mean) ** 2 for b in s)
            return products / math.sqrt(spread) if spread > 0 else math.nan
    """,
    "two searches": """
        def spearman(x, y):
            both = np.stack([np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)])
            both = both[:, np.isfinite(both).all(axis=0)]
            ranks = []
            for values in both:
                ordered = np.sort(values)
                below = np.searchsorted(ordered, values, "left")
                ranks.append(below + np.searchsorted(ordered, values, "right"))
            if both.shape[1] < 2 or min(np.ptp(ranks[0]), np.ptp(ranks[1])) == 0:
                return np.float32("nan")
            return np.float32(np.corrcoef(*ranks)[0, 1])
    """,
    "torch": """
        import torch


        def spearman(x, y):
            x = torch.tensor(np.array(x), dtype=torch.float64)
            y = torch.tensor(np.array(y), dtype=torch.float64)
            known = ~(x.isnan() | y.isnan())
            ranks = []
            for values in (x[known], y[known]):
                sign = torch.sign(values[:, None] - values[None, :])
                ranks.append(sign.sum(dim=1))
            r, s = ranks
            return (r @ s) / torch.sqrt((r @ r) * (s @ s))
    """,
}
