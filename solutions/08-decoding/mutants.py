"""Known answers to the questions of 08-decoding: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _temperature(**parts: str) -> str:
    """Temperature of q01, with one part changed."""
    part = {
        "check": 'if T < 0 or highest == -np.inf:\n                raise ValueError("no")',
        "scaled": "(logits - highest) / T",
        "weights": "np.exp(scaled)",
        "cold": "1.0 * (logits == highest)",
        "result": "weights / weights.sum()",
    } | parts
    return f"""
        def temperature(logits, T):
            highest = logits.max()
            {part["check"]}
            if T > 0:
                scaled = {part["scaled"]}
                weights = {part["weights"]}
            else:
                weights = {part["cold"]}
            return {part["result"]}
    """


MUTANTS["q01-temperature"] = {
    "T = 0: nearly equal ones share": _temperature(cold="1.0 * np.isclose(logits, highest)"),
    "T = 0 is a small T": _temperature(
        scaled="(logits - highest) / T", cold="np.exp((logits - highest) / 1e-6)"
    ),
    "powers of probabilities": _temperature(
        scaled="logits - highest", weights="np.exp(scaled) ** (1 / T)"
    ),
    "multiplied by T": _temperature(scaled="(logits - highest) * T"),
    "T is not used": _temperature(scaled="logits - highest"),
    "probabilities divided by T": _temperature(
        scaled="logits - highest", weights="np.exp(scaled) / T"
    ),
    "overflows": _temperature(scaled="logits / T"),
    "T = 0: the first of the largest": _temperature(
        cold="1.0 * (np.arange(len(logits)) == logits.argmax())"
    ),
    "T = 0: a one for each": _temperature(
        result="weights / weights.sum() if T > 0 else (logits == highest) * 1.0"
    ),
    "T = 0: all alike": _temperature(cold="np.ones(len(logits))"),
    "T = 0 is a small T, with overflow": """
        def temperature(logits, T):
            if T < 0 or logits.max() == -np.inf:
                raise ValueError("no")
            weights = np.exp(logits / max(T, 1e-6))
            return weights / weights.sum()
    """,
    "negative T goes through": _temperature(
        check='if highest == -np.inf:\n                raise ValueError("no")\n'
        "            T = abs(T)"
    ),
    "T = 0 is refused": _temperature(
        check='if T <= 0 or highest == -np.inf:\n                raise ValueError("no")'
    ),
    "nothing possible goes through": _temperature(
        check='if T < 0:\n                raise ValueError("no")'
    ),
    "nothing possible at T = 0 goes through": _temperature(
        check='if T < 0 or (T > 0 and highest == -np.inf):\n                raise ValueError("no")'
    ),
    "-inf made a number": _temperature(scaled="(np.nan_to_num(logits, neginf=0.0) - highest) / T"),
    "not made to sum to 1": _temperature(result="weights"),
    "logits returned": _temperature(weights="scaled"),
    "changes its logits": _temperature(scaled="np.divide(logits - highest, T, out=logits)"),
}
ALTERNATIVES["q01-temperature"] = {
    "plain Python": """
        def temperature(logits, T):
            s = [float(x) for x in logits]
            top = max(s)
            if T < 0 or top == -math.inf:
                raise ValueError("T below 0, or no token is possible")
            if T == 0:
                best = [x == top for x in s]
                return [b / sum(best) for b in best]
            weights = [math.exp((x - top) / T) for x in s]
            return [w / sum(weights) for w in weights]
    """,
    "torch, in float32 after the difference": """
        def temperature(logits, T):
            s = torch.from_numpy(logits)
            if T < 0 or bool(torch.isneginf(s).all()):
                raise ValueError("T below 0, or no token is possible")
            if T == 0:
                best = (s == s.max()).float()
                return best / best.sum()
            return torch.softmax(((s - s.max()) / T).float(), dim=0)
    """,
    "by the logarithm of the sum": """
        from scipy.special import logsumexp


        def temperature(logits, T):
            if T < 0 or np.isneginf(logits).all():
                raise ValueError("T below 0, or no token is possible")
            if T == 0:
                return np.where(logits == np.max(logits), 1 / np.sum(logits == np.max(logits)), 0)
            scaled = logits / T
            return np.exp(scaled - logsumexp(scaled))
    """,
}


def _top_k(**parts: str) -> str:
    """Top-k of q02, with one part changed."""
    part = {
        "check": 'if k < 1:\n                raise ValueError("k")',
        "order": 'np.argsort(-probabilities, axis=1, kind="stable")',
        "kept": "order[:, :k]",
        "result": "new / new.sum(axis=1, keepdims=True)",
    } | parts
    return f"""
        def top_k(probabilities, k):
            {part["check"]}
            order = {part["order"]}
            kept = {part["kept"]}
            new = np.zeros_like(probabilities)
            np.put_along_axis(new, kept, np.take_along_axis(probabilities, kept, axis=1), axis=1)
            return {part["result"]}
    """


MUTANTS["q02-top-k"] = {
    "a sort that is not stable": _top_k(order="np.argsort(-probabilities, axis=1)"),
    "all that tie are kept, as in the course's package": """
        def top_k(probabilities, k):
            if k < 1:
                raise ValueError("k")
            least = np.sort(probabilities, axis=1)[:, -min(k, probabilities.shape[1]), None]
            new = np.where(probabilities >= least, probabilities, 0)
            return new / new.sum(axis=1, keepdims=True)
    """,
    "only what is above the next is kept": """
        def top_k(probabilities, k):
            if k < 1:
                raise ValueError("k")
            V = probabilities.shape[1]
            next_one = np.sort(probabilities, axis=1)[:, -k - 1, None] if k < V else -1
            new = np.where(probabilities > next_one, probabilities, 0)
            return new / np.maximum(new.sum(axis=1, keepdims=True), 1e-30)
    """,
    "torch.topk": """
        def top_k(probabilities, k):
            if k < 1:
                raise ValueError("k")
            rows = torch.from_numpy(probabilities)
            best = rows.topk(min(k, rows.shape[1]), dim=1)
            new = torch.zeros_like(rows).scatter(1, best.indices, best.values)
            return new / new.sum(dim=1, keepdim=True)
    """,
    "ties: larger ids, the order turned round": _top_k(
        order='np.argsort(probabilities, axis=1, kind="stable")[:, ::-1]'
    ),
    "the unlikeliest": _top_k(order='np.argsort(probabilities, axis=1, kind="stable")'),
    "sorted in some order": _top_k(
        order="np.argpartition(-probabilities, min(k, probabilities.shape[1]) - 1, axis=1)"
    ),
    "not made to sum to 1": _top_k(result="new"),
    "softmax at the end": _top_k(
        result="np.exp(new) * (new > 0) / (np.exp(new) * (new > 0)).sum(axis=1, keepdims=True)"
    ),
    "divided by the sum of all": _top_k(result="new / new.sum() * len(new)"),
    "k over all rows": """
        def top_k(probabilities, k):
            if k < 1:
                raise ValueError("k")
            flat = probabilities.ravel()
            new = np.zeros_like(flat)
            order = np.argsort(-flat, kind="stable")[: k * len(probabilities)]
            new[order] = flat[order]
            new = new.reshape(probabilities.shape)
            return new / np.maximum(new.sum(axis=1, keepdims=True), 1e-30)
    """,
    "one too many": _top_k(kept="order[:, : k + 1]"),
    "k = 0 goes through": _top_k(check="k = max(k, 1)"),
    "k above V is refused": _top_k(
        check='if not 1 <= k <= probabilities.shape[1]:\n                raise ValueError("k")'
    ),
    "changes its rows": """
        def top_k(probabilities, k):
            if k < 1:
                raise ValueError("k")
            order = np.argsort(-probabilities, axis=1, kind="stable")
            np.put_along_axis(probabilities, order[:, k:], 0, axis=1)
            return probabilities / probabilities.sum(axis=1, keepdims=True)
    """,
}
ALTERNATIVES["q02-top-k"] = {
    "row by row, plain Python": """
        def top_k(probabilities, k):
            if k < 1:
                raise ValueError(f"k must be at least 1, got {k}")
            rows = []
            for row in probabilities.tolist():
                kept = set(sorted(range(len(row)), key=lambda w: (-row[w], w))[:k])
                total = sum(row[w] for w in kept)
                rows.append([p / total if w in kept else 0.0 for w, p in enumerate(row)])
            return rows
    """,
    "torch's stable sort": """
        def top_k(probabilities, k):
            if k < 1:
                raise ValueError(f"k must be at least 1, got {k}")
            rows = torch.as_tensor(probabilities).clone()
            order = rows.argsort(dim=1, descending=True, stable=True)
            rows = rows.scatter(1, order[:, k:], 0.0)
            return torch.nn.functional.normalize(rows, p=1, dim=1)
    """,
    "the largest, one after another": """
        def top_k(probabilities, k):
            if k < 1:
                raise ValueError(f"k must be at least 1, got {k}")
            left, new = probabilities.copy(), np.zeros(probabilities.shape)
            every = np.arange(len(left))
            for _ in range(min(k, left.shape[1])):
                best = left.argmax(axis=1)  # of equal ones the first
                new[every, best] = probabilities[every, best]
                left[every, best] = -1
            return new / new.sum(axis=1)[:, None]
    """,
}


def _nucleus(**parts: str) -> str:
    """The nucleus of q03, with one part changed."""
    part = {
        "check": 'if not 0 < p <= 1:\n                raise ValueError("p")',
        "order": 'np.argsort(-probabilities, axis=1, kind="stable")',
        "before": "np.cumsum(ordered, axis=1) - ordered",
        "inside": "ordered > 0 if p == 1 else before < p - 1e-6",
        "result": "new / new.sum(axis=1, keepdims=True)",
        "sizes": "inside.sum(axis=1)",
    } | parts
    return f"""
        def nucleus(probabilities, p):
            {part["check"]}
            probabilities = probabilities.astype(float)
            order = {part["order"]}
            ordered = np.take_along_axis(probabilities, order, axis=1)
            before = {part["before"]}
            inside = {part["inside"]}
            new = np.zeros_like(probabilities)
            np.put_along_axis(new, order, ordered * inside, axis=1)
            return {{"probabilities": {part["result"]}, "sizes": {part["sizes"]}}}
    """


MUTANTS["q03-nucleus"] = {
    "a sort that is not stable": _nucleus(order="np.argsort(-probabilities, axis=1)"),
    "without the token that crosses": _nucleus(
        inside="ordered > 0 if p == 1 else (before + ordered <= p + 1e-9) | (before < 1e-9)"
    ),
    "one more than needed": _nucleus(inside="ordered > 0 if p == 1 else before <= p + 1e-9"),
    "rounding decides": _nucleus(inside="(before < p) & (ordered > 0)"),
    "p = 1 drops what is rare": _nucleus(inside="before < p - 1e-6"),
    "p = 1 keeps what is impossible": _nucleus(
        inside="(before < p - 1e-6) | (p == 1)", sizes="inside.sum(axis=1)"
    ),
    "ties: larger ids": _nucleus(order='np.argsort(probabilities, axis=1, kind="stable")[:, ::-1]'),
    "all that tie with the last": """
        def nucleus(probabilities, p):
            if not 0 < p <= 1:
                raise ValueError("p")
            ordered = -np.sort(-probabilities, axis=1)
            before = np.cumsum(ordered, axis=1) - ordered
            inside = ordered > 0 if p == 1 else before < p - 1e-6
            last = np.where(inside, ordered, 2).min(axis=1, keepdims=True)
            new = np.where((probabilities >= last) & (probabilities > 0), probabilities, 0)
            sizes = (new > 0).sum(axis=1)
            return {"probabilities": new / new.sum(axis=1, keepdims=True), "sizes": sizes}
    """,
    "as the course's package": """
        def nucleus(probabilities, p):
            if not 0 < p <= 1:
                raise ValueError("p")
            rows = torch.from_numpy(probabilities)
            ordered, order = rows.sort(dim=1)
            outside = ordered.cumsum(dim=1) <= 1 - p
            outside[:, -1] = False
            new = rows.masked_fill(outside.scatter(1, order, outside), 0.0)
            return {
                "probabilities": new / new.sum(dim=1, keepdim=True),
                "sizes": (~outside).sum(dim=1),
            }
    """,
    "from the unlikeliest": _nucleus(order='np.argsort(probabilities, axis=1, kind="stable")'),
    "not sorted": _nucleus(
        order="np.tile(np.arange(probabilities.shape[1]), (len(probabilities), 1))"
    ),
    "tokens with at least p each": _nucleus(
        inside="(ordered >= p) | (before == 0)", before="np.cumsum(ordered, axis=1) - ordered"
    ),
    "not made to sum to 1": _nucleus(result="new"),
    "sizes: one number": _nucleus(sizes="int(inside.sum())"),
    "sizes of the rest": _nucleus(sizes="(~inside).sum(axis=1)"),
    "the first row's nucleus for all": _nucleus(
        inside="np.tile((ordered > 0 if p == 1 else before < p - 1e-6)[:1], (len(ordered), 1))"
    ),
    "sum over all rows": _nucleus(before="np.cumsum(ordered).reshape(ordered.shape) - ordered"),
    "p above 1 goes through": _nucleus(
        check='if p <= 0:\n                raise ValueError("p")\n            p = min(p, 1)'
    ),
    "p = 0 goes through": _nucleus(
        check='if not 0 <= p <= 1:\n                raise ValueError("p")'
    ),
    "p = 1 is refused": _nucleus(check='if not 0 < p < 1:\n                raise ValueError("p")'),
}
ALTERNATIVES["q03-nucleus"] = {
    "token by token": """
        def nucleus(probabilities, p):
            if not 0 < p <= 1:
                raise ValueError(f"p must be above 0 and at most 1, got {p}")
            rows, sizes = [], []
            for row in probabilities.tolist():
                new, total = [0.0] * len(row), 0.0
                for w in sorted(range(len(row)), key=lambda w: (-row[w], w)):
                    if row[w] == 0 or (p < 1 and total >= p - 1e-6):
                        break
                    new[w] = row[w]
                    total += row[w]
                rows.append([x / total for x in new])
                sizes.append(sum(x > 0 for x in new))
            return {"probabilities": rows, "sizes": sizes}
    """,
    "torch, with searchsorted": """
        def nucleus(probabilities, p):
            if p <= 0 or p > 1:
                raise ValueError(f"p must be above 0 and at most 1, got {p}")
            rows = torch.as_tensor(probabilities, dtype=torch.float64)
            ordered, order = rows.sort(dim=1, descending=True, stable=True)
            sizes = (rows > 0).sum(dim=1)
            if p < 1:
                border = torch.full((len(rows), 1), p - 1e-6, dtype=torch.float64)
                place = torch.searchsorted(ordered.cumsum(dim=1), border)[:, 0]
                sizes = torch.minimum(sizes, place + 1)
            inside = torch.arange(rows.shape[1]) < sizes[:, None]
            new = torch.zeros_like(rows).scatter(1, order, ordered * inside)
            return {"probabilities": new / new.sum(dim=1, keepdim=True), "sizes": sizes}
    """,
    "what comes before each token, by comparing": """
        def nucleus(probabilities, p):
            if not 0 < p <= 1:
                raise ValueError(f"p must be above 0 and at most 1, got {p}")
            a, b = probabilities[:, :, None], probabilities[:, None, :]
            ids = np.arange(probabilities.shape[1])
            ahead = (b > a) | ((b == a) & (ids[None, :] < ids[:, None]))
            before = (ahead * b).sum(axis=2, dtype=np.float64)
            keep = (probabilities > 0) & ((p == 1) | (before < p - 1e-6))
            new = probabilities * keep
            return {
                "probabilities": new / new.sum(axis=1, keepdims=True),
                "sizes": tuple(int(n) for n in keep.sum(axis=1)),
            }
    """,
}


def _chain(**parts: str) -> str:
    """The chain of q04, with one part changed."""
    part = {
        "copy": "logits.astype(float)",
        "steps": "steps",
        "temperature": "logits / number",
        "written": "set(text[prompt:])",
        "above": "logits[w] / number",
        "below": "logits[w] * number",
        "whole": "text",
        "starts": "range(len(whole) - number + 1)",
        "last": "whole[len(whole) - number + 1 :]",
        "least": "logits.max() + math.log(number)",
        "unknown": 'raise ValueError("name")',
        "nothing": 'raise ValueError("no token is left")',
        "weights": "np.exp(logits - logits.max())",
    } | parts
    return f"""
        def chain(logits, text, prompt, steps):
            logits = {part["copy"]}
            for name, number in {part["steps"]}:
                if name == "temperature":
                    logits = {part["temperature"]}
                elif name == "penalty":
                    for w in {part["written"]}:
                        logits[w] = {part["above"]} if logits[w] > 0 else {part["below"]}
                elif name == "no_repeat":
                    whole = {part["whole"]}
                    last = {part["last"]}
                    for i in {part["starts"]}:
                        if whole[i : i + number - 1] == last:
                            logits[whole[i + number - 1]] = -np.inf
                elif name == "min_p":
                    least = {part["least"]}
                    logits[logits < least] = -np.inf
                else:
                    {part["unknown"]}
                if logits.max() == -np.inf:
                    {part["nothing"]}
            weights = {part["weights"]}
            return weights / weights.sum()
    """


MUTANTS["q04-chain"] = {
    "changes its logits": _chain(copy="logits"),
    "steps turned round": _chain(steps="reversed(steps)"),
    "always the same order": _chain(steps="sorted(steps)"),
    "min-p always last": _chain(steps='sorted(steps, key=lambda s: s[0] == "min_p")'),
    "multiplied by T": _chain(temperature="logits * number"),
    "penalty divides all": _chain(below="logits[w] / number"),
    "penalty multiplies all": _chain(above="logits[w] * number"),
    "penalty subtracts": _chain(
        above="logits[w] - math.log(number)", below="logits[w] - math.log(number)"
    ),
    "penalty each time": _chain(written="text[prompt:]"),
    "penalty: the prompt counts, as in the package": _chain(written="set(text)"),
    "penalty: the prompt alone": _chain(written="set(text[:prompt])"),
    "penalty each time, prompt and all": _chain(written="text"),
    "no-repeat: the prompt does not count": _chain(whole="text[prompt:]"),
    "no-repeat: one too long": _chain(
        last="whole[len(whole) - number :]", starts="range(len(whole) - number)"
    ),
    "no-repeat: n - 1 from the back, all for n = 1": _chain(last="whole[-(number - 1) :]"),
    "no-repeat: the last run is not seen": _chain(starts="range(len(whole) - number)"),
    "min-p: p itself": _chain(
        least="math.log(number) + logits.max() + math.log(np.exp(logits - logits.max()).sum())"
    ),
    "min-p: of the largest logit": _chain(least="logits.max() * number"),
    "min-p of the logits at the start": """
        def chain(logits, text, prompt, steps):
            start = logits.max()
            logits = logits.astype(float)
            for name, number in steps:
                if name == "temperature":
                    logits = logits / number
                elif name == "penalty":
                    for w in set(text[prompt:]):
                        logits[w] = logits[w] / number if logits[w] > 0 else logits[w] * number
                elif name == "no_repeat":
                    for i in range(len(text) - number + 1):
                        if text[i : i + number - 1] == text[len(text) - number + 1 :]:
                            logits[text[i + number - 1]] = -np.inf
                elif name == "min_p":
                    logits[logits < start + math.log(number)] = -np.inf
                else:
                    raise ValueError("name")
                if logits.max() == -np.inf:
                    raise ValueError("no token is left")
            weights = np.exp(logits - logits.max())
            return weights / weights.sum()
    """,
    "a name that is unknown goes through": _chain(unknown="pass"),
    "nothing left goes through": _chain(nothing="return np.full(len(logits), np.nan)"),
    "overflows": _chain(weights="np.exp(logits)"),
    "forbidden is a large number": _chain(copy="np.maximum(logits.astype(float), -5.0)"),
}
ALTERNATIVES["q04-chain"] = {
    "plain Python": """
        def chain(logits, text, prompt, steps):
            s = [float(x) for x in logits]
            V = range(len(s))
            for name, number in steps:
                if name == "temperature":
                    s = [x / number for x in s]
                elif name == "penalty":
                    written = text[prompt:]
                    for w in V:
                        if w in written:
                            s[w] = s[w] / number if s[w] > 0 else s[w] * number
                elif name == "no_repeat":
                    runs = [text[i : i + number] for i in range(len(text) - number + 1)]
                    for w in V:
                        if (text + [w])[-number:] in runs:
                            s[w] = -math.inf
                elif name == "min_p":
                    top = max(s)
                    s = [x if math.exp(x - top) >= number else -math.inf for x in s]
                else:
                    raise ValueError(f"no step is called {name}")
                if max(s) == -math.inf:
                    raise ValueError("no token is left")
            top = max(s)
            weights = [math.exp(x - top) for x in s]
            return [w / sum(weights) for w in weights]
    """,
    "torch, with a function for each step": """
        def by_temperature(s, text, prompt, T):
            return s / T


        def by_penalty(s, text, prompt, theta):
            written = torch.zeros_like(s, dtype=torch.bool)
            written[torch.tensor(text[prompt:], dtype=torch.long)] = True
            return torch.where(written, torch.where(s > 0, s / theta, s * theta), s)


        def by_runs(s, text, prompt, n):
            s = s.clone()
            end = tuple(text[len(text) - n + 1 :])
            for run in zip(*(text[i:] for i in range(n))):
                if run[:-1] == end:
                    s[run[-1]] = -torch.inf
            return s


        def by_share(s, text, prompt, m):
            p = torch.softmax(s, dim=0)
            return s.masked_fill(p < m * p.max(), -torch.inf)


        STEPS = {
            "temperature": by_temperature,
            "penalty": by_penalty,
            "no_repeat": by_runs,
            "min_p": by_share,
        }


        def chain(logits, text, prompt, steps):
            s = torch.tensor(logits)
            for name, number in steps:
                if name not in STEPS:
                    raise ValueError(name)
                s = STEPS[name](s, text, prompt, number)
                if torch.isneginf(s).all():
                    raise ValueError("no token is left")
            return torch.softmax(s, dim=0)
    """,
}


def _beam(**parts: str) -> str:
    """The search of q05, with one part changed."""
    part = {
        "live": "{(): 0.0}",
        "steps": "range(1, longest + 1)",
        "total": "total + log_p",
        "ask": "next_log_p(text)",
        "ranked": "sorted(options, key=options.get, reverse=True)",
        "kept": "ranked[:k]",
        "going": "kept",
        "text": "text[:-1]",
        "score": "options[text] / n**alpha",
        "order": "ended.sort(key=lambda one: one[1], reverse=True)",
        "hoped": "max(live.values()) / longest**alpha",
        "over": "len(ended) >= best and ended[best - 1][1] >= hoped",
        "rest": "pass",
        "result": "ended[:best]",
    } | parts
    return f"""
        def beam_search(next_log_p, k, alpha, longest, best):
            live, ended = {part["live"]}, []
            for n in {part["steps"]}:
                options = {{}}
                for text, total in live.items():
                    for token, log_p in {part["ask"]}.items():
                        options[(*text, token)] = {part["total"]}
                ranked = {part["ranked"]}
                kept = {part["kept"]}
                going = {part["going"]}
                for text in kept:
                    if text[-1] == "END":
                        ended.append(({part["text"]}, {part["score"]}))
                {part["order"]}
                live = {{text: options[text] for text in going if text[-1] != "END"}}
                if not live:
                    break
                hoped = {part["hoped"]}
                if {part["over"]}:
                    break
            {part["rest"]}
            return {part["result"]}
    """


MUTANTS["q05-beam"] = {
    "the best in place of the best-th": _beam(over="len(ended) >= best and ended[0][1] >= hoped"),
    "one token less to hope for": _beam(hoped="max(live.values()) / max(1, longest - 1) ** alpha"),
    "one token more to hope for": _beam(hoped="max(live.values()) / (n + 1) ** alpha"),
    "k continuations of each beginning": """
        def beam_search(next_log_p, k, alpha, longest, best):
            live, ended = {(): 0.0}, []
            for n in range(1, longest + 1):
                options = {}
                for text, total in live.items():
                    after = next_log_p(text)
                    for token in sorted(after, key=after.get, reverse=True)[:k]:
                        options[(*text, token)] = total + after[token]
                ended += [(t[:-1], x / n**alpha) for t, x in options.items() if t[-1] == "END"]
                ended.sort(key=lambda one: -one[1])
                live = {t: x for t, x in options.items() if t[-1] != "END"}
                if not live:
                    break
                hoped = max(live.values()) / longest**alpha
                if len(ended) >= best and ended[best - 1][1] >= hoped:
                    break
            return ended[:best]
    """,
    "END takes no place, as in the package": _beam(
        going='[text for text in ranked if text[-1] != "END"][:k]'
    ),
    "every END is put aside": _beam(
        kept='ranked[:k] + [text for text in ranked[k:] if text[-1] == "END"]', going="ranked[:k]"
    ),
    "ranked by the score of the length": _beam(
        ranked="sorted(options, key=lambda t: options[t] / n**alpha / len(t[-1]), reverse=True)"
    ),
    "ranked by the last step alone": _beam(
        ranked="sorted(options, key=lambda t: options[t] - live[t[:-1]], reverse=True)"
    ),
    "log-probabilities are not added up": _beam(total="log_p"),
    "greedy": _beam(kept="ranked[:1]"),
    "one beam more": _beam(kept="ranked[: k + 1]"),
    "END in the text": _beam(text="text"),
    "END is not counted": _beam(score="options[text] / max(n - 1, 1) ** alpha"),
    "alpha is not used": _beam(score="options[text]", hoped="max(live.values())"),
    "always the mean": _beam(score="options[text] / n"),
    "multiplied by the length": _beam(score="options[text] * n**alpha"),
    "the probability is the score": _beam(
        score="math.exp(options[text] / n**alpha)",
        hoped="math.exp(max(live.values()) / longest**alpha)",
    ),
    "END's own log p is left out": _beam(score="live[text[:-1]] / n**alpha"),
    "ends when enough texts have ended": _beam(over="len(ended) >= best"),
    "ends by the present score": _beam(hoped="max(live.values()) / n**alpha"),
    "ends by the next step's score": _beam(hoped="max(live.values()) / (n + 1) ** alpha"),
    "ends when the best cannot be beaten": _beam(
        over="len(ended) >= best and ended[0][1] >= hoped"
    ),
    "ends when one live text has lost": _beam(hoped="min(live.values()) / longest**alpha"),
    "never ends early": _beam(over="False"),
    "ends when one END is found": _beam(over="ended"),
    "what has not ended is a result, as in the package": _beam(
        rest="ended += [(t, x / longest**alpha) for t, x in live.items() if len(t) == longest]\n"
        "            ended.sort(key=lambda one: one[1], reverse=True)"
    ),
    "one step too few": _beam(steps="range(1, longest)"),
    "one step too many": _beam(steps="range(1, longest + 2)"),
    "in the order in which they ended": _beam(
        order="pass", over="len(ended) >= best and sorted(e[1] for e in ended)[-best] >= hoped"
    ),
    "the worst first": _beam(result="ended[:best][::-1]"),
    "the k best": _beam(result="ended[:k]"),
    "texts as strings": _beam(text='" ".join(text[:-1])'),
    "asks twice": _beam(ask="(next_log_p(text) and next_log_p(text))"),
    "asks with a list": _beam(ask="next_log_p(list(text))"),
}
ALTERNATIVES["q05-beam"] = {
    "with a heap": """
        import heapq


        def beam_search(next_log_p, k, alpha, longest, best):
            live, ended = [(0.0, ())], []
            n = 0
            while live and n < longest:
                n += 1
                options = []
                for total, text in live:
                    for token, log_p in next_log_p(text).items():
                        options.append((total + log_p, text + (token,)))
                live = []
                for total, text in heapq.nlargest(k, options):
                    if text[-1] == "END":
                        ended.append((total / n**alpha, text[:-1]))
                    else:
                        live.append((total, text))
                wanted = heapq.nlargest(best, ended)
                if len(wanted) == best and all(
                    total / longest**alpha <= wanted[-1][0] for total, _ in live
                ):
                    break
            return [(text, score) for score, text in heapq.nlargest(best, ended)]
    """,
    "what can win no more is dropped before it is asked for": """
        def beam_search(next_log_p, k, alpha, longest, best):
            live, ended = [((), 0.0)], []
            for n in range(1, longest + 1):
                worst = ended[best - 1][1] if len(ended) >= best else -math.inf
                if all(total / longest**alpha <= worst for _, total in live):
                    break
                options = [
                    ([*text, token], total + log_p)
                    for text, total in live
                    for token, log_p in next_log_p(tuple(text)).items()
                ]
                options = sorted(options, key=lambda one: -one[1])[:k]
                for text, total in options:
                    if text[-1] == "END":
                        ended = sorted(
                            [*ended, [tuple(text[:-1]), np.float64(total / n**alpha)]],
                            key=lambda one: -one[1],
                        )
                live = [one for one in options if one[0][-1] != "END"]
            return ended[:best]
    """,
}

_OWN = """
    def crowding(k):
        first = {f"other {i}": 1 - 0.1 * i / k for i in range(1, k)}
        first = {"good": 1.0} | first | {"crowd": 0.9}
        total = sum(first.values())
        table = {"START": {word: p / total for word, p in first.items()}}
        table["good"] = GOOD
        table["crowd"] = CROWD
        for word in first:
            if word.startswith("other"):
                table[word] = OTHER
                table[word + " still"] = {"one": 0.27, "two": 0.26, "three": 0.24, "four": 0.23}
        for word in ("pushes", "shoves"):
            table[word] = {"one": 0.6, "two": 0.4}
        for word in ("well", "so", "so-so", "one", "two", "three", "four"):
            table[word] = {"END": 1.0}
        return table
