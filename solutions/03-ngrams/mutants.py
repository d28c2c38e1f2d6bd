"""Known answers to the questions of 03-ngrams: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _counts(**parts: str) -> str:
    """N-grams of padded sentences, with one part changed."""
    sentences = parts.get("sentences", "sentences")
    before = parts.get("before", '["<s>"] * (n - 1)')
    after = parts.get("after", '["</s>"]')
    starts = parts.get("starts", "range(len(tokens) - n + 1)")
    ngram = parts.get("ngram", "tuple(tokens[i : i + n])")
    count = parts.get("count", "counts.get(ngram, 0) + 1")
    return f"""
        def ngram_counts(sentences, n):
            counts = {{}}
            for words in {sentences}:
                tokens = {before} + list(words) + {after}
                for i in {starts}:
                    ngram = {ngram}
                    counts[ngram] = {count}
            return counts
    """


MUTANTS["q01-ngram-counts"] = {
    "STOP forgotten": _counts(after="[]"),
    "as many STOPs as STARTs": _counts(after='["</s>"] * max(n - 1, 1)'),
    "no padding before": _counts(before="[]"),
    "one START too many": _counts(before='["<s>"] * n'),
    "one START whatever the order": _counts(before='["<s>"]'),
    "START counted as a unigram": _counts(before='["<s>"] * max(n - 1, 1)'),
    "last window missing": _counts(starts="range(len(tokens) - n)"),
    "empty sentences skipped": _counts(sentences="[words for words in sentences if words]"),
    "windows cross sentences": _counts(
        sentences='[[t for words in sentences for t in [*words, "</s>"]][:-1]]'
    ),
    "different ngrams alone": _counts(count="1"),
    "strings glued together": _counts(ngram='" ".join(tokens[i : i + n])'),
    "unigrams are strings": _counts(ngram="tuple(tokens[i : i + n]) if n > 1 else tokens[i]"),
    "capital letters made small": _counts(ngram="tuple(t.lower() for t in tokens[i : i + n])"),
    "sentences once each": _counts(sentences="sorted(set(map(tuple, sentences)))"),
    "changes the sentences": """
        def ngram_counts(sentences, n):
            counts = {}
            for words in sentences:
                words[:0] = ["<s>"] * (n - 1)
                words += ["</s>"]
                for i in range(len(words) - n + 1):
                    ngram = tuple(words[i : i + n])
                    counts[ngram] = counts.get(ngram, 0) + 1
            return counts
    """,
}
ALTERNATIVES["q01-ngram-counts"] = {
    "counter and zip": """
        from collections import Counter


        def ngram_counts(sentences, n):
            counts = Counter()
            for words in sentences:
                tokens = (n - 1) * ["<s>"] + [*words, "</s>"]
                counts.update(zip(*(tokens[i:] for i in range(n))))
            return counts
    """,
    "a history that moves on": """
        from collections import defaultdict


        def ngram_counts(sentences, n):
            counts = defaultdict(int)
            for words in sentences:
                history = ("<s>",) * (n - 1)
                for word in (*words, "</s>"):
                    counts[(*history, word)] += 1
                    history = (*history, word)[1:]
            return dict(counts)
    """,
    "numpy windows": """
        def ngram_counts(sentences, n):
            windows = []
            for words in sentences:
                tokens = np.array(["<s>"] * (n - 1) + words + ["</s>"], dtype=object)
                windows += list(np.lib.stride_tricks.sliding_window_view(tokens, n))
            counts = {}
            for window in map(tuple, windows):
                counts[window] = counts.setdefault(window, np.int64(0)) + 1
            return counts
    """,
}


def _likelihood(**parts: str) -> str:
    """Counts divided by totals, with one part changed."""
    key = parts.get("key", "ngram[:-1]")
    asked = parts.get("asked", "context")
    total = parts.get("total", f"sum(count for ngram, count in counts.items() if {key} == {asked})")
    share = parts.get("share", "counts.get((*context, word), 0) / total")
    unseen = parts.get("unseen", "1 / len(words)")
    result = parts.get("result", "q")
    return f"""
        def maximum_likelihood(counts, contexts, words):
            q = np.zeros((len(words), len(contexts)))
            for column, context in enumerate(contexts):
                total = {total}
                for row, word in enumerate(words):
                    q[row, column] = {share} if total else {unseen}
            return {result}
    """


MUTANTS["q02-maximum-likelihood"] = {
    "divided by the count of the next word": """
        def maximum_likelihood(counts, contexts, words):
            totals = {}
            for ngram, count in counts.items():
                totals[ngram[-1]] = totals.get(ngram[-1], 0) + count
            known = {ngram[:-1] for ngram in counts}
            q = np.full((len(words), len(contexts)), 1 / len(words))
            for column, context in enumerate(contexts):
                if context in known:
                    q[:, column] = [
                        counts.get((*context, w), 0) / max(totals.get(w, 0), 1) for w in words
                    ]
            return q
    """,
    "divided by all ngrams": _likelihood(
        share="counts.get((*context, word), 0) / everything"
    ).replace(
        "            q = np.zeros",
        "            everything = sum(counts.values())\n            q = np.zeros",
    ),
    "unseen context has zeros": _likelihood(unseen="0"),
    "unseen context has nan": _likelihood(unseen="np.nan"),
    "add one": _likelihood(share="(counts.get((*context, word), 0) + 1) / (total + len(words))"),
    "uniform over what was not seen": _likelihood(
        share="counts.get((*context, word), 0) / total or 1 / len(words)"
    ),
    "first word of the context alone": _likelihood(key="ngram[:-1][:1]", asked="context[:1]"),
    "last word of the context alone": _likelihood(key="ngram[:-1][-1:]", asked="context[-1:]"),
    "transposed": _likelihood(result="q.T"),
    "followers counted, not their tokens": _likelihood(
        total="sum(1 for ngram in counts if ngram[:-1] == context)"
    ),
    "in the order of the alphabet": _likelihood(result="q[np.argsort(words)]"),
    "changes the counts": """
        def maximum_likelihood(counts, contexts, words):
            q = np.zeros((len(words), len(contexts)))
            for column, context in enumerate(contexts):
                for row, word in enumerate(words):
                    q[row, column] = counts.setdefault((*context, word), 0)
            sums = q.sum(axis=0)
            return np.where(sums > 0, q / np.where(sums > 0, sums, 1), 1 / len(words))
    """,
}
ALTERNATIVES["q02-maximum-likelihood"] = {
    "dictionary of dictionaries": """
        from collections import defaultdict


        def maximum_likelihood(counts, contexts, words):
            followers = defaultdict(dict)
            for (*context, word), count in counts.items():
                followers[tuple(context)][word] = count
            q = np.empty((len(words), len(contexts)))
            for column, context in enumerate(contexts):
                seen = followers.get(tuple(context))
                if seen is None:
                    q[:, column] = 1 / len(words)
                else:
                    q[:, column] = [seen.get(word, 0) for word in words]
                    q[:, column] /= sum(seen.values())
            return q
    """,
    "numpy": """
        def maximum_likelihood(counts, contexts, words):
            table = np.array(
                [[counts.get((*context, word), 0) for context in contexts] for word in words]
            ).reshape(len(words), len(contexts))
            with np.errstate(all="ignore"):
                q = table / table.sum(axis=0)
            return np.nan_to_num(q, nan=1 / len(words))
    """,
    "float32": _likelihood(result="q.astype(np.float32)"),
}


def _sentence(**parts: str) -> str:
    """Sum of logarithms over the n-grams of a sentence, with one part changed."""
    before = parts.get("before", '["<s>"] * (n - 1)')
    after = parts.get("after", '["</s>"]')
    first = parts.get("first", "0")
    lookup = parts.get("lookup", "q.get(ngram, 0)")
    log = parts.get("log", "np.log")
    impossible = parts.get("impossible", "return -np.inf")
    total = parts.get("total", "total")
    return f"""
        import math


        def log_probability(sentence, q, n):
            tokens = {before} + list(sentence) + {after}
            total = 0.0
            for i in range({first}, len(tokens) - n + 1):
                ngram = tuple(tokens[i : i + n])
                p = {lookup}
                if p == 0:
                    {impossible}
                total += {log}(p)
            return {total}
    """


MUTANTS["q03-sentence-probability"] = {
    "STOP forgotten": _sentence(after="[]"),
    "no padding": _sentence(before="[]"),
    "no padding at either end": _sentence(before="[]", after="[]"),
    "one START for any order": _sentence(before='["<s>"]'),
    "START predicted": _sentence(before='["<s>"] * n'),
    "one START less": _sentence(before='["<s>"] * max(n - 2, 0)'),
    "first word skipped": _sentence(first="1"),
    "log of base 2": _sentence(log="np.log2"),
    "the probability itself": _sentence(total="math.exp(total)"),
    "minus the logarithm": _sentence(total="-total"),
    "unseen ngrams skipped": _sentence(impossible="continue"),
    "unseen ngrams get a small number": _sentence(lookup="q.get(ngram, 0) or 1e-12"),
    "unseen ngrams raise": _sentence(lookup="q[ngram]"),
    "log of 0 raises": _sentence(impossible="pass", log="math.log"),
    "mean over the tokens": _sentence(total="total / (len(sentence) + 1)"),
    "product first": """
        def log_probability(sentence, q, n):
            tokens = ["<s>"] * (n - 1) + list(sentence) + ["</s>"]
            product = 1.0
            for i in range(len(tokens) - n + 1):
                product *= q.get(tuple(tokens[i : i + n]), 0.0)
            return float(np.log(product)) if product > 0 else -np.inf
    """,
    "changes the sentence": """
        def log_probability(sentence, q, n):
            sentence += ["</s>"]
            tokens = ["<s>"] * (n - 1) + sentence
            total = 0.0
            for i in range(len(tokens) - n + 1):
                p = q.get(tuple(tokens[i : i + n]), 0.0)
                total += np.log(p) if p > 0 else -np.inf
            return total
    """,
}
ALTERNATIVES["q03-sentence-probability"] = {
    "numpy": """
        def log_probability(sentence, q, n):
            tokens = ["<s>"] * (n - 1) + sentence + ["</s>"]
            grams = zip(*(tokens[i:] for i in range(n)))
            with np.errstate(divide="ignore"):
                return np.log([q.get(gram, 0.0) for gram in grams]).sum()
    """,
    "a history that moves on": """
        import math


        def log_probability(sentence, q, n):
            history, logs = ("<s>",) * (n - 1), []
            for word in [*sentence, "</s>"]:
                ngram = (*history, word)
                if not q.get(ngram):
                    return -math.inf
                logs.append(math.log(q[ngram]))
                history = ngram[1:]
            return math.fsum(logs)
    """,
    "bits, then nats": _sentence(log="np.log2", total="total * np.log(2)"),
}


def _perplexity(**parts: str) -> str:
    """Perplexity with a loop over the sentences, with one part changed."""
    taken = parts.get("taken", "row[: n + 1]")
    tokens = parts.get("tokens", "n + 1")
    log = parts.get("log", "score / np.log(2)")
    value = parts.get("value", "2.0 ** (-total / count)")
    return f"""
        def perplexity(log_probabilities, lengths):
            total, count = 0.0, 0
            for row, n in zip(log_probabilities, lengths):
                for score in {taken}:
                    total += {log}
                count += {tokens}
            return {value}
    """


MUTANTS["q04-perplexity"] = {
    "nats with base 2": _perplexity(log="score"),
    "bits with base e": _perplexity(value="np.exp(-total / count)"),
    "STOP neither scored nor counted": _perplexity(taken="row[:n]", tokens="n"),
    "STOP not counted": _perplexity(tokens="n"),
    "STOP not scored": _perplexity(taken="row[:n]"),
    "divided by sentences": _perplexity(tokens="1"),
    "padding counted": _perplexity(taken="row", tokens="len(row)"),
    "padding multiplied by 0": """
        def perplexity(log_probabilities, lengths):
            log_probabilities = np.asarray(log_probabilities)
            is_token = np.arange(log_probabilities.shape[1]) <= np.asarray(lengths)[:, None]
            mean = (log_probabilities * is_token).sum() / is_token.sum()
            return float(np.exp(-mean))
    """,
    "minus sign forgotten": _perplexity(value="2.0 ** (total / count)"),
    "the exponent alone": _perplexity(value="-total / count"),
    "mean of sentences": """
        def perplexity(log_probabilities, lengths):
            values = []
            for row, n in zip(log_probabilities, lengths):
                values.append(np.exp(-np.mean(row[: n + 1])))
            return float(np.mean(values))
    """,
    "mean of the sentences' means": """
        def perplexity(log_probabilities, lengths):
            means = [np.mean(row[: n + 1]) for row, n in zip(log_probabilities, lengths)]
            return float(np.exp(-np.mean(means)))
    """,
    "product of all probabilities": """
        def perplexity(log_probabilities, lengths):
            product, count = 1.0, 0
            for row, n in zip(log_probabilities, lengths):
                product *= np.prod(np.exp(row[: n + 1]))
                count += n + 1
            return float(np.float64(product) ** (-1 / count))
    """,
    "zeros left out": """
        def perplexity(log_probabilities, lengths):
            scores = [s for row, n in zip(log_probabilities, lengths) for s in row[: n + 1]]
            return float(np.exp(-np.mean([s for s in scores if np.isfinite(s)])))
    """,
    "changes the logarithms": """
        def perplexity(log_probabilities, lengths):
            log_probabilities /= np.log(2)
            total = sum(row[: n + 1].sum() for row, n in zip(log_probabilities, lengths))
            return float(2.0 ** (-total / (len(lengths) + lengths.sum())))
    """,
}
ALTERNATIVES["q04-perplexity"] = {
    "loop": _perplexity(),
    "numpy in nats": """
        def perplexity(log_probabilities, lengths):
            log_probabilities = np.asarray(log_probabilities, dtype=np.float64)
            lengths = np.asarray(lengths)
            places = np.arange(log_probabilities.shape[1])[None, :]
            kept = np.where(places <= lengths[:, None], log_probabilities, 0.0)
            return np.exp(-kept.sum() / (lengths + 1).sum())
    """,
    "concatenated": """
        def perplexity(log_probabilities, lengths):
            tokens = [row[: n + 1] for row, n in zip(log_probabilities, lengths)]
            bits = np.concatenate(tokens).astype(np.float64) * np.log2(np.e)
            return float(2.0 ** -bits.mean())
    """,
}


def _unknown(**parts: str) -> str:
    """Words counted and replaced, with one part changed."""
    counted = parts.get("counted", "train")
    word = parts.get("word", "word")
    condition = parts.get("condition", "n >= min_count")
    vocabulary = parts.get("vocabulary", 'kept | {"<unk>", "</s>"}')
    new_train = parts.get("new_train", "[[known(w) for w in words] for words in train]")
    new_test = parts.get("new_test", "[[known(w) for w in words] for words in test]")
    known = parts.get("known", 'w if w in kept else "<unk>"')
    return f"""
        from collections import Counter


        def replace_rare(train, test, min_count):
            counts = Counter({word} for words in {counted} for word in words)
            kept = {{word for word, n in counts.items() if {condition}}}

            def known(w):
                return {known}

            return {{
                "vocabulary": {vocabulary},
                "train": {new_train},
                "test": {new_test},
            }}
    """


MUTANTS["q05-unknown-words"] = {
    "more than min_count": _unknown(condition="n > min_count"),
    "counts of both texts": _unknown(counted="train + test"),
    "words of the test text are known": _unknown(
        vocabulary='kept | {"<unk>", "</s>"} | {w for words in test for w in words}',
        new_test="[list(words) for words in test]",
    ),
    "unknown counted in the test text": _unknown(
        new_test='[[w if w in kept or sum(v.count(w) for v in test) >= min_count else "<unk>" '
        "for w in words] for words in test]"
    ),
    "STOP not in the vocabulary": _unknown(vocabulary='kept | {"<unk>"}'),
    "START in the vocabulary": _unknown(vocabulary='kept | {"<unk>", "<s>", "</s>"}'),
    "UNK not in the vocabulary": _unknown(vocabulary='kept | {"</s>"}'),
    "UNK only where a word is rare": _unknown(
        vocabulary='{known(w) for words in train for w in words} | {"</s>"}'
    ),
    "training text as it was": _unknown(new_train="[list(words) for words in train]"),
    "unknown words left out": _unknown(
        new_test="[[w for w in words if w in kept] for words in test]"
    ),
    "rare words left out": _unknown(
        new_train="[[w for w in words if w in kept] for words in train]"
    ),
    "empty sentences left out": _unknown(
        new_test="[[known(w) for w in words] for words in test if words]"
    ),
    "sentences counted": _unknown(counted="map(set, train)"),
    "capital letters made small": _unknown(
        word="word.lower()", known='w if w.lower() in kept else "<unk>"'
    ),
    "rare words in the vocabulary": _unknown(vocabulary='set(counts) | {"<unk>", "</s>"}'),
    "changes the texts": """
        def replace_rare(train, test, min_count):
            every = [word for words in train for word in words]
            kept = {word for word in every if every.count(word) >= min_count}
            for words in train + test:
                words[:] = [word if word in kept else "<unk>" for word in words]
            return {"vocabulary": kept | {"<unk>", "</s>"}, "train": train, "test": test}
    """,
}
ALTERNATIVES["q05-unknown-words"] = {
    "counter": _unknown(),
    "numpy": """
        def replace_rare(train, test, min_count):
            every = [word for words in train for word in words]
            words, counts = np.unique(np.array(every, dtype=object), return_counts=True)
            kept = set(words[counts >= min_count].tolist())
            mapped = [
                [[w if w in kept else "<unk>" for w in words] for words in text]
                for text in (train, test)
            ]
            return {
                "vocabulary": frozenset(kept).union(["<unk>", "</s>"]),
                "train": mapped[0],
                "test": mapped[1],
            }
    """,
    "tuples": """
        def replace_rare(train, test, min_count):
            counts = {}
            for words in train:
                for word in words:
                    counts[word] = counts.setdefault(word, 0) + 1
            table = {word: word for word in counts if counts[word] >= min_count}

            def replaced(text):
                return tuple(tuple(table.get(word, "<unk>") for word in words) for words in text)

            vocabulary = {"</s>", "<unk>", *table}
            return dict(vocabulary=vocabulary, train=replaced(train), test=replaced(test))
    """,
}


def _lengths(**parts: str) -> str:
    """Masses by length, with one part changed."""
    start = parts.get("start", "q[:-1, -1]")
    between = parts.get("between", "q[:-1, :-1]")
    stop = parts.get("stop", "q[-1, :-1]")
    first = parts.get("first", "[q[-1, -1]]")
    times = parts.get("times", "longest")
    mass = parts.get("mass", "stop @ at")
    result = parts.get("result", "np.array(masses)")
    return f"""
        def length_distribution(q, longest):
            q = np.array(q, dtype=float)
            between, stop, at = {between}, {stop}, {start}
            masses = {first}
            for _ in range({times}):
                masses.append({mass})
                at = between @ at
            return {result}
    """


MUTANTS["q06-sentence-lengths"] = {
    "step from word to word transposed": _lengths(between="q[:-1, :-1].T"),
    "goes on after STOP": """
        def length_distribution(q, longest):
            masses, at = [], np.zeros(len(q))
            at[-1] = 1.0
            for _ in range(longest + 1):
                at = q @ at
                masses.append(at[-1])
            return np.array(masses)
    """,
    "powers of the whole table": """
        def length_distribution(q, longest):
            power = np.linalg.matrix_power
            return np.array([power(q, length + 1)[-1, -1] for length in range(longest + 1)])
    """,
    "length counts STOP": _lengths(
        first="[0.0, q[-1, -1]]", result="np.array(masses)[: longest + 1]"
    ),
    "at most so many words": _lengths(result="np.cumsum(masses)"),
    "at least so many words": _lengths(first="[1.0]", mass="at.sum()"),
    "at least, but for the empty sentence": _lengths(mass="at.sum()"),
    "longest left out": _lengths(times="longest - 1"),
    "empty sentence left out": _lengths(first="[]", times="longest + 1"),
    "made to sum to 1": _lengths(result="np.array(masses) / sum(masses)"),
    "starts at every word alike": _lengths(
        start="np.full(len(q) - 1, (1 - q[-1, -1]) / (len(q) - 1))"
    ),
    "STOP's row as the start": _lengths(start="q[-1, :-1]"),
    "START's column as the end": _lengths(stop="q[:-1, -1]"),
    "changes the table": """
        def length_distribution(q, longest):
            masses, at = [q[-1, -1]], q[:, -1].copy()
            q[:, -1] = 0
            at[-1] = 0
            for _ in range(longest):
                at = q @ at
                masses.append(at[-1])
                at[-1] = 0
            return np.array(masses)
    """,
}
ALTERNATIVES["q06-sentence-lengths"] = {
    "matrix powers": """
        def length_distribution(q, longest):
            q = np.array(q, dtype=float)
            masses = [q[-1, -1]]
            for length in range(1, longest + 1):
                power = np.linalg.matrix_power(q[:-1, :-1], length - 1)
                masses.append(q[-1, :-1] @ power @ q[:-1, -1])
            return np.array(masses)
    """,
    "backwards from STOP": """
        def length_distribution(q, longest):
            q = np.asarray(q, dtype=float)
            masses, ends = [q[-1, -1]], q[-1, :-1]
            for _ in range(longest):
                masses.append(ends @ q[:-1, -1])
                ends = ends @ q[:-1, :-1]
            return masses
    """,
    "loops": """
        def length_distribution(q, longest):
            words = len(q) - 1
            masses, at = [float(q[words][words])], [float(q[w][words]) for w in range(words)]
            for _ in range(longest):
                masses.append(sum(float(q[words][u]) * at[u] for u in range(words)))
                at = [sum(float(q[w][u]) * at[u] for u in range(words)) for w in range(words)]
            return np.array(masses)
    """,
    "one table in which STOP leads nowhere": """
        def length_distribution(q, longest):
            step = np.array(q, dtype=float)
            at, step[:, -1] = step[:, -1].copy(), 0
            masses = []
            for _ in range(longest + 1):
                masses.append(at[-1])
                at = step @ at
            return np.array(masses)
    """,
}


def _mixture(**parts: str) -> str:
    """A mixture column by column, with one part changed."""
    weights = parts.get("weights", "np.where(seen[:, column], weights, 0.0)")
    if_none = parts.get("if_none", "used[-1] = 1.0")
    divide = parts.get("divide", "used = used / used.sum()")
    table = parts.get("table", "np.nan_to_num(distributions[:, :, column])")
    return f"""
        def interpolate(distributions, seen, weights):
            distributions = np.array(distributions, dtype=float)
            weights, seen = np.asarray(weights, dtype=float), np.asarray(seen)
            n, words, contexts = distributions.shape
            result = np.zeros((words, contexts))
            for column in range(contexts):
                used = {weights}
                if used.sum() == 0:
                    {if_none}
                {divide}
                result[:, column] = used @ {table}
            return result
    """


MUTANTS["q07-interpolation"] = {
    "weights reversed": _mixture(weights="np.where(seen[:, column], weights[::-1], 0.0)"),
    "nothing divided": _mixture(divide="pass"),
    "nan times 0": _mixture(table="distributions[:, :, column]"),
    "the unigram gets what is left": _mixture(divide="used[-1] += 1 - used.sum()"),
    "zeros where no weight is left": _mixture(if_none="continue"),
    "nan where no weight is left": _mixture(if_none="pass"),
    "all orders alike where no weight is left": _mixture(
        if_none="used = np.where(seen[:, column], 1.0, 0.0)"
    ),
    "weights given back as they are": _mixture(weights="weights.copy()"),
    "longest seen order alone": """
        def interpolate(distributions, seen, weights):
            distributions = np.asarray(distributions, dtype=float)
            result = np.einsum("k,kvb->vb", weights, np.nan_to_num(distributions))
            for column in range(result.shape[1]):
                if not seen[0, column]:
                    result[:, column] = distributions[seen[:, column].argmax(), :, column]
            return result
    """,
    "transposed": """
        def interpolate(distributions, seen, weights):
            used = np.where(seen, np.asarray(weights)[:, None], 0.0)
            used[-1, used.sum(axis=0) == 0] = 1.0
            used = used / used.sum(axis=0)
            return np.einsum("kb,kvb->bv", used, np.nan_to_num(distributions))
    """,
    "divided along the wrong axis": """
        def interpolate(distributions, seen, weights):
            used = np.where(seen, np.asarray(weights, dtype=float)[:, None], 0.0)
            used[-1, used.sum(axis=0) == 0] = 1.0
            used = used / used.sum(axis=1, keepdims=True)
            return np.einsum("kb,kvb->vb", used, np.nan_to_num(distributions))
    """,
    "changes the distributions": """
        def interpolate(distributions, seen, weights):
            used = np.where(seen, np.asarray(weights, dtype=float)[:, None], 0.0)
            used[-1, used.sum(axis=0) == 0] = 1.0
            used = used / used.sum(axis=0)
            distributions[np.isnan(distributions)] = 0
            return (used[:, None] * distributions).sum(axis=0)
    """,
}
ALTERNATIVES["q07-interpolation"] = {
    "column by column": _mixture(),
    "divided at the end": """
        def interpolate(distributions, seen, weights):
            result = np.zeros(np.shape(distributions)[1:])
            total = np.zeros(result.shape[1])
            for distribution, known, weight in zip(distributions, seen, weights):
                result[:, known] += float(weight) * distribution[:, known]
                total[known] += float(weight)
            alone = total == 0
            result[:, alone] = distributions[-1][:, alone]
            total[alone] = 1.0
            return result / total
    """,
    "its own sums": """
        def interpolate(distributions, seen, weights):
            with np.errstate(all="ignore"):
                mixture = np.nansum(np.asarray(weights)[:, None, None] * distributions, axis=0)
                mixture = mixture / mixture.sum(axis=0)
            return np.where(np.isnan(mixture), distributions[-1], mixture)
    """,
}


def _buckets(**parts: str) -> str:
    """Weights looked up and divided, with one part changed."""
    bucket = parts.get("bucket", "np.searchsorted(edges, counts[0], side='left')")
    lookup = parts.get("lookup", "np.array(table, dtype=float)[:, bucket]")
    zero = parts.get("zero", "weights[:-1][counts == 0] = 0")
    last = parts.get("last", "weights[-1, total == 0] = 1")
    divided = parts.get("divided", "weights / np.where(total > 0, total, 1)")
    return f"""
        def context_weights(counts, table, edges):
            counts = np.asarray(counts)
            bucket = {bucket}
            weights = {lookup}
            {zero}
            total = weights.sum(axis=0)
            {last}
            return {divided}
    """


MUTANTS["q08-buckets"] = {
    "an edge belongs above": _buckets(bucket="np.searchsorted(edges, counts[0], side='right')"),
    "bucket of the shortest context": _buckets(bucket="np.searchsorted(edges, counts[-1])"),
    "unseen orders keep their weight": _buckets(zero="pass"),
    "only the longest order loses its weight": _buckets(zero="weights[0, counts[0] == 0] = 0"),
    "the trigram's count decides for all": _buckets(zero="weights[:-1, counts[0] == 0] = 0"),
    "nothing divided": _buckets(divided="weights"),
    "nothing is left": _buckets(last="pass"),
    "nan where nothing is left": _buckets(last="pass", divided="weights / total"),
    "buckets are rows": _buckets(lookup="np.array(table, dtype=float)[bucket].T"),
    "orders reversed": _buckets(lookup="np.array(table, dtype=float)[::-1, bucket]"),
    "edges always 0 and 10": _buckets(
        bucket="np.minimum(np.searchsorted([0, 10], counts[0]), np.shape(table)[1] - 1)"
    ),
    "the unigram gets what is left": _buckets(last="weights[-1] += 1 - total", divided="weights"),
    "transposed": _buckets(divided="(weights / np.where(total > 0, total, 1)).T"),
    "divided by the rows' sums": _buckets(divided="weights / weights.sum(axis=1, keepdims=True)"),
    "changes the table": """
        def context_weights(counts, table, edges):
            bucket = np.searchsorted(edges, counts[0])
            table /= table.sum(axis=0)
            result = table[:, bucket]
            result[:-1][counts == 0] = 0
            table[:-1, 0] = 0
            total = result.sum(axis=0)
            result[-1, total == 0] = 1
            return result / np.where(total > 0, total, 1)
    """,
}
ALTERNATIVES["q08-buckets"] = {
    "loops": """
        def context_weights(counts, table, edges):
            n, contexts = len(table), np.shape(counts)[1]
            result = np.zeros((n, contexts))
            for b in range(contexts):
                j = 0
                while j < len(edges) and counts[0][b] > edges[j]:
                    j += 1
                for k in range(n):
                    if k == n - 1 or counts[k][b] > 0:
                        result[k, b] = table[k][j]
                if result[:, b].sum() == 0:
                    result[n - 1, b] = 1.0
                result[:, b] /= result[:, b].sum()
            return result
    """,
    "comparisons": """
        def context_weights(counts, table, edges):
            edges = np.array(edges, dtype=float).reshape(-1, 1)
            bucket = (counts[0] > edges).sum(axis=0)
            seen = np.vstack([counts > 0, np.ones((1, counts.shape[1]), dtype=bool)])
            weights = np.where(seen, np.take(table, bucket, axis=1), 0.0)
            total = weights.sum(axis=0)
            only = np.zeros_like(weights)
            only[-1] = 1
            with np.errstate(all="ignore"):
                return np.where(total > 0, weights / total, only)
    """,
}


def _em(**parts: str) -> str:
    """The steps of EM, with one part changed."""
    joint = parts.get("joint", "weights[:, None] * probabilities")
    share = parts.get("share", "joint / joint.sum(axis=0)")
    new = parts.get("new", "share.mean(axis=1)")
    level = parts.get("level", "np.log(weights @ probabilities).mean()")
    result = parts.get("result", "weights")
    levels = parts.get("levels", "levels")
    return f"""
        def em(probabilities, weights, steps):
            probabilities = np.array(probabilities, dtype=float)
            weights = given = np.array(weights, dtype=float)
            levels = [{level}]
            for _ in range(steps):
                joint = {joint}
                share = {share}
                weights = {new}
                levels.append({level})
            return {{"weights": {result}, "log_likelihoods": np.array({levels})}}
    """


MUTANTS["q09-em"] = {
    "sum for the mean": _em(new="share.sum(axis=1)"),
    "weights missing in the shares": _em(joint="probabilities"),
    "shares over all tokens": _em(share="joint / joint.sum()", new="share.sum(axis=1)"),
    "shares along the tokens": _em(share="joint / joint.sum(axis=1, keepdims=True)"),
    "each token to one order": _em(share="np.eye(len(weights))[joint.argmax(axis=0)].T"),
    "likelihood in bits": _em(level="np.log2(weights @ probabilities).mean()"),
    "likelihood of the sum": _em(level="np.log(weights @ probabilities).sum()"),
    "logarithm of the mean": _em(level="np.log((weights @ probabilities).mean())"),
    "perplexity's sign": _em(level="-np.log(weights @ probabilities).mean()"),
    "likelihood of the first weights": _em(level="np.log(given @ probabilities).mean()"),
    "likelihood before the steps missing": _em(levels="levels[1:]"),
    "likelihoods after the steps twice": _em(levels="(levels[1:] or levels)[:1] + levels[1:]"),
    "weights as given": _em(result="given"),
    "one step, however many": _em(new="share.mean(axis=1) if len(levels) == 1 else weights"),
    "mean of logarithms for the mixture": _em(
        level="(weights @ np.log(probabilities + 1e-300)).mean()"
    ),
    "changes the weights": """
        def em(probabilities, weights, steps):
            levels = [np.log(weights @ probabilities).mean()]
            for _ in range(steps):
                weights *= (probabilities / (weights @ probabilities)).mean(axis=1)
                levels.append(np.log(weights @ probabilities).mean())
            return {"weights": weights, "log_likelihoods": np.array(levels)}
    """,
}
ALTERNATIVES["q09-em"] = {
    "loops": """
        import math


        def em(probabilities, weights, steps):
            weights, columns = [float(w) for w in weights], np.asarray(probabilities).T.tolist()
            orders, levels = range(len(weights)), []
            for step in range(steps + 1):
                sums, level = [0.0] * len(weights), 0.0
                for column in columns:
                    mixture = sum(weights[k] * column[k] for k in orders)
                    level += math.log(mixture)
                    for k in orders:
                        sums[k] += weights[k] * column[k] / mixture
                levels.append(level / len(columns))
                if step < steps:
                    weights = [total / len(columns) for total in sums]
            return {"weights": weights, "log_likelihoods": levels}
    """,
    "weights times slopes": """
        def em(probabilities, weights, steps):
            weights = np.array(weights, dtype=float)
            levels = np.empty(steps + 1)
            for step in range(steps):
                mixture = weights @ probabilities
                levels[step] = np.log(mixture).mean()
                weights = weights * (probabilities / mixture).mean(axis=1)
            levels[steps] = np.log(weights @ probabilities).mean()
            return {"weights": weights, "log_likelihoods": levels}
    """,
    "in logarithms": """
        def em(probabilities, weights, steps):
            with np.errstate(divide="ignore"):
                q = np.log(np.asarray(probabilities, dtype=float))
                weights, levels = np.asarray(weights, dtype=float), []
                for _ in range(steps):
                    joint = np.log(weights)[:, None] + q
                    mixture = np.logaddexp.reduce(joint, axis=0)
                    levels.append(mixture.mean())
                    weights = np.exp(joint - mixture).mean(axis=1)
                mixture = np.logaddexp.reduce(np.log(weights)[:, None] + q, axis=0)
            return {"weights": weights, "log_likelihoods": np.array([*levels, mixture.mean()])}
    """,
}


def _sampling(**parts: str) -> str:
    """Words drawn one after the other, with one part changed."""
    begin = parts.get("begin", "list(prompt)")
    context = parts.get("context", '(["<s>", "<s>"] + text)[-2:]')
    missing = parts.get("missing", "break")
    words = parts.get("words", "sorted(w for w in q[context] if q[context][w] > 0)")
    greedy = parts.get("greedy", "words[int(np.argmax(p))]")
    power = parts.get("power", "(p / p.max()) ** (1 / temperature)")
    divide = parts.get("divide", "p = p / p.sum()")
    drawn = parts.get("drawn", "next((w for w, f in zip(words, np.cumsum(p)) if f > r), words[-1])")
    stop = parts.get("stop", "break")
    result = parts.get("result", "text")
    return f"""
        def generate(q, prompt, uniforms, temperature=1.0):
            text = {begin}
            for r in uniforms:
                context = tuple({context})
                if context not in q:
                    {missing}
                words = {words}
                p = np.array([q[context][w] for w in words], dtype=float)
                if temperature == 0:
                    text.append({greedy})
                else:
                    p = {power}
                    {divide}
                    text.append({drawn})
                if text[-1] == "</s>":
                    {stop}
            return {result}
    """


MUTANTS["q10-sampling"] = {
    "in the order of the dictionary": _sampling(
        words="[w for w in q[context] if q[context][w] > 0]"
    ),
    "most probable first": _sampling(words="sorted(q[context], key=lambda w: -q[context][w])"),
    "sum at least the number": _sampling(
        drawn="next((w for w, f in zip(words, np.cumsum(p)) if f >= r), words[-1])"
    ),
    "power T": _sampling(power="p**temperature"),
    "temperature ignored": _sampling(power="p"),
    "divided by T": _sampling(power="np.maximum(p / temperature, 0)"),
    "softmax of the probabilities": _sampling(power="np.exp((p - p.max()) / temperature)"),
    "not divided by the sum": _sampling(power="p ** (1 / temperature)", divide="pass"),
    "power rounds to 0": _sampling(power="p ** (1 / temperature)"),
    "T = 0 takes the last of equals": _sampling(
        greedy="words[len(p) - 1 - int(np.argmax(p[::-1]))]"
    ),
    "T = 0 in the order of the dictionary": _sampling(greedy="max(q[context], key=q[context].get)"),
    "nothing above the last sum": _sampling(
        drawn="next((w for w, f in zip(words, np.cumsum(p)) if f > r), words[0])"
    ),
    "goes on after STOP": _sampling(stop="continue"),
    "STOP left out": _sampling(stop="return text[:-1]"),
    "prompt left out": _sampling(result="text[len(prompt):]"),
    "first two words as context": _sampling(context='(["<s>", "<s>"] + text)[:2]'),
    "no padding": _sampling(context="text[-2:]"),
    "one START": _sampling(context='(["<s>"] + text)[-2:]'),
    "prompt is the context": _sampling(context="list(prompt[-2:])"),
    "unknown context raises": _sampling(missing="raise KeyError(context)"),
    "one number for all words": _sampling(
        drawn="next((w for w, f in zip(words, np.cumsum(p)) if f > uniforms[0]), words[-1])"
    ),
    "words with probability 0 at low numbers": _sampling(
        words="sorted(q[context])",
        drawn="words[max(int(np.searchsorted(np.cumsum(p), r, side='left')), 0)]",
    ),
    "changes the prompt": _sampling(begin="prompt"),
    "rounding falls back on a word with probability 0": _sampling(
        drawn="next((w for w, f in zip(words, np.cumsum(p)) if f > r), sorted(q[context])[-1])"
    ),
    "T = 0 draws on without numbers": """
        def generate(q, prompt, uniforms, temperature=1.0):
            text, numbers = list(prompt), list(uniforms)
            while numbers if temperature else len(text) < 1000:
                context = tuple(["<s>", "<s>", *text][-2:])
                if context not in q or (text and text[-1] == "</s>"):
                    break
                words = sorted(w for w in q[context] if q[context][w] > 0)
                p = np.array([q[context][w] for w in words], dtype=float)
                if temperature == 0:
                    text.append(words[int(np.argmax(p))])
                    continue
                p = (p / p.max()) ** (1 / temperature)
                p, r = p / p.sum(), numbers.pop(0)
                text.append(next((w for w, f in zip(words, np.cumsum(p)) if f > r), words[-1]))
            return text
    """,
}
ALTERNATIVES["q10-sampling"] = {
    "search": _sampling(
        drawn="words[min(int(np.searchsorted(np.cumsum(p), r, side='right')), len(words) - 1)]"
    ),
    "logarithms": """
        import math


        def generate(q, prompt, uniforms, temperature=1.0):
            text, history = [*prompt], ["<s>", "<s>", *prompt]
            for r in uniforms:
                followers = q.get((history[-2], history[-1]))
                if followers is None:
                    return text
                options = [(w, p) for w, p in sorted(followers.items()) if p > 0]
                best = max(p for _, p in options)
                if temperature == 0:
                    word = next(w for w, p in options if p == best)
                else:
                    powers = [math.exp(math.log(p / best) / temperature) for _, p in options]
                    total, reached = sum(powers), 0.0
                    for (word, _), power in zip(options, powers):
                        reached += power / total
                        if reached > r:
                            break
                text.append(word)
                history.append(word)
                if word == "</s>":
                    return text
            return text
    """,
    "recursion": """
        def generate(q, prompt, uniforms, temperature=1.0):
            context = tuple(["<s>", "<s>", *prompt][-2:])
            if len(uniforms) == 0 or context not in q or (prompt and prompt[-1] == "</s>"):
                return list(prompt)
            words = np.array(sorted(q[context]))
            p = np.array([q[context][str(word)] for word in words])
            words, p = words[p > 0], p[p > 0]
            if temperature == 0:
                word = words[p.argmax()]
            else:
                with np.errstate(under="ignore"):
                    p = np.exp(np.log(p / p.max()) / temperature)
                sums = np.cumsum(p) / p.sum()
                word = words[np.flatnonzero(np.append(sums[:-1], 1.0) > uniforms[0])[0]]
            return generate(q, [*prompt, str(word)], uniforms[1:], temperature)
    """,
}


def _kneser_ney(**parts: str) -> str:
    """Kneser–Ney over a table, with one part changed."""
    types = parts.get("types", "seen.sum(axis=1)")
    of_all = parts.get("of_all", "types.sum()")
    kept = parts.get("kept", "np.maximum(counts - discount, 0)")
    followers = parts.get("followers", "seen.sum(axis=0)")
    total = parts.get("total", "counts.sum(axis=0)")
    lower = parts.get("lower", "continuation[:, None]")
    unseen = parts.get("unseen", "continuation[:, None]")
    result = parts.get("result", "p")
    return f"""
        def kneser_ney(counts, discount):
            counts = np.array(counts, dtype=float)
            seen = counts > 0
            types = {types}
            continuation = types / {of_all}
            total = {total}
            gamma = discount * {followers} / np.where(total > 0, total, 1)
            p = {kept} / np.where(total > 0, total, 1) + gamma * {lower}
            p = np.where(total > 0, p, {unseen})
            return {{"continuation": continuation, "probabilities": {result}}}
    """


MUTANTS["q11-kneser-ney"] = {
    "tokens for types": _kneser_ney(types="counts.sum(axis=1)"),
    "contexts for words": """
        def kneser_ney(counts, discount):
            counts = np.array(counts, dtype=float)
            seen = counts > 0
            continuation = seen.sum(axis=0) / seen.sum()
            total = np.maximum(counts.sum(axis=0), 1)
            p = (np.maximum(counts - discount, 0) + discount * seen.sum(axis=0) / 3) / total
            return {"continuation": continuation, "probabilities": p}
    """,
    "types not divided": _kneser_ney(of_all="1"),
    "types divided by tokens": _kneser_ney(of_all="counts.sum()"),
    "nothing passed on": _kneser_ney(lower="0"),
    "only unseen words get some": _kneser_ney(lower="np.where(seen, 0, continuation[:, None])"),
    "one discount a context": _kneser_ney(followers="1"),
    "followers counted as tokens": _kneser_ney(followers="counts.sum(axis=0)"),
    "counts below 0": _kneser_ney(kept="counts - discount"),
    "not discounted": _kneser_ney(kept="counts"),
    "lower order uniform": _kneser_ney(lower="1 / len(counts)"),
    "lower order by tokens": _kneser_ney(lower="(counts.sum(axis=1) / counts.sum())[:, None]"),
    "unseen context uniform": _kneser_ney(unseen="1 / len(counts)"),
    "unseen context zeros": _kneser_ney(unseen="0"),
    "unseen context nan": _kneser_ney(unseen="np.nan"),
    "add one": _kneser_ney(kept="(counts + 1 - discount)", unseen="continuation[:, None]"),
    "transposed": _kneser_ney(result="p.T"),
    "changes the counts": """
        def kneser_ney(counts, discount):
            seen, total = counts > 0, np.maximum(counts.sum(axis=0), 1)
            continuation = seen.sum(axis=1) / seen.sum()
            passed_on = np.where(counts.any(axis=0), discount * seen.sum(axis=0) / total, 1.0)
            p = np.maximum(counts - discount, 0) / total + passed_on * continuation[:, None]
            counts *= 0
            return {"continuation": continuation, "probabilities": p}
    """,
}
ALTERNATIVES["q11-kneser-ney"] = {
    "the formula": _kneser_ney(),
    "loops": """
        def kneser_ney(counts, discount):
            size, contexts = np.shape(counts)
            before = [sum(counts[w][u] > 0 for u in range(contexts)) for w in range(size)]
            continuation = np.array([number / sum(before) for number in before])
            p = np.zeros((size, contexts))
            for u in range(contexts):
                total = float(sum(counts[w][u] for w in range(size)))
                if total == 0:
                    p[:, u] = continuation
                    continue
                after = sum(counts[w][u] > 0 for w in range(size))
                for w in range(size):
                    kept = max(counts[w][u] - discount, 0) / total
                    p[w, u] = kept + discount * after / total * continuation[w]
            return {"continuation": continuation, "probabilities": p}
    """,
    "what is left to 1": """
        def kneser_ney(counts, discount):
            counts = np.asarray(counts).astype(np.float64)
            continuation = np.count_nonzero(counts, axis=1) / np.count_nonzero(counts)
            with np.errstate(all="ignore"):
                kept = np.nan_to_num(np.clip(counts - discount, 0, None) / counts.sum(axis=0))
            p = kept + np.outer(continuation, 1 - kept.sum(axis=0))
            return {"continuation": continuation, "probabilities": p}
    """,
}