"""


def _crowding(**parts: str) -> str:
    """The table of q06, with one part changed."""
    part = {
        "GOOD": '{"well": 0.4, "so": 0.31, "so-so": 0.29}',
        "CROWD": '{"pushes": 0.51, "shoves": 0.49}',
        "OTHER": '{word + " still": 1.0}',
    } | parts
    source = _OWN
    for name, value in part.items():
        source = source.replace(name, value)
    return source


MUTANTS["q06-wider"] = {
    "the chapter's table": """
        def crowding(k):
            either = {"u": 0.5, "v": 0.5}
            table = {word: either for word in "cyzvx"} | {
                "START": {"a": 0.45, "b": 0.40, "c": 0.15},
                "a": {"x": 0.4, "c": 0.3, "v": 0.3},
                "b": {"y": 0.5, "z": 0.5},
                "x": {"u": 1.0},
            }
            return table | {"u": {"END": 1.0}, "v": {"END": 1.0}}
    """,
    "the chapter's table, moved apart, for every k": """
        def crowding(k):
            return {
                "START": {"a": 0.45, "b": 0.40, "c": 0.15},
                "a": {"x": 0.4, "c": 0.29, "v": 0.31},
                "b": {"y": 0.51, "z": 0.49},
                "c": {"u": 0.52, "v": 0.48},
                "y": {"u": 0.52, "v": 0.48},
                "z": {"u": 0.53, "v": 0.47},
                "x": {"END": 1.0},
                "u": {"END": 1.0},
                "v": {"END": 1.0},
            }
    """,
    "equally likely": _crowding(CROWD='{"pushes": 0.5, "shoves": 0.5}').replace(
        '"one": 0.6, "two": 0.4', '"one": 0.5, "two": 0.5'
    ),
    "the crowd does not crowd out": _crowding(CROWD='{"pushes": 0.7, "shoves": 0.3}'),
    "the crowd ends well": _crowding().replace(
        '"one": 0.6, "two": 0.4', '"one": 0.96, "two": 0.04'
    ),
    "hardly worse": _crowding().replace('"one": 0.6, "two": 0.4', '"one": 0.86, "two": 0.14'),
    "the others end best": _crowding().replace(
        '{"one": 0.27, "two": 0.26, "three": 0.24, "four": 0.23}', '{"one": 0.9, "two": 0.1}'
    ),
    "the others fall apart too early": _crowding(
        OTHER='{word + " still": 0.2, "one": 0.27, "two": 0.26, "three": 0.27}'
    ),
    "rows that are not distributions": _crowding().replace("p / total", "p"),
    "a probability of 0": _crowding(GOOD='{"well": 0.4, "so": 0.31, "so-so": 0.29, "one": 0.0}'),
    "no END": _crowding().replace('table[word] = {"END": 1.0}', "table[word] = {word: 1.0}"),
    "words without a row": _crowding().replace('"so-so", "one"', '"one"'),
    "lists of pairs": _crowding().replace(
        "return table", "return {word: list(row.items()) for word, row in table.items()}"
    ),
    "a narrow beam that fails": """
        def crowding(k):
            return {
                "START": {"he": 0.55, "I": 0.45},
                "he": {"hit": 0.4, "ran": 0.35, "sat": 0.25},
                "I": {"was": 1.0},
                "hit": {"END": 1.0},
                "ran": {"END": 1.0},
                "sat": {"END": 1.0},
                "was": {"END": 1.0},
            }
    """,
}
ALTERNATIVES["q06-wider"] = {
    "a long crowd, and others that end at once but rarely": """
        def crowding(k):
            # k - 1 others, each a chain of sure words for two steps and then eight ends.
            n = k + 1
            weights = [1.0 - 0.05 * i / n for i in range(n)]
            total = sum(weights)
            p = [w / total for w in weights]
            table = {"START": {f"w{i}": p[i] for i in range(n)}}
            table["w0"] = {"x0": 0.35, "x1": 0.33, "x2": 0.32}
            table["x0"] = {"sure": 1.0}
            table["sure"] = {"END": 1.0}
            for word in ("x1", "x2"):
                table[word] = {"e0": 0.5, "e1": 0.3, "e2": 0.2}
            for i in range(1, k):
                table[f"w{i}"] = {f"s{i}": 1.0}
                table[f"s{i}"] = {f"t{i}": 1.0}
                table[f"t{i}"] = {f"e{j}": (20 + j) / 188 for j in range(8)}
            table[f"w{k}"] = {"y0": 0.505, "y1": 0.495}
            for j in range(2):
                table[f"y{j}"] = {f"e{m}": (20 + m + j) / (188 + 8 * j) for m in range(8)}
            for j in range(8):
                table[f"e{j}"] = {"END": 1.0}
            return table
    """,
    "NumPy numbers": _crowding(
        GOOD='{"well": np.float64(0.42), "so": np.float64(0.3), "so-so": np.float64(0.28)}'
    ),
}


def _bleu(**parts: str) -> str:
    """BLEU of q07, with one part changed."""
    part = {
        "gram": "tuple(tokens[i : i + n])",
        "grams": "range(len(tokens) - n + 1)",
        "several": "several",
        "most": "most | ngrams(one, n)",
        "hits": "(ours & most).total()",
        "number": "ours.total()",
        "length": "min((abs(len(one) - len(sentence)), len(one)) for one in several)[1]",
        "precision": "a / b if b else 0.0",
        "smoothed": "precisions",
        "brevity": "min(1.0, math.exp(1 - r / c)) if c else 0.0",
        "mean": "math.prod(precisions) ** (1 / N)",
        "scale": "1",
    } | parts
    return f"""
        def bleu(candidates, references, N):
            def ngrams(tokens, n):
                return Counter({part["gram"]} for i in {part["grams"]})

            c, r = 0, 0
            right, number = [0] * N, [0] * N
            for sentence, several in zip(candidates, references):
                c += len(sentence)
                r += {part["length"]}
                for n in range(1, N + 1):
                    ours, most = ngrams(sentence, n), Counter()
                    for one in {part["several"]}:
                        most = {part["most"]}
                    right[n - 1] += {part["hits"]}
                    number[n - 1] += {part["number"]}
            precisions = [{part["precision"]} for a, b in zip(right, number)]
            precisions = {part["smoothed"]}
            brevity = {part["brevity"]}
            score = brevity * {part["mean"]} * {part["scale"]}
            return {{"precisions": precisions, "brevity": brevity, "bleu": score}}
    """


MUTANTS["q07-bleu"] = {
    "tokens run together": _bleu(gram='"".join(tokens[i : i + n])'),
    "not clipped": _bleu(hits="sum(a for gram, a in ours.items() if gram in most)"),
    "clipped to one": _bleu(hits="len(ours.keys() & most.keys())"),
    "different n-grams alone": _bleu(hits="len(ours.keys() & most.keys())", number="len(ours)"),
    "references' counts added up": _bleu(most="most + ngrams(one, n)"),
    "the first reference alone": _bleu(several="several[:1]"),
    "the last reference alone": _bleu(most="ngrams(one, n)"),
    "recall": _bleu(number="most.total()"),
    "the longest reference": _bleu(length="max(map(len, several))"),
    "the shortest reference": _bleu(length="min(map(len, several))"),
    "the first reference's length": _bleu(length="len(several[0])"),
    "equally near: the longer one": _bleu(
        length="-min((abs(len(one) - len(sentence)), -len(one)) for one in several)[1]"
    ),
    "equally near: the first one": _bleu(
        length="len(min(several, key=lambda one: abs(len(one) - len(sentence))))"
    ),
    "no brevity": _bleu(brevity="1.0"),
    "brevity: c / r": _bleu(brevity="min(1.0, c / r)"),
    "brevity turned round": _bleu(brevity="min(1.0, math.exp(1 - c / r))"),
    "brevity above 1": _bleu(brevity="math.exp(1 - r / c) if c else 0.0"),
    "brevity of nothing": _bleu(brevity="min(1.0, math.exp(1 - r / max(c, 1)))"),
    "mean of precisions": _bleu(mean="sum(precisions) / N"),
    "no root": _bleu(mean="math.prod(precisions)"),
    "always the fourth root": _bleu(mean="math.prod(precisions) ** 0.25"),
    "percent": _bleu(scale="100"),
    "smoothed, as in the package": _bleu(
        smoothed="[p or (0.5 / b if b else 0.0) for p, b in zip(precisions, number)]"
    ),
    "one is added": _bleu(precision="(a + 1) / (b + 1)"),
    "orders without n-grams left out": _bleu(
        mean="math.prod(p for p, b in zip(precisions, number) if b) "
        "** (1 / max(1, sum(map(bool, number))))"
    ),
    "precisions of 0 left out": _bleu(mean="math.prod(p for p in precisions if p) ** (1 / N)"),
    "n-grams joined to strings": _bleu(gram='" ".join(tokens[i : i + n])'),
    "the last n-gram is missing": _bleu(grams="range(len(tokens) - n)"),
    "mean of sentences": """
        def bleu(candidates, references, N):
            def one_sentence(sentence, several):
                precisions = []
                for n in range(1, N + 1):
                    ours = Counter(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))
                    most = Counter()
                    for one in several:
                        most |= Counter(tuple(one[i : i + n]) for i in range(len(one) - n + 1))
                    precisions.append((ours & most).total() / max(1, ours.total()))
                c = len(sentence)
                r = min((abs(len(one) - c), len(one)) for one in several)[1]
                brevity = min(1.0, math.exp(1 - r / c)) if c else 0.0
                return [*precisions, brevity, brevity * math.prod(precisions) ** (1 / N)]

            rows = [one_sentence(*pair) for pair in zip(candidates, references)]
            means = [sum(column) / len(rows) for column in zip(*rows)]
            return {"precisions": means[:N], "brevity": means[-2], "bleu": means[-1]}
    """,
}
ALTERNATIVES["q07-bleu"] = {
    "dictionaries and logarithms": """
        def grams(tokens, n):
            counts = {}
            for i in range(len(tokens) - n + 1):
                gram = tuple(tokens[i : i + n])
                counts[gram] = counts.get(gram, 0) + 1
            return counts


        def bleu(candidates, references, N):
            precisions = []
            for n in range(1, N + 1):
                right = written = 0
                for sentence, several in zip(candidates, references):
                    tables = [grams(one, n) for one in several]
                    for gram, count in grams(sentence, n).items():
                        right += min(count, max(table.get(gram, 0) for table in tables))
                        written += count
                precisions.append(right / written if written else 0.0)
            c = sum(len(sentence) for sentence in candidates)
            r = 0
            for sentence, several in zip(candidates, references):
                best = None
                for one in several:
                    gap = abs(len(one) - len(sentence))
                    if best is None or (gap, len(one)) < best:
                        best = (gap, len(one))
                r += best[1]
            brevity = 0.0 if c == 0 else 1.0 if c >= r else math.exp(1 - r / c)
            if min(precisions) == 0:
                return {"precisions": precisions, "brevity": brevity, "bleu": 0.0}
            mean = sum(math.log(p) for p in precisions) / N
            return {"precisions": precisions, "brevity": brevity, "bleu": brevity * math.exp(mean)}
    """,
    "NumPy, float32": """
        def bleu(candidates, references, N):
            counts = np.zeros((2, N))
            lengths = np.zeros(2)
            for sentence, several in zip(candidates, references):
                size = len(sentence)
                lengths += size, min(sorted(map(len, several)), key=lambda s: abs(s - size))
                for n in range(N):
                    def runs(tokens):
                        return list(zip(*(tokens[i:] for i in range(n + 1))))

                    ours = runs(sentence)
                    theirs = [runs(one) for one in several]
                    for gram in set(ours):
                        there = max(one.count(gram) for one in theirs)
                        counts[0, n] += min(there, ours.count(gram))
                    counts[1, n] += len(ours)
            p = (counts[0] / np.maximum(counts[1], 1)).astype(np.float32)
            c, r = lengths
            brevity = np.float32(min(1, math.exp(1 - r / c)) if c else 0)
            return {"precisions": p, "brevity": brevity, "bleu": brevity * p.prod() ** (1 / N)}
    """,
}


def _rouge(**parts: str) -> str:
    """ROUGE-L of q08, with one part changed."""
    part = {
        "equal": "above[j] + 1",
        "other": "max(above[j + 1], row[j])",
        "length": "above[-1]",
        "P": "L / len(candidate) if L else 0.0",
        "R": "L / len(reference) if L else 0.0",
        "F": "(1 + beta**2) * P * R / (beta**2 * P + R) if L else 0.0",
        "key": 'one["f"]',
        "best": "max(results, key=lambda one: KEY)",
    } | parts
    best = part["best"].replace("KEY", part["key"])
    return f"""
        def rouge_l(candidate, references, beta):
            results = []
            for reference in references:
                above = [0] * (len(reference) + 1)
                longest = 0
                for a in candidate:
                    row = [0]
                    for j, b in enumerate(reference):
                        row.append({part["equal"]} if a == b else {part["other"]})
                    longest = max(longest, *row)
                    above = row
                L = {part["length"]}
                P = {part["P"]}
                R = {part["R"]}
                F = {part["F"]}
                results.append({{"length": L, "precision": P, "recall": R, "f": F}})
            return {best}
    """


def _length(source: str) -> str:
    """ROUGE-L of q08 with another count in place of the longest common subsequence."""
    return f"""
        def common(candidate, reference):
{source}


        def rouge_l(candidate, references, beta):
            results = []
            for reference in references:
                L = common(candidate, reference)
                P, R = (L / len(candidate), L / len(reference)) if L else (0.0, 0.0)
                F = (1 + beta**2) * P * R / (beta**2 * P + R) if L else 0.0
                results.append({{"length": L, "precision": P, "recall": R, "f": F}})
            return max(results, key=lambda one: one["f"])
    """


MUTANTS["q08-subsequence"] = {
    "the last of equal references": _rouge(best="max(results[::-1], key=lambda one: KEY)"),
    "in order from each place": _length("""
            most = 0
            for start in range(len(candidate)):
                at = found = 0
                for token in candidate[start:]:
                    if token in reference[at:]:
                        at += reference[at:].index(token) + 1
                        found += 1
                most = max(most, found)
            return most"""),
    "the longest run": _rouge(other="0", length="longest"),
    "tokens in any order": _length(
        "            return (Counter(candidate) & Counter(reference)).total()"
    ),
    "different tokens": _length("            return len(set(candidate) & set(reference))"),
    "greedy": _length(
        "            count, at = 0, 0\n"
        "            for token in candidate:\n"
        "                if token in reference[at:]:\n"
        "                    at += reference[at:].index(token) + 1\n"
        "                    count += 1\n"
        "            return count"
    ),
    "a token counts as often as it likes": _rouge(equal="max(above[j + 1], row[j]) + 1"),
    "the row before only": _rouge(other="above[j + 1]"),
    "what difflib matches": _length(
        "            from difflib import SequenceMatcher\n\n"
        "            blocks = SequenceMatcher(None, candidate, reference, False)\n"
        "            return sum(block.size for block in blocks.get_matching_blocks())"
    ),
    "precision and recall exchanged": _rouge(
        P="L / len(reference) if L else 0.0", R="L / len(candidate) if L else 0.0"
    ),
    "β on the other side": _rouge(F="(1 + beta**2) * P * R / (P + beta**2 * R) if L else 0.0"),
    "β without its square": _rouge(F="(1 + beta) * P * R / (beta * P + R) if L else 0.0"),
    "always F1": _rouge(F="2 * P * R / (P + R) if L else 0.0"),
    "mean of both": _rouge(F="(P + R) / 2"),
    "0 / 0": _rouge(F="(1 + beta**2) * P * R / (beta**2 * P + R)"),
    "an empty text": _rouge(P="L / len(candidate)", R="L / len(reference)"),
    "the largest L": _rouge(key='one["length"]'),
    "the largest recall": _rouge(key='one["recall"]'),
    "the first reference": _rouge(best="results[0]"),
    "the best of each number": _rouge(
        best="{key: max(one[key] for one in results) for key in results[0]}"
    ),
    "all references in one": """
        def rouge_l(candidate, references, beta):
            reference = sum(references, [])
            above = [0] * (len(reference) + 1)
            for a in candidate:
                row = [0]
                for j, b in enumerate(reference):
                    row.append(above[j] + 1 if a == b else max(above[j + 1], row[j]))
                above = row
            L = above[-1]
            P, R = (L / len(candidate), L / len(reference)) if L else (0.0, 0.0)
            F = (1 + beta**2) * P * R / (beta**2 * P + R) if L else 0.0
            return {"length": L, "precision": P, "recall": R, "f": F}
    """,
}
ALTERNATIVES["q08-subsequence"] = {
    "a NumPy table": """
        def rouge_l(candidate, references, beta):
            best = None
            for reference in references:
                n, m = len(candidate), len(reference)
                table = np.zeros((n + 1, m + 1), dtype=int)
                for i in range(1, n + 1):
                    for j in range(1, m + 1):
                        if candidate[i - 1] == reference[j - 1]:
                            table[i, j] = table[i - 1, j - 1] + 1
                        else:
                            table[i, j] = max(table[i - 1, j], table[i, j - 1])
                L = int(table[n, m])
                F = (1 + beta**2) * L / (n + beta**2 * m) if L else 0.0
                if best is None or F > best["f"]:
                    best = {
                        "length": L,
                        "precision": L / n if L else 0.0,
                        "recall": L / m if L else 0.0,
                        "f": F,
                    }
            return best
    """,
    "recursion with a memory": """
        import sys
        from functools import cache


        def common(one, other):
            @cache
            def length(i, j):
                if i == 0 or j == 0:
                    return 0
                if one[i - 1] == other[j - 1]:
                    return length(i - 1, j - 1) + 1
                return max(length(i - 1, j), length(i, j - 1))

            for i in range(0, len(one), 50):  # so that no call goes too deep
                for j in range(0, len(other), 50):
                    length(i, j)
            return length(len(one), len(other))


        def rouge_l(candidate, references, beta):
            found = []
            for place, reference in enumerate(references):
                L = common(candidate, reference)
                P = L / max(1, len(candidate))
                R = L / max(1, len(reference))
                F = (1 + beta * beta) * P * R / (beta * beta * P + R) if L else 0.0
                found.append((F, -place, L, P, R))
            F, _, L, P, R = max(found)
            return {"length": L, "precision": P, "recall": R, "f": F}
    """,
}


def _judged(**parts: str) -> str:
    """The perplexities of q09, with one part changed."""
    part = {
        "nats": "[-x for x, counts in zip(row, marks) if counts]",
        "each": "[math.exp(sum(row) / len(row)) for row in nats]",
        "together": "math.exp(total / tokens)",
        "bits": "total / math.log(2)",
        "bytes": "sum(len(text.encode()) for text in texts)",
        "quotient": "bits / size",
    } | parts
    return f"""
        def judged(log_probabilities, mask, texts):
            nats = [{part["nats"]} for row, marks in zip(log_probabilities, mask)]
            total, tokens = sum(map(sum, nats)), sum(map(len, nats))
            each = {part["each"]}
            bits = {part["bits"]}
            size = {part["bytes"]}
            return {{
                "each": each,
                "perplexity": {part["together"]},
                "bits_per_byte": {part["quotient"]},
            }}
    """


MUTANTS["q09-perplexity"] = {
    "mean of perplexities": _judged(together="sum(each) / len(each)"),
    "mean of the texts' means": _judged(
        together="math.exp(sum(sum(row) / len(row) for row in nats) / len(nats))"
    ),
    "without the sign": _judged(nats="[x for x, counts in zip(row, marks) if counts]"),
    "no exponential": _judged(each="[sum(row) / len(row) for row in nats]"),
    "powers of 2": _judged(
        each="[2 ** (sum(row) / len(row)) for row in nats]", together="2 ** (total / tokens)"
    ),
    "padding counts as 0": _judged(nats="[-x if counts else 0.0 for x, counts in zip(row, marks)]"),
    "multiplied by the mask": """
        def judged(log_probabilities, mask, texts):
            rows, marks = np.array(log_probabilities), np.array(mask)
            nats = -rows * marks
            total = nats.sum()
            return {
                "each": np.exp(nats.sum(axis=1) / marks.sum(axis=1)).tolist(),
                "perplexity": float(np.exp(total / marks.sum())),
                "bits_per_byte": float(total / np.log(2) / sum(len(t.encode()) for t in texts)),
            }
    """,
    "all places are divided by": _judged(
        each="[math.exp(sum(row) / len(mask[0])) for row in nats]",
        together="math.exp(total / (len(mask) * len(mask[0])))",
    ),
    "padding is at the end": _judged(nats="[-x for x in row[: sum(marks)]]"),
    "the mask turned round": _judged(
        nats="[-x for x, counts in zip(row, marks) if not counts] or [0.0]"
    ),
    "everything counts": _judged(nats="[-x for x in row]"),
    "characters": _judged(bytes="sum(len(text) for text in texts)"),
    "tokens for bytes": _judged(bytes="tokens"),
    "another coding": _judged(bytes='sum(len(text.encode("utf-16")) for text in texts)'),
    "nats a byte": _judged(bits="total"),
    "multiplied by log 2": _judged(bits="total * math.log(2)"),
    "mean of the texts' bits": _judged(
        quotient="sum(sum(row) / math.log(2) / len(text.encode()) for row, text in "
        "zip(nats, texts)) / len(texts)"
    ),
    "probabilities are multiplied": _judged(
        each="[math.prod(math.exp(-x) for x in row) ** (-1 / len(row)) for row in nats]",
        together="math.prod(math.exp(-x) for row in nats for x in row) ** (-1 / tokens)",
    ),
    "each: one number": _judged(each="[math.exp(total / tokens)]"),
}
ALTERNATIVES["q09-perplexity"] = {
    "NumPy": """
        def judged(log_probabilities, mask, texts):
            rows, marks = np.asarray(log_probabilities), np.asarray(mask, dtype=bool)
            nats = -np.where(marks, rows, 0.0)
            return {
                "each": np.exp(nats.sum(axis=1) / marks.sum(axis=1)),
                "perplexity": np.exp(nats[marks].mean()),
                "bits_per_byte": nats.sum() / np.log(2) / len("".join(texts).encode("utf-8")),
            }
    """,
    "torch": """
        def judged(log_probabilities, mask, texts):
            rows = torch.tensor(log_probabilities, dtype=torch.float32)
            marks = torch.tensor(mask)
            nats = -rows.masked_fill(~marks, 0.0)
            lengths = torch.tensor([len(bytes(text, "utf-8")) for text in texts])
            return {
                "each": [float((row.sum() / m.sum()).exp()) for row, m in zip(nats, marks)],
                "perplexity": (nats.sum() / marks.sum()).exp().item(),
                "bits_per_byte": nats.sum().item() / math.log(2) / int(lengths.sum()),
            }
    """,
}


def _variety(**parts: str) -> str:
    """The measures of q10, with one part changed."""
    part = {
        "gram": "tuple(text[i : i + n])",
        "grams": "range(len(text) - n + 1)",
        "none": 'raise ValueError("no n-gram")',
        "distinct": "len(having) / sum(map(len, grams))",
        "again": "[1 - len(set(found)) / len(found) for found in grams]",
        "repeated": "sum(again) / len(again)",
        "counted": "set(found)",
        "shared": "sum(count > 1 for count in having.values()) / len(having)",
    } | parts
    return f"""
        def variety(texts, n):
            grams = [[{part["gram"]} for i in {part["grams"]}] for text in texts]
            grams = [found for found in grams if found]
            if not grams:
                {part["none"]}
            having = Counter(gram for found in grams for gram in {part["counted"]})
            again = {part["again"]}
            return {{
                "distinct": {part["distinct"]},
                "repeated": {part["repeated"]},
                "shared": {part["shared"]},
            }}
    """


MUTANTS["q10-variety"] = {
    "distinct: divided by tokens": _variety(distinct="len(having) / sum(map(len, texts))"),
    "distinct: mean of texts": _variety(
        distinct="sum(len(set(found)) / len(found) for found in grams) / len(grams)"
    ),
    "distinct: the number": _variety(distinct="len(having)"),
    "n-grams run over the ends": """
        def variety(texts, n):
            whole = [token for text in texts for token in text]
            over = [tuple(whole[i : i + n]) for i in range(len(whole) - n + 1)]
            grams = [[tuple(t[i : i + n]) for i in range(len(t) - n + 1)] for t in texts]
            grams = [found for found in grams if found]
            if not grams:
                raise ValueError("no n-gram")
            having = Counter(gram for found in grams for gram in set(found))
            return {
                "distinct": len(set(over)) / len(over),
                "repeated": sum(1 - len(set(f)) / len(f) for f in grams) / len(grams),
                "shared": sum(count > 1 for count in having.values()) / len(having),
            }
    """,
    "repeated: short texts count as 0": _variety(repeated="sum(again) / len(texts)"),
    "repeated: short texts count as 1": _variety(
        repeated="(sum(again) + len(texts) - len(again)) / len(texts)"
    ),
    "repeated: over all texts": _variety(repeated="1 - len(having) / sum(map(len, grams))"),
    "repeated: all n-grams together": _variety(
        repeated="sum(len(f) - len(set(f)) for f in grams) / sum(map(len, grams))"
    ),
    "repeated: kinds that come twice": _variety(
        again="[sum(c > 1 for c in Counter(f).values()) / len(set(f)) for f in grams]"
    ),
    "repeated: the first one counts, too": _variety(
        again="[sum(c for c in Counter(f).values() if c > 1) / len(f) for f in grams]"
    ),
    "shared: also within one text": _variety(counted="found"),
    "shared: by all texts": _variety(
        shared="sum(count == len(texts) for count in having.values()) / len(having)"
    ),
    "shared: of all n-grams": _variety(
        shared="sum(having[g] > 1 for f in grams for g in f) / sum(map(len, grams))"
    ),
    "tokens joined": _variety(gram='" ".join(map(str, text[i : i + n]))'),
    "the order does not count": _variety(gram="tuple(sorted(text[i : i + n], key=str))"),
    "the last n-gram is missing": _variety(grams="range(len(text) - n)"),
    "n-grams that are too short": _variety(grams="range(len(text))"),
    "nothing is 0": _variety(none='return {"distinct": 0.0, "repeated": 0.0, "shared": 0.0}'),
    "nothing is 0 / 0": _variety(none="pass"),
}
ALTERNATIVES["q10-variety"] = {
    "loops": """
        def variety(texts, n):
            total, owners, shares = 0, {}, []
            for number, text in enumerate(texts):
                seen, again, count = set(), 0, 0
                for i in range(len(text) - n + 1):
                    gram = tuple(text[i : i + n])
                    again += gram in seen
                    seen.add(gram)
                    owners.setdefault(gram, set()).add(number)
                    count += 1
                if count:
                    shares.append(again / count)
                total += count
            if not total:
                raise ValueError(f"no text has {n} tokens")
            return {
                "distinct": len(owners) / total,
                "repeated": sum(shares) / len(shares),
                "shared": sum(len(own) >= 2 for own in owners.values()) / len(owners),
            }
    """,
    "zip, and NumPy's means": """
        def variety(texts, n):
            runs = [list(zip(*(text[i:] for i in range(n)))) for text in texts]
            runs = list(filter(None, runs))
            if len(runs) == 0:
                raise ValueError("there is no n-gram")
            kinds = set().union(*runs)
            twice = [sum(kind in one for one in runs) >= 2 for kind in kinds]
            return {
                "distinct": np.float32(len(kinds) / sum(len(one) for one in runs)),
                "repeated": np.mean([(len(one) - len(set(one))) / len(one) for one in runs]),
                "shared": np.mean(twice),
            }
    """,
}


def _bootstrap(**parts: str) -> str:
    """The bootstrap of q11, with one part changed."""
    part = {
        "quotient": "counts[:, 0].sum() / counts[:, 1].sum()",
        "one": "first[row]",
        "two": "second[row]",
        "draws": "draws",
        "whole": "score(first) - score(second)",
        "h": "len(differences) // 40",
        "low": "differences[h]",
        "high": "differences[-1 - h]",
        "share": "np.mean(differences <= 0)",
    } | parts
    return f"""
        def paired_bootstrap(first, second, draws):
            def score(counts):
                return {part["quotient"]}

            rows = {part["draws"]}
            differences = np.sort([score({part["one"]}) - score({part["two"]}) for row in rows])
            h = {part["h"]}
            return {{
                "difference": {part["whole"]},
                "low": {part["low"]},
                "high": {part["high"]},
                "not_better": {part["share"]},
            }}
    """


MUTANTS["q11-bootstrap"] = {
    "each drawn sentence once": _bootstrap(
        one="first[np.unique(row)]", two="second[np.unique(row)]"
    ),
    "mean of sentences": _bootstrap(quotient="(counts[:, 0] / counts[:, 1]).mean()"),
    "right ones alone": _bootstrap(quotient="counts[:, 0].mean()"),
    "second minus first": _bootstrap(
        one="second[row]", two="first[row]", whole="score(second) - score(first)"
    ),
    "second minus first in the draws": _bootstrap(one="second[row]", two="first[row]"),
    "not paired": """
        def paired_bootstrap(first, second, draws):
            def score(counts):
                return counts[:, 0].sum() / counts[:, 1].sum()

            ones = [score(first[row]) for row in draws]
            twos = [score(second[row]) for row in draws[::-1]]
            differences = np.sort(np.array(ones) - np.array(twos))
            h = len(draws) // 40
            return {
                "difference": score(first) - score(second),
                "low": differences[h],
                "high": differences[-1 - h],
                "not_better": np.mean(differences <= 0),
            }
    """,
    "an interval of each system": """
        def paired_bootstrap(first, second, draws):
            def score(counts):
                return counts[:, 0].sum() / counts[:, 1].sum()

            ones = np.sort([score(first[row]) for row in draws])
            twos = np.sort([score(second[row]) for row in draws])
            h = len(draws) // 40
            return {
                "difference": score(first) - score(second),
                "low": ones[h] - twos[-1 - h],
                "high": ones[-1 - h] - twos[h],
                "not_better": np.mean(ones <= twos),
            }
    """,
    "each sentence once": _bootstrap(draws="[np.unique(row) for row in draws]"),
    "its own draws": _bootstrap(
        draws="np.random.default_rng(0).integers(0, len(first), draws.shape)"
    ),
    "draws turned round": _bootstrap(draws="draws.T"),
    "interpolated quantiles": _bootstrap(
        low="np.quantile(differences, 0.025)", high="np.quantile(differences, 0.975)"
    ),
    "smallest and largest": _bootstrap(h="0"),
    "h counted from 1": _bootstrap(h="max(len(differences) // 40 - 1, 0)"),
    "5 percent at each end": _bootstrap(h="len(differences) // 20"),
    "rounded up": _bootstrap(h="-(-len(differences) // 40)"),
    "high: one too far": _bootstrap(
        high="differences[min(len(differences) - h, len(differences) - 1)]"
    ),
    "0 is better": _bootstrap(share="np.mean(differences < 0)"),
    "the share of better ones": _bootstrap(share="np.mean(differences > 0)"),
    "the number of draws": _bootstrap(share="np.sum(differences <= 0)"),
    "difference: the mean of the draws": _bootstrap(whole="differences.mean()"),
    "difference: the median of the draws": _bootstrap(whole="np.median(differences)"),
    "percent": _bootstrap(quotient="100 * counts[:, 0].sum() / counts[:, 1].sum()"),
}
ALTERNATIVES["q11-bootstrap"] = {
    "plain Python": """
        def paired_bootstrap(first, second, draws):
            first, second, draws = first.tolist(), second.tolist(), draws.tolist()

            def gap(sentences):
                shares = []
                for counts in (first, second):
                    right = sum(counts[i][0] for i in sentences)
                    shares.append(right / sum(counts[i][1] for i in sentences))
                return shares[0] - shares[1]

            gaps = sorted(map(gap, draws))
            out = len(gaps) // 40
            return {
                "difference": gap(range(len(first))),
                "low": gaps[out],
                "high": gaps[len(gaps) - 1 - out],
                "not_better": len([g for g in gaps if g <= 0]) / len(gaps),
            }
    """,
    "how often each sentence was drawn, as a matrix": """
        def paired_bootstrap(first, second, draws):
            R, m = draws.shape
            times = np.zeros((R + 1, m))
            np.add.at(times, (np.arange(R)[:, None], draws), 1)
            times[R] = 1  # the last row: all sentences, each once
            scores = []
            for counts in (first, second):
                sums = times @ counts
                scores.append(sums[:, 0] / sums[:, 1])
            gaps = scores[0] - scores[1]
            ordered = np.sort(gaps[:R])
            return {
                "difference": gaps[R],
                "low": ordered[R // 40],
                "high": ordered[::-1][R // 40],
                "not_better": np.count_nonzero(ordered <= 0) / R,
            }
    """,
    "torch": """
        def paired_bootstrap(first, second, draws):
            drawn = torch.from_numpy(draws)
            one, two = (
                torch.from_numpy(counts)[drawn].sum(dim=1).double() for counts in (first, second)
            )
            gaps = (one[:, 0] / one[:, 1] - two[:, 0] / two[:, 1]).sort().values
            a, b = first.sum(axis=0), second.sum(axis=0)
            h = len(gaps) // 40
            return {
                "difference": a[0] / a[1] - b[0] / b[1],
                "low": gaps[h],
                "high": gaps[len(gaps) - 1 - h],
                "not_better": (gaps <= 0).double().mean(),
            }
    """,
}
