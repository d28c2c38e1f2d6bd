"""Known answers to the questions of 10-looking-inside: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _but(source: str, *changes: tuple[str, str]) -> str:
    """An answer with some places changed, each of which it has once."""
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"it has {source.count(old)} times: {old}")
        source = source.replace(old, new)
    return source


INDEX = """
def build_index(documents):
    counts = {}
    for number, words in documents:
        for word in words:
            own = counts.setdefault(word, {})
            own[number] = own.get(number, 0) + 1
    return {word: sorted(own.items()) for word, own in counts.items()}


def search_all(index, query):
    wanted = {word: query.count(word) for word in query}
    if not wanted:
        return []
    own = [dict(index.get(word, [])) for word in wanted]
    return [
        (n, sum(some[n] for some in own))
        for n in sorted(own[0])
        if all(some.get(n, 0) >= wanted[word] for word, some in zip(wanted, own))
    ]
"""

MUTANTS["q01-index"] = {
    "a posting an occurrence": """
def build_index(documents):
    index = {}
    for number, words in sorted(documents):
        for word in words:
            index.setdefault(word, []).append((number, 1))
    return index
"""
    + INDEX[INDEX.index("\n\ndef search_all") :],
    "the last part alone": _but(
        INDEX,
        ("own[number] = own.get(number, 0) + 1", "own[number] = words.count(word)"),
    ),
    "in the order of arrival": _but(INDEX, ("sorted(own.items())", "list(own.items())")),
    "by falling count": _but(
        INDEX, ("sorted(own.items())", "sorted(own.items(), key=lambda one: -one[1])")
    ),
    "presence alone": _but(INDEX, ("own[number] = own.get(number, 0) + 1", "own[number] = 1")),
    "any word is enough": _but(
        INDEX,
        (
            "if all(some.get(n, 0) >= wanted[word] for",
            "if any(some.get(n, 0) >= wanted[word] for",
        ),
        ("sum(some[n] for some in own)", "sum(some.get(n, 0) for some in own)"),
    ),
    "repetitions do not matter": _but(INDEX, (">= wanted[word]", "> 0")),
    "as often, and not more": _but(INDEX, (">= wanted[word]", "== wanted[word]")),
    "totals by repetition": _but(
        INDEX,
        (
            "sum(some[n] for some in own)",
            "sum(wanted[word] * some[n] for word, some in zip(wanted, own))",
        ),
    ),
    "a missing word is left out": _but(
        INDEX,
        (
            "wanted = {word: query.count(word) for word in query}",
            "wanted = {word: query.count(word) for word in query if word in index}",
        ),
    ),
    "an empty query finds all": _but(
        INDEX,
        (
            "        return []\n",
            "        return sorted({(n, 0) for own in index.values() for n, _ in own})\n",
        ),
    ),
    "numbers alone": _but(INDEX, ("(n, sum(some[n] for some in own))", "n")),
    "number of words": _but(INDEX, ("sum(some[n] for some in own)", "len(wanted)")),
    "words in two documents only once": _but(
        INDEX,
        (
            "own = counts.setdefault(word, {})",
            "own = counts.setdefault(word, {number: 0})\n            if number not in own:\n"
            "                continue",
        ),
    ),
}
ALTERNATIVES["q01-index"] = {
    "two pointers": """
def build_index(documents):
    index = {}
    for number in sorted({number for number, _ in documents}):
        words = [word for other, some in documents if other == number for word in some]
        for word in set(words):
            index.setdefault(word, []).append((number, words.count(word)))
    return index


def merged(first, second):
    both, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        if first[i][0] == second[j][0]:
            both.append((first[i][0], first[i][1] + second[j][1]))
            i, j = i + 1, j + 1
        elif first[i][0] < second[j][0]:
            i += 1
        else:
            j += 1
    return both


def search_all(index, query):
    lists = []
    for word in sorted(set(query), key=lambda word: len(index.get(word, []))):
        lists.append([one for one in index.get(word, []) if one[1] >= query.count(word)])
    if not lists:
        return []
    found = lists[0]
    for other in lists[1:]:
        found = merged(found, other)
    return found
""",
    "counters": """
from collections import Counter, defaultdict


def build_index(documents):
    whole = defaultdict(Counter)
    for number, words in documents:
        whole[number] += Counter(words)
    index = defaultdict(list)
    for number, counts in sorted(whole.items()):
        for word, count in counts.items():
            index[word].append((number, count))
    return dict(index)


def search_all(index, query):
    totals, having = Counter(), Counter()
    wanted = Counter(query)
    for word, times in wanted.items():
        for number, count in index.get(word, ()):
            if count >= times:
                totals[number] += count
                having[number] += 1
    return sorted((n, total) for n, total in totals.items() if having[n] == len(wanted))
""",
}


BM25 = """
def bm25(documents, query, k1, b, k3, k):
    N = len(documents)
    L = sum(len(words) for words in documents.values()) / N
    scores = {}
    for t in set(query):
        df = sum(t in words for words in documents.values())
        idf = np.log(1 + (N - df + 0.5) / (df + 0.5))
        qf = query.count(t)
        for name, words in documents.items():
            tf = words.count(t)
            if tf:
                K = k1 * (1 - b + b * len(words) / L)
                part = idf * (k1 + 1) * tf / (tf + K) * (k3 + 1) * qf / (qf + k3)
                scores[name] = scores.get(name, 0) + part
    return sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:k]
"""

MUTANTS["q02-scoring"] = {
    "no k1 + 1": _but(BM25, ("idf * (k1 + 1) * tf", "idf * tf")),
    "no k3 + 1": _but(BM25, ("(k3 + 1) * qf", "qf")),
    "repetitions in the query in full": _but(BM25, (" * (k3 + 1) * qf / (qf + k3)", " * qf")),
    "repetitions in the query not at all": _but(BM25, (" * (k3 + 1) * qf / (qf + k3)", "")),
    "each repetition once more": _but(BM25, ("for t in set(query)", "for t in query")),
    "each repetition, without k3": _but(
        BM25, ("for t in set(query)", "for t in query"), (" * (k3 + 1) * qf / (qf + k3)", "")
    ),
    "IDF without 1 +": _but(BM25, ("np.log(1 + (N - df", "np.log((N - df")),
    "plain IDF": _but(BM25, ("np.log(1 + (N - df + 0.5) / (df + 0.5))", "np.log(N / df)")),
    "no halves": _but(BM25, ("(N - df + 0.5) / (df + 0.5)", "(N - df) / df")),
    "IDF by occurrences": _but(BM25, ("sum(t in words for words", "sum(words.count(t) for words")),
    "logarithm to base 2": _but(BM25, ("np.log(", "np.log2(")),
    "empty documents are none": _but(
        BM25,
        (
            "    N = len(documents)\n",
            "    documents = {n: w for n, w in documents.items() if w}\n    N = len(documents)\n",
        ),
    ),
    "L without empty documents": _but(
        BM25,
        (
            "for words in documents.values()) / N",
            "for words in documents.values()) / sum(map(bool, documents.values()))",
        ),
    ),
    "length in different words": _but(BM25, ("b * len(words) / L", "b * len(set(words)) / L")),
    "b on the wrong side": _but(
        BM25, ("1 - b + b * len(words) / L", "b + (1 - b) * len(words) / L")
    ),
    "length turned round": _but(BM25, ("b * len(words) / L", "b * L / len(words)")),
    "K not times k1": _but(
        BM25, ("k1 * (1 - b + b * len(words) / L)", "k1 + (1 - b + b * len(words) / L)")
    ),
    "documents at 0 are found": _but(
        BM25, ("scores = {}", "scores = dict.fromkeys(documents, 0.0)")
    ),
    "ties in the order of arrival": _but(
        BM25, ("key=lambda one: (-one[1], one[0])", "key=lambda one: -one[1]")
    ),
    "ties from the end of the alphabet": _but(
        BM25,
        ("key=lambda one: (-one[1], one[0])", "key=lambda one: (one[1], one[0]), reverse=True"),
    ),
    "worst first": _but(BM25, ("(-one[1], one[0])", "(one[1], one[0])")),
    "all of them": _but(BM25, ("[:k]", "")),
    "names alone": _but(BM25, ("return sorted", "return [n for n, _ in sorted"), ("[:k]", "][:k]")),
    "b as k3": _but(BM25, ("(k3 + 1) * qf / (qf + k3)", "(b + 1) * qf / (qf + b)")),
}
ALTERNATIVES["q02-scoring"] = {
    "document at a time": """
import math
from collections import Counter


def bm25(documents, query, k1, b, k3, k):
    wanted = Counter(query)
    counts = {name: Counter(words) for name, words in documents.items()}
    N, L = len(documents), sum(map(len, documents.values())) / len(documents)
    df = Counter(word for own in counts.values() for word in own)
    found = []
    for name in sorted(documents):
        own, score = counts[name], 0.0
        shared = [word for word in wanted if own[word]]
        for word in shared:
            saturated = own[word] / (own[word] + k1 * (1 - b + b * own.total() / L))
            again = wanted[word] / (wanted[word] + k3)
            idf = math.log((N + 1) / (df[word] + 0.5))
            score += idf * saturated * again
        if shared:
            found.append((name, score * (k1 + 1) * (k3 + 1)))
    found.sort(key=lambda one: one[1], reverse=True)
    return found[:k]
""",
    "arrays, float32": """
def bm25(documents, query, k1, b, k3, k):
    names, terms = sorted(documents), sorted(set(query))
    if not terms:
        return []
    tf = np.array([[documents[name].count(t) for t in terms] for name in names], np.float32)
    length = np.array([len(documents[name]) for name in names], np.float32)
    df = (tf > 0).sum(axis=0)
    idf = np.log1p((len(names) - df + 0.5) / (df + 0.5)).astype(np.float32)
    qf = np.array([query.count(t) for t in terms], np.float32)
    K = k1 * (1 - b + b * length / length.mean())[:, None]
    safe = np.where(tf > 0, tf + K, 1)
    parts = (k1 + 1) * tf / safe * idf * (k3 + 1) * qf / (qf + k3)
    scores = parts.astype(np.float64).sum(axis=1)
    order = [i for i in np.argsort(-scores, kind="stable") if tf[i].any()]
    return [(names[i], float(scores[i])) for i in order[:k]]
""",
}


JUDGE = """
def judge(scores, grades, k):
    found = {"recall": [], "rr": [], "ndcg": []}
    for own, worth in zip(scores, grades):
        if max(worth) == 0:
            for name in found:
                found[name].append(None)
            continue
        order = sorted(range(len(own)), key=lambda i: (-own[i], worth[i]))
        ranked = [worth[i] for i in order]
        best = sorted(worth, reverse=True)
        relevant = sum(g > 0 for g in worth)
        hits = [i for i, g in enumerate(ranked, 1) if g > 0]
        dcg = sum((2**g - 1) / np.log2(i + 1) for i, g in enumerate(ranked[:k], 1))
        ideal = sum((2**g - 1) / np.log2(i + 1) for i, g in enumerate(best[:k], 1))
        found["recall"].append(sum(g > 0 for g in ranked[:k]) / relevant)
        found["rr"].append(1 / hits[0])
        found["ndcg"].append(float(dcg / ideal))
    return found
"""
_DCG, _IDEAL = (
    f"sum((2**g - 1) / np.log2(i + 1) for i, g in enumerate({name}[:k], 1))"
    for name in ("ranked", "best")
)

MUTANTS["q03-measures"] = {
    "ties in the order of the list": _but(JUDGE, ("(-own[i], worth[i])", "-own[i]")),
    "ties as won": _but(JUDGE, ("(-own[i], worth[i])", "(-own[i], -worth[i])")),
    "lowest score first": _but(JUDGE, ("(-own[i], worth[i])", "(own[i], worth[i])")),
    "linear gain": _but(
        JUDGE, (_DCG, _DCG.replace("2**g - 1", "g")), (_IDEAL, _IDEAL.replace("2**g - 1", "g"))
    ),
    "gain without - 1": _but(
        JUDGE,
        (_DCG, _DCG.replace("2**g - 1", "2**g")),
        (_IDEAL, _IDEAL.replace("2**g - 1", "2**g")),
    ),
    "discount of the original": _but(
        JUDGE,
        (_DCG, _DCG.replace("np.log2(i + 1)", "max(1, np.log2(i))")),
        (_IDEAL, _IDEAL.replace("np.log2(i + 1)", "max(1, np.log2(i))")),
    ),
    "discount by the rank": _but(
        JUDGE,
        (_DCG, _DCG.replace("np.log2(i + 1)", "i")),
        (_IDEAL, _IDEAL.replace("np.log2(i + 1)", "i")),
    ),
    "best of all documents": _but(JUDGE, ("enumerate(best[:k], 1)", "enumerate(best, 1)")),
    "best of those found": _but(
        JUDGE,
        ("best = sorted(worth, reverse=True)", "best = sorted(ranked[:k], reverse=True)"),
        ("append(float(dcg / ideal))", "append(float(dcg / ideal) if ideal else 0.0)"),
    ),
    "no ideal": _but(JUDGE, ("float(dcg / ideal)", "float(dcg)")),
    "precision": _but(JUDGE, ("/ relevant)", "/ k)")),
    "hit or miss": _but(
        JUDGE,
        ("append(sum(g > 0 for g in ranked[:k]) / relevant)", "append(float(any(ranked[:k])))"),
    ),
    "recall of grades": _but(
        JUDGE,
        (
            "append(sum(g > 0 for g in ranked[:k]) / relevant)",
            "append(sum(ranked[:k]) / sum(worth))",
        ),
    ),
    "reciprocal rank from 0": _but(JUDGE, ("1 / hits[0]", "1 / max(1, hits[0] - 1)")),
    "reciprocal rank cut at k": _but(
        JUDGE, ("append(1 / hits[0])", "append(1 / hits[0] if hits[0] <= k else 0.0)")
    ),
    "rank of the best grade": _but(JUDGE, ("1 / hits[0]", "1 / (1 + ranked.index(max(ranked)))")),
    "0 where nothing is relevant": _but(JUDGE, ("append(None)", "append(0.0)")),
    "left out where nothing is relevant": _but(
        JUDGE, ("                found[name].append(None)", "                pass")
    ),
    "means": _but(
        JUDGE,
        (
            "    return found",
            "    return {n: np.mean([v for v in vs if v is not None]) for n, vs in found.items()}",
        ),
    ),
    "scikit-learn": """
def judge(scores, grades, k):
    from sklearn.metrics import ndcg_score
"""
    + JUDGE.split("\n", 2)[2].replace(
        "float(dcg / ideal)", "float(ndcg_score([worth], [own], k=k)) if len(own) > 1 else 1.0"
    ),
    "sorts what it is given": _but(
        JUDGE,
        ("best = sorted(worth, reverse=True)", "worth.sort(reverse=True)\n        best = worth"),
    ),
}
ALTERNATIVES["q03-measures"] = {
    "arrays": """
def judge(scores, grades, k):
    found = {"recall": [], "rr": [], "ndcg": []}
    for own, worth in zip(scores, grades):
        own, worth = np.array(own), np.array(worth)
        ranked = worth[np.lexsort((worth, -own))]
        hits = ranked > 0
        if not hits.any():
            values = None, None, None
        else:
            weights = (np.arange(len(own)) < k) / np.log2(np.arange(len(own)) + 2)
            gains, best = 2.0**ranked - 1, 2.0 ** np.sort(worth)[::-1] - 1
            values = (
                hits[:k].sum() / hits.sum(),
                1 / (hits.argmax() + 1),
                gains @ weights / (best @ weights),
            )
        for name, value in zip(found, values):
            found[name].append(value if value is None else float(value))
    return found
""",
    "torch, float32": """
import math


def judge(scores, grades, k):
    def one(own, worth):
        pairs = sorted(zip(own, worth), key=lambda pair: (pair[0], -pair[1]))[::-1]
        ranked = torch.tensor([g for _, g in pairs], dtype=torch.float32)
        if not ranked.sum():
            return None, None, None
        best = ranked.sort(descending=True).values
        i = torch.arange(1, len(ranked) + 1)
        dcg, ideal = ((((2**g - 1) / torch.log2(i + 1.0))[:k]).sum() for g in (ranked, best))
        first = int((ranked > 0).nonzero()[0]) + 1
        hits = ranked > 0
        return float(hits[:k].sum() / hits.sum()), 1 / first, float(dcg / ideal)

    rows = [one(own, worth) for own, worth in zip(scores, grades)]
    return dict(zip(("recall", "rr", "ndcg"), map(list, zip(*rows))))
""",
}


BATCH = """
def in_batch(x, z, passages, tau):
    B = len(x)
    s = x @ z.T / tau
    own = torch.eye(B, dtype=torch.bool)
    copies = (passages[:, None] == passages) & ~own
    s = s.masked_fill(copies, -torch.inf)
    p, q = s.softmax(dim=1), s.softmax(dim=0)
    loss = -(s.log_softmax(dim=1).diagonal() + s.log_softmax(dim=0).diagonal()).sum() / (2 * B)
    ds = (p - own.to(x) + q - own.to(x)) / (2 * B)
    return {"loss": loss, "x": ds @ z / tau, "z": ds.T @ x / tau}
"""
_AUTO = """
def in_batch(x, z, passages, tau):
    x, z = x.detach().clone().requires_grad_(), z.detach().clone().requires_grad_()
    B = len(x)
    s = x @ z.T / tau
    same = passages[:, None] == passages
    s = s.masked_fill(same & ~torch.eye(B, dtype=torch.bool), -torch.inf)
    loss = (F.cross_entropy(s, torch.arange(B)) + F.cross_entropy(s.T, torch.arange(B))) / 2
    dx, dz = torch.autograd.grad(loss, (x, z))
    return {"loss": loss.detach(), "x": dx, "z": dz}
"""

MUTANTS["q04-in-batch"] = {
    "one side": _but(
        _AUTO,
        (
            "(F.cross_entropy(s, torch.arange(B)) + F.cross_entropy(s.T, torch.arange(B))) / 2",
            "F.cross_entropy(s, torch.arange(B))",
        ),
    ),
    "the other side": _but(
        _AUTO,
        (
            "(F.cross_entropy(s, torch.arange(B)) + F.cross_entropy(s.T, torch.arange(B))) / 2",
            "F.cross_entropy(s.T, torch.arange(B))",
        ),
    ),
    "not halved": _but(_AUTO, (" / 2\n", "\n")),
    "sum over pairs": _but(_AUTO, (") / 2\n", ") / 2 * B\n")),
    "times τ": _but(_AUTO, ("x @ z.T / tau", "x @ z.T * tau")),
    "no τ": _but(_AUTO, ("x @ z.T / tau", "x @ z.T")),
    "copies are negatives": _but(
        _AUTO, ("same & ~torch.eye(B, dtype=torch.bool)", "same & (passages < passages)")
    ),
    "copies on one side alone": _but(
        _AUTO,
        ("    s = s.masked_fill(", "    t = s\n    s = s.masked_fill("),
        ("F.cross_entropy(s.T, torch.arange(B))", "F.cross_entropy(t.T, torch.arange(B))"),
    ),
    "copies are right, too": """
def in_batch(x, z, passages, tau):
    x, z = x.detach().clone().requires_grad_(), z.detach().clone().requires_grad_()
    s = x @ z.T / tau
    same = passages[:, None] == passages
    right = s.masked_fill(~same, -torch.inf)
    rows = s.logsumexp(dim=1) - right.logsumexp(dim=1)
    columns = s.logsumexp(dim=0) - right.logsumexp(dim=0)
    loss = (rows + columns).mean() / 2
    dx, dz = torch.autograd.grad(loss, (x, z))
    return {"loss": loss.detach(), "x": dx, "z": dz}
""",
    "copies at 0 before softmax": _but(_AUTO, ("-torch.inf", "0.0")),
    "brought to length 1": _but(
        _AUTO, ("s = x @ z.T / tau", "s = F.normalize(x, dim=1) @ F.normalize(z, dim=1).T / tau")
    ),
    "the diagonal is hidden": _but(
        _AUTO, ("same & ~torch.eye(B, dtype=torch.bool)", "same"), ("-torch.inf", "-1e4")
    ),
    "overflows": _but(
        BATCH,
        (
            "p, q = s.softmax(dim=1), s.softmax(dim=0)",
            "e = s.exp()\n    p, q = e / e.sum(dim=1, keepdim=True), e / e.sum(dim=0)",
        ),
        (
            "-(s.log_softmax(dim=1).diagonal() + s.log_softmax(dim=0).diagonal()).sum()",
            "-(p.log().diagonal() + q.log().diagonal()).sum()",
        ),
    ),
    "gradient without τ": _but(BATCH, ("ds @ z / tau", "ds @ z")),
    "gradient of the sum": _but(BATCH, ("own.to(x)) / (2 * B)", "own.to(x)) / 2")),
    "gradient of one side": _but(
        BATCH, ("(p - own.to(x) + q - own.to(x)) / (2 * B)", "(p - own.to(x)) / B")
    ),
    "∂z without turning": _but(BATCH, ("ds.T @ x / tau", "ds @ x / tau")),
    "∂x by x": _but(BATCH, ("ds @ z / tau", "ds @ x / tau")),
    "the other sign": _but(
        BATCH,
        ('"x": ds @ z / tau, "z": ds.T @ x / tau', '"x": -ds @ z / tau, "z": -ds.T @ x / tau'),
    ),
    "a loss a pair": _but(BATCH, (".diagonal()).sum() / (2 * B)", ".diagonal()) / 2")),
}
ALTERNATIVES["q04-in-batch"] = {
    "autograd": _AUTO,
    "by hand": BATCH,
    "NumPy, pair by pair": """
def in_batch(x, z, passages, tau):
    a, c, numbers = (np.asarray(one) for one in (x, z, passages))
    B, loss = len(a), 0.0
    dx, dz = np.zeros(a.shape), np.zeros(c.shape)
    for i in range(B):
        allowed = [j for j in range(B) if j == i or numbers[j] != numbers[i]]
        for mine, theirs, d_mine, d_theirs in ((a, c, dx, dz), (c, a, dz, dx)):
            scores = np.array([mine[i] @ theirs[j] for j in allowed], np.float64) / tau
            p = np.exp(scores - scores.max())
            p /= p.sum()
            loss += np.log(np.exp(scores - scores.max()).sum()) + scores.max()
            loss -= mine[i] @ theirs[i] / tau
            for j, share in zip(allowed, p):
                share -= j == i
                d_mine[i] += share * theirs[j] / (2 * B * tau)
                d_theirs[j] += share * mine[i] / (2 * B * tau)
    return {
        "loss": float(loss / (2 * B)),
        "x": torch.as_tensor(dx).to(x.dtype),
        "z": torch.as_tensor(dz).to(z.dtype),
    }
""",
}


LENS = """
def lens_ranks(stream, g, h, eps, output, tied, targets):
    mean = stream.mean(dim=-1, keepdim=True)
    variance = stream.var(dim=-1, correction=0, keepdim=True)
    z = g * (stream - mean) / torch.sqrt(variance + eps) + h
    logits = z @ (output.T if tied else output)
    own = logits[:, torch.arange(len(targets)), targets][:, :, None]
    ranks = (logits >= own).sum(dim=-1)
    P, T = ranks.shape
    settled = torch.full((T,), P)
    for t in range(T):
        for p in range(P):
            if (ranks[p:, t] == 1).all():
                settled[t] = p
                break
    return {"ranks": ranks, "settled": settled}
"""

MUTANTS["q05-lens"] = {
    "no norm": _but(
        LENS, ("z = g * (stream - mean) / torch.sqrt(variance + eps) + h", "z = stream")
    ),
    "no gain, no shift": _but(LENS, ("g * (stream", "(stream"), ("eps) + h", "eps)")),
    "no shift": _but(LENS, ("eps) + h", "eps)")),
    "shift before the gain": _but(
        LENS,
        (
            "g * (stream - mean) / torch.sqrt(variance + eps) + h",
            "g * ((stream - mean) / torch.sqrt(variance + eps) + h)",
        ),
    ),
    "RMS norm": _but(
        LENS,
        (
            "g * (stream - mean) / torch.sqrt(variance + eps) + h",
            "g * stream / (stream**2).mean(-1, keepdim=True).add(eps).sqrt() + h",
        ),
    ),
    "ε outside the root": _but(
        LENS, ("torch.sqrt(variance + eps)", "(torch.sqrt(variance) + eps)")
    ),
    "variance by d - 1": _but(LENS, ("correction=0", "correction=1")),
    "not the root": _but(LENS, ("torch.sqrt(variance + eps)", "(variance + eps)")),
    "norm over positions": _but(
        LENS,
        ("stream.mean(dim=-1,", "stream.mean(dim=1,"),
        ("stream.var(dim=-1,", "stream.var(dim=1,"),
    ),
    "from 0": _but(
        LENS,
        ("(logits >= own).sum(dim=-1)", "(logits > own).sum(dim=-1)"),
        ("== 1).all()", "== 0).all()"),
    ),
    "ties as won": _but(LENS, ("(logits >= own).sum(dim=-1)", "1 + (logits > own).sum(dim=-1)")),
    "the lowest first": _but(LENS, ("(logits >= own)", "(logits <= own)")),
    "ranks by argsort": _but(
        LENS,
        (
            "(logits >= own).sum(dim=-1)",
            "1 + (torch.argsort(-logits, dim=-1, stable=True) == targets[:, "
            "None]).int().argmax(-1)",
        ),
    ),
    "always tied": _but(
        LENS,
        (
            "(output.T if tied else output)",
            "(output.T if output.shape[1] == z.shape[2] else output)",
        ),
    ),
    "tied turned round": _but(
        LENS, ("(output.T if tied else output)", "(output.T if not tied else output)")
    ),
    "the first place with rank 1": _but(
        LENS, ("(ranks[p:, t] == 1).all()", "(ranks[p, t] == 1).all()")
    ),
    "settled from the last": _but(
        LENS,
        (
            "            if (ranks[p:, t] == 1).all():\n"
            "                settled[t] = p\n"
            "                break",
            "            if (ranks[p:, t] == 1).all():\n                settled[t] = p",
        ),
    ),
    "never is -1": _but(LENS, ("torch.full((T,), P)", "torch.full((T,), -1)")),
    "never is the last place": _but(LENS, ("torch.full((T,), P)", "torch.full((T,), P - 1)")),
    "float ranks": _but(LENS, ('"ranks": ranks,', '"ranks": ranks.double(),')),
    "writes into the stream": _but(
        LENS, ("z = g * (stream - mean) /", "stream -= mean\n    z = g * stream /")
    ),
}
ALTERNATIVES["q05-lens"] = {
    "by hand": LENS,
    "NumPy": """
def lens_ranks(stream, g, h, eps, output, tied, targets):
    x, g, h, E, targets = (np.asarray(a) for a in (stream, g, h, output, targets))
    E = E if tied else E.T
    centred = x - x.mean(-1, keepdims=True)
    z = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * g + h
    logits = np.einsum("ptk,vk->ptv", z, E)
    P, T = x.shape[:2]
    ranks = np.zeros((P, T), np.int64)
    for p in range(P):
        for t in range(T):
            others = np.delete(logits[p, t], targets[t])
            ranks[p, t] = 1 + (others >= logits[p, t, targets[t]]).sum()
    settled = [
        min([p for p in range(P) if (ranks[p:, t] == 1).all()], default=P) for t in range(T)
    ]
    return {"ranks": torch.tensor(ranks), "settled": torch.tensor(settled)}
""",
    "from the end": """
def lens_ranks(stream, g, h, eps, output, tied, targets):
    z = F.layer_norm(stream, g.shape, weight=g, bias=h, eps=eps)
    logits = F.linear(z, output if tied else output.mT)
    own = torch.stack([logits[:, t, v] for t, v in enumerate(targets.tolist())], dim=1)
    ranks = torch.searchsorted((-logits).sort(dim=-1).values, -own[..., None], right=True)[..., 0]
    settled = []
    for column in ranks.T.tolist():
        place = len(column)
        while place and column[place - 1] == 1:
            place -= 1
        settled.append(place)
    return {"ranks": ranks.int(), "settled": torch.tensor(settled, dtype=torch.int32)}
""",
}


CUT = """
def windows(layers, width):
    found = []
    for layer in range(layers):
        start = layer - width // 2
        found.append([other for other in range(start, start + width) if 0 <= other < layers])
    return found


def knockout_mask(length, sources, target):
    mask = torch.full((length, length), -torch.inf).triu(1)
    for source in sources:
        mask[target, source] = -torch.inf
    if (mask[target] == -torch.inf).all():
        mask[target, target] = 0.0
    return mask
"""
_ROW = "mask[target, source] = -torch.inf"

MUTANTS["q06-knockout-mask"] = {
    "the extra layer above": _but(CUT, ("layer - width // 2", "layer - (width - 1) // 2")),
    "a layer too many": _but(
        CUT, ("range(start, start + width)", "range(start, start + width + 1)")
    ),
    "begins at the layer": _but(CUT, ("layer - width // 2", "layer")),
    "ends at the layer": _but(CUT, ("layer - width // 2", "layer - width + 1")),
    "always odd": _but(
        CUT, ("range(start, start + width)", "range(start, layer + width // 2 + 1)")
    ),
    "goes round": _but(
        CUT,
        (
            "[other for other in range(start, start + width) if 0 <= other < layers]",
            "sorted({other % layers for other in range(start, start + width)})",
        ),
    ),
    "moved inwards": _but(
        CUT,
        ("start = layer - width // 2", "start = max(0, min(layer - width // 2, layers - width))"),
    ),
    "beyond the ends": _but(CUT, (" if 0 <= other < layers", "")),
    "half a model": _but(CUT, ("if 0 <= other < layers", "if 0 < other < layers")),
    "rows and columns": _but(CUT, (_ROW, "mask[source, target] = -torch.inf")),
    "all rows": _but(CUT, (_ROW, "mask[:, source] = -torch.inf")),
    "the last row": _but(CUT, (_ROW, "mask[-1, source] = -torch.inf")),
    "not causal": _but(
        CUT, ("torch.full((length, length), -torch.inf).triu(1)", "torch.zeros(length, length)")
    ),
    "the target's future comes back": _but(
        CUT, ("    for source in sources:", "    mask[target] = 0.0\n    for source in sources:")
    ),
    "itself is hidden": _but(
        CUT,
        (
            "torch.full((length, length), -torch.inf).triu(1)",
            "torch.full((length, length), -torch.inf).triu(0)",
        ),
    ),
    "an empty row": _but(CUT, ("mask[target, target] = 0.0", "pass")),
    "all come back": _but(CUT, ("mask[target, target] = 0.0", "mask[target, : target + 1] = 0.0")),
    "itself always comes back": _but(CUT, ("if (mask[target] == -torch.inf).all():", "if True:")),
    "truth values": _but(CUT, ("return mask", "return mask == 0")),
    "-10000": _but(CUT, ("    return mask", "    return mask.clamp(min=-1e4)")),
    "nan": _but(
        CUT,
        (
            "torch.full((length, length), -torch.inf).triu(1)",
            "torch.ones(length, length).triu(1) * -torch.inf",
        ),
    ),
    "changes the sources": _but(
        CUT, ("    for source in sources:", "    while sources:\n        source = sources.pop()")
    ),
}
ALTERNATIVES["q06-knockout-mask"] = {
    "loops": """
def windows(layers, width):
    half = width // 2
    return [
        [o for o in range(layers) if -half <= o - layer < width - half] for layer in range(layers)
    ]


def knockout_mask(length, sources, target):
    rows = []
    for i in range(length):
        rows.append([0.0 if j <= i else float("-inf") for j in range(length)])
    row = [float("-inf") if j in sources else value for j, value in enumerate(rows[target])]
    if 0.0 not in row:
        row[target] = 0.0
    rows[target] = row
    return torch.tensor(rows)
""",
    "NumPy": """
def windows(layers, width):
    start = np.arange(layers) - width // 2
    return [list(np.arange(layers)[max(s, 0) : max(s + width, 0)].tolist()) for s in start]


def knockout_mask(length, sources, target):
    mask = np.where(np.tri(length, dtype=bool), 0.0, -np.inf)
    mask[target, list(sources)] = -np.inf
    if np.isinf(mask[target]).all():
        mask[target, target] = 0
    return torch.from_numpy(mask).float()
""",
}


KNOCKOUT = """
def knockout(model, ids, lengths, hidden, answers, width):
    B, T = ids.shape
    layers, half = len(model.blocks), width // 2

    def probability(masks):
        logits = model(ids, masks)
        return torch.stack(
            [logits[b, lengths[b] - 1].softmax(dim=-1)[answers[b]] for b in range(B)]
        )

    def causal():
        return torch.ones(layers, B, T, T, dtype=torch.bool).tril()

    p = probability(causal())
    change = torch.zeros(layers, B, dtype=p.dtype)
    for layer in range(layers):
        masks = causal()
        for other in range(max(0, layer - half), min(layers, layer + half + 1)):
            for b in range(B):
                for place in hidden[b]:
                    masks[other, b, lengths[b] - 1, place] = False
        change[layer] = (probability(masks) - p) / p
    return {"p": p, "change": change}
"""
_EDGE = "masks[other, b, lengths[b] - 1, place] = False"
_LAYERS = "range(max(0, layer - half), min(layers, layer + half + 1))"
_CHANGE = "(probability(masks) - p) / p"

MUTANTS["q07-knockout"] = {
    "absolute": _but(KNOCKOUT, (_CHANGE, "probability(masks) - p")),
    "quotient": _but(KNOCKOUT, (_CHANGE, "probability(masks) / p")),
    "the other sign": _but(KNOCKOUT, (_CHANGE, "(p - probability(masks)) / p")),
    "of what is left": _but(KNOCKOUT, (_CHANGE, "(probability(masks) - p) / probability(masks)")),
    "logarithms": _but(KNOCKOUT, (_CHANGE, "(probability(masks) / p).log()")),
    "logits": _but(KNOCKOUT, (".softmax(dim=-1)[answers[b]]", "[answers[b]]")),
    "the last column of the batch": _but(
        KNOCKOUT,
        ("logits[b, lengths[b] - 1]", "logits[b, -1]"),
        (_EDGE, "masks[other, b, -1, place] = False"),
    ),
    "read after the padding": _but(KNOCKOUT, ("logits[b, lengths[b] - 1]", "logits[b, -1]")),
    "cut after the padding": _but(KNOCKOUT, (_EDGE, "masks[other, b, -1, place] = False")),
    "a token too far": _but(
        KNOCKOUT, ("logits[b, lengths[b] - 1]", "logits[b, min(lengths[b], T - 1)]")
    ),
    "the column of the last token": _but(
        KNOCKOUT, (_EDGE, "masks[other, b, place, lengths[b] - 1] = False")
    ),
    "hidden from all": _but(KNOCKOUT, (_EDGE, "masks[other, b, place + 1 :, place] = False")),
    "hidden from all, and from itself": _but(
        KNOCKOUT, (_EDGE, "masks[other, b, place:, place] = False")
    ),
    "hidden from all texts": _but(
        KNOCKOUT, (_EDGE, "masks[other, :, lengths[b] - 1, place] = False")
    ),
    "the tokens of the first text": _but(KNOCKOUT, ("in hidden[b]:", "in hidden[0]:")),
    "all but the hidden": _but(
        KNOCKOUT,
        ("for place in hidden[b]:", "for place in set(range(lengths[b] - 1)) - set(hidden[b]):"),
    ),
    "one layer": _but(KNOCKOUT, (_LAYERS, "[layer]")),
    "a layer too few": _but(KNOCKOUT, ("layer + half + 1", "layer + half")),
    "from the layer on": _but(KNOCKOUT, (_LAYERS, "range(layer, min(layers, layer + width))")),
    "up to the layer": _but(KNOCKOUT, (_LAYERS, "range(max(0, layer - width + 1), layer + 1)")),
    "twice as wide": _but(KNOCKOUT, (", width // 2", ", width")),
    "goes round": _but(
        KNOCKOUT, (_LAYERS, "(o % layers for o in range(layer - half, layer + half + 1))")
    ),
    "begins below the first": _but(
        KNOCKOUT, (_LAYERS, "range(layer - half, min(layers, layer + half + 1))")
    ),
    "masks grow": _but(
        KNOCKOUT,
        (
            "    for layer in range(layers):\n        masks = causal()\n",
            "    masks = causal()\n    for layer in range(layers):\n",
        ),
    ),
    "not causal": _but(KNOCKOUT, ("dtype=torch.bool).tril()", "dtype=torch.bool)")),
    "texts by layers": _but(KNOCKOUT, ('"change": change}', '"change": change.T}')),
}
ALTERNATIVES["q07-knockout"] = {
    "loops": KNOCKOUT,
    "a text at a time, block by block": """
def knockout(model, ids, lengths, hidden, answers, width):
    ps, changes = [], []
    for text, length, places, answer in zip(ids, lengths, hidden, answers):
        text = text[None, :length]
        full = torch.ones(1, length, length, dtype=torch.bool).tril()
        cut = full.clone()
        cut[0, -1, list(places)] = False

        def p(chosen):
            x = model.embed(text)
            for number, block in enumerate(model.blocks):
                x = block(x, cut if number in chosen else full)
            return float(model.read(x)[0, -1].softmax(-1)[answer])

        layers = range(len(model.blocks))
        ps.append(p([]))
        changes.append(
            [p([o for o in layers if abs(o - at) <= width // 2]) / ps[-1] - 1 for at in layers]
        )
    return {"p": torch.tensor(ps), "change": torch.tensor(changes).T}
""",
    "one large batch": """
def knockout(model, ids, lengths, hidden, answers, width):
    layers, (B, T) = len(model.blocks), ids.shape
    last = torch.tensor(lengths) - 1
    edges = torch.zeros(B, T, T, dtype=torch.bool)
    for b in range(B):
        for place in hidden[b]:
            edges[b, last[b], place] = True
    where = torch.arange(layers)
    near = (where[:, None] - where).abs() <= width // 2  # (layer in the middle, layer cut)
    near = torch.cat([torch.zeros(1, layers, dtype=torch.bool), near])
    hide = near.T[:, :, None, None, None] & edges  # (layer cut, variant, B, T, T)
    masks = torch.tril(~hide).flatten(1, 2)
    logits = model(ids.repeat(layers + 1, 1), masks).unflatten(0, (layers + 1, B))
    p = logits[:, torch.arange(B), last].softmax(dim=-1)[:, torch.arange(B), answers]
    return {"p": p[0], "change": p[1:] / p[0] - 1}
""",
}


PATCHING = """
def patching(model, clean, corrupted, answer):
    def measure(ids, hooks=()):
        handles = []
        try:
            for block, hook in hooks:
                handles.append(block.register_forward_hook(hook))
            logits = model(ids[None])[0, -1]
        finally:
            for handle in handles:
                handle.remove()
        return logits.log_softmax(dim=-1)[answer]

    cache = {}

    def keep(block, inputs, output):
        cache[block] = output.clone()

    best = measure(clean, [(block, keep) for block in model.blocks])
    worst = measure(corrupted)
    effect = torch.zeros(len(model.blocks), len(clean), dtype=best.dtype)
    if (best - worst).abs() < 1e-6:
        return effect
    for layer, block in enumerate(model.blocks):
        for t in range(len(clean)):

            def exchange(block, inputs, output):
                output = output.clone()
                output[:, t] = cache[block][:, t]
                return output

            effect[layer, t] = (measure(corrupted, [(block, exchange)]) - worst) / (best - worst)
    return effect
"""
_FINALLY = """        finally:
            for handle in handles:
                handle.remove()
"""
_TRY = """        try:
            for block, hook in hooks:
                handles.append(block.register_forward_hook(hook))
            logits = model(ids[None])[0, -1]
"""
_PLAIN = """        for block, hook in hooks:
            handles.append(block.register_forward_hook(hook))
        logits = model(ids[None])[0, -1]
"""
_EFFECT = "(measure(corrupted, [(block, exchange)]) - worst) / (best - worst)"

MUTANTS["q08-patching"] = {
    "the error is kept": _but(
        PATCHING,
        ("def patching(model", "def patched(model"),
        (
            "            effect[layer, t] = " + _EFFECT + "\n    return effect\n",
            "            effect[layer, t] = " + _EFFECT + "\n    return effect\n\n\n"
            "def patching(model, clean, corrupted, answer):\n"
            "    try:\n        return patched(model, clean, corrupted, answer)\n"
            "    except RuntimeError:\n        return torch.zeros(len(model.blocks), len(clean))\n",
        ),
    ),
    "only m that are equal": _but(PATCHING, ("(best - worst).abs() < 1e-6", "best == worst")),
    "hooks stay": _but(PATCHING, (_TRY + _FINALLY, _PLAIN)),
    "hooks stay after an error": _but(
        PATCHING,
        (_TRY + _FINALLY, _PLAIN + "        for handle in handles:\n            handle.remove()\n"),
    ),
    "one hook stays": _but(PATCHING, ("for handle in handles:", "for handle in handles[1:]:")),
    "hooks are taken off at the end": """
def patching(model, clean, corrupted, answer):
    layers, T = len(model.blocks), len(clean)
    handles, state = [], {"keep": True, "at": None}
    cache = [None] * layers

    def hook_of(layer):
        def hook(_, __, output):
            if state["keep"]:
                cache[layer] = output.clone()
            elif state["at"] is not None and state["at"][0] == layer:
                output = output.clone()
                output[:, state["at"][1]] = cache[layer][:, state["at"][1]]
                return output

        return hook

    for layer, block in enumerate(model.blocks):
        handles.append(block.register_forward_hook(hook_of(layer)))

    def measure(ids):
        return model(ids[None])[0, -1].log_softmax(dim=-1)[answer]

    best = measure(clean)
    state["keep"] = False
    worst = measure(corrupted)
    effect = torch.zeros(layers, T, dtype=best.dtype)
    if abs(best - worst) >= 1e-6:
        for layer in range(layers):
            for t in range(T):
                state["at"] = layer, t
                effect[layer, t] = (measure(corrupted) - worst) / (best - worst)
    for handle in handles:
        handle.remove()
    return effect
""",
    "all positions": _but(
        PATCHING, ("output[:, t] = cache[block][:, t]", "output[:] = cache[block]")
    ),
    "all layers": _but(
        PATCHING, ("[(block, exchange)]", "[(one, exchange) for one in model.blocks]")
    ),
    "what goes into the block": _but(
        PATCHING,
        ("cache[block] = output.clone()", "cache[block] = inputs[0].clone()"),
        (
            "output = output.clone()\n                output[:, t] = cache[block][:, t]\n",
            "x = inputs[0].clone()\n"
            "                x[:, t] = cache[block][:, t]\n"
            "                output = block.forward(x, inputs[1])\n",
        ),
    ),
    "the vector that goes into the block": _but(
        PATCHING, ("cache[block] = output.clone()", "cache[block] = inputs[0].clone()")
    ),
    "the roles turned round": _but(
        PATCHING,
        (
            "def patching(model, clean, corrupted, answer):\n",
            "def patching(model, corrupted, clean, answer):\n",
        ),
    ),
    "the corrupted vectors again": _but(
        PATCHING,
        (
            "best = measure(clean, [(block, keep) for block in model.blocks])\n"
            "    worst = measure(corrupted)",
            "best = measure(clean)\n"
            "    worst = measure(corrupted, [(block, keep) for block in model.blocks])",
        ),
    ),
    "not normalised": _but(PATCHING, (_EFFECT, "measure(corrupted, [(block, exchange)]) - worst")),
    "from the clean end": _but(
        PATCHING, (_EFFECT, "(best - measure(corrupted, [(block, exchange)])) / (best - worst)")
    ),
    "over the clean measure": _but(
        PATCHING, (_EFFECT, "(measure(corrupted, [(block, exchange)]) - worst) / best")
    ),
    "probability": _but(PATCHING, ("log_softmax", "softmax")),
    "logit": _but(PATCHING, ("logits.log_softmax(dim=-1)[answer]", "logits[answer]")),
    "after the first token": _but(PATCHING, ("[0, -1]", "[0, 0]")),
    "0/0": _but(PATCHING, ("    if (best - worst).abs() < 1e-6:\n        return effect\n", "")),
    "shapes turned round": _but(
        PATCHING,
        (
            "            effect[layer, t] = " + _EFFECT + "\n    return effect",
            "            effect[layer, t] = " + _EFFECT + "\n    return effect.T",
        ),
        ("        return effect\n    for", "        return effect.T\n    for"),
    ),
    "always the last position": _but(
        PATCHING, ("output[:, t] = cache[block][:, t]", "output[:, -1] = cache[block][:, -1]")
    ),
    "writes into the model": _but(
        PATCHING, ("    cache = {}\n", "    cache = {}\n    model.places[: len(clean)] += 1e-3\n")
    ),
}
ALTERNATIVES["q08-patching"] = {
    "hooks in one place": PATCHING,
    "block by block": """
def patching(model, clean, corrupted, answer):
    T = len(clean)
    causal = torch.ones(1, T, T, dtype=torch.bool).tril()

    def outputs(ids):
        x, found = model.embed(ids[None]), []
        for block in model.blocks:
            x = block(x, causal)
            found.append(x)
        return found

    def m(x):
        return model.read(x)[0, -1].log_softmax(-1)[answer].item()

    good, bad = outputs(clean), outputs(corrupted)
    best, worst = m(good[-1]), m(bad[-1])
    rows = []
    for layer in range(len(model.blocks)):
        row = []
        for t in range(T):
            x = bad[layer].clone()
            x[0, t] = good[layer][0, t]
            for block in model.blocks[layer + 1 :]:
                x = block(x, causal)
            row.append(0.0 if abs(best - worst) < 1e-6 else (m(x) - worst) / (best - worst))
        rows.append(row)
    return torch.tensor(rows)
""",
    "a batch of all positions": """
from contextlib import contextmanager


@contextmanager
def hooked(block, hook):
    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def patching(model, clean, corrupted, answer):
    T, rows = len(clean), []

    def m(ids):
        return F.log_softmax(model(ids), dim=-1)[:, -1, answer]

    both = m(torch.stack([clean, corrupted]))
    gap = both[0] - both[1]
    for block in model.blocks:
        kept = []
        with hooked(block, lambda _, __, output: kept.append(output)):
            m(clean[None])

        def exchange(_, __, output):
            own = torch.eye(T, dtype=torch.bool)[:, :, None]
            return torch.where(own, kept[0], output)

        with hooked(block, exchange):
            rows.append((m(corrupted.repeat(T, 1)) - both[1]) / gap)
    effect = torch.stack(rows)
    return effect if abs(gap) >= 1e-6 else torch.zeros_like(effect)
""",
}


PROBE = """
def control_labels(types, classes, seed):
    rng = np.random.default_rng(seed)
    kinds, places = np.unique(types, return_inverse=True)
    return rng.integers(classes, size=len(kinds))[places]


def split_types(types, held, seed):
    rng = np.random.default_rng(seed)
    chosen = rng.choice(np.unique(types), held, replace=False)
    return np.isin(types, chosen)


def ridge_scores(x, labels, classes, penalty, new):
    Y = np.zeros((len(x), classes))
    Y[np.arange(len(x)), labels] = 1
    mean, base = x.mean(axis=0), Y.mean(axis=0)
    X = x - mean
    W = np.linalg.inv(X.T @ X + penalty * np.eye(X.shape[1])) @ X.T @ (Y - base)
    return (new - mean) @ W + base


def selectivity(x, labels, control, test, classes, penalty):
    shares = []
    for target in (labels, control):
        scores = ridge_scores(x[~test], target[~test], classes, penalty, x[test])
        shares.append(np.mean(scores.argmax(axis=1) == target[test]))
    return {"task": shares[0], "control": shares[1], "selectivity": shares[0] - shares[1]}
"""
_SOLVE = "np.linalg.inv(X.T @ X + penalty * np.eye(X.shape[1])) @ X.T @ (Y - base)"

MUTANTS["q09-probe"] = {
    "labels shared out": _but(
        PROBE,
        (
            "rng.integers(classes, size=len(kinds))[places]",
            "rng.permutation(np.arange(len(kinds)) % classes)[places]",
        ),
    ),
    "rows drawn, not types": _but(
        PROBE,
        (
            "rng.choice(np.unique(types), held, replace=False)",
            "list(dict.fromkeys(types[i] for i in rng.permutation(len(types))))[:held]",
        ),
    ),
    "a label for each row": _but(
        PROBE,
        (
            "rng.integers(classes, size=len(kinds))[places]",
            "rng.integers(classes, size=len(types))",
        ),
    ),
    "labels in turn": _but(
        PROBE,
        (
            "rng.integers(classes, size=len(kinds))[places]",
            "(np.arange(len(kinds)) % classes)[places]",
        ),
    ),
    "labels shifted by the seed": _but(
        PROBE,
        (
            "rng.integers(classes, size=len(kinds))[places]",
            "((np.arange(len(kinds)) + seed) % classes)[places]",
        ),
    ),
    "one label for all": _but(
        PROBE,
        (
            "rng.integers(classes, size=len(kinds))[places]",
            "np.full(len(types), rng.integers(classes))",
        ),
    ),
    "the last label never": _but(
        PROBE, ("rng.integers(classes, size", "rng.integers(max(1, classes - 1), size")
    ),
    "no seed": _but(
        PROBE,
        (
            "rng = np.random.default_rng(seed)\n    kinds",
            "rng = np.random.default_rng()\n    kinds",
        ),
    ),
    "one seed for all": _but(
        PROBE,
        (
            "rng = np.random.default_rng(seed)\n    kinds",
            "rng = np.random.default_rng(0)\n    kinds",
        ),
    ),
    "rows are split": _but(
        PROBE,
        (
            "return np.isin(types, chosen)",
            "return rng.permutation(len(types)) < len(types) * held / len(set(types))",
        ),
    ),
    "a share of the rows": _but(
        PROBE,
        (
            "rng.choice(np.unique(types), held, replace=False)",
            "rng.choice(types, held, replace=False)",
        ),
    ),
    "types drawn with repetition": _but(PROBE, ("replace=False", "replace=True")),
    "the first types": _but(
        PROBE, ("rng.choice(np.unique(types), held, replace=False)", "np.unique(types)[:held]")
    ),
    "the split turned round": _but(PROBE, ("np.isin(types, chosen)", "~np.isin(types, chosen)")),
    "no constant": _but(
        PROBE,
        (
            "mean, base = x.mean(axis=0), Y.mean(axis=0)",
            "mean, base = 0 * x.mean(axis=0), 0 * Y.mean(axis=0)",
        ),
    ),
    "the mean of Y is forgotten": _but(PROBE, ("(new - mean) @ W + base", "(new - mean) @ W")),
    "the mean of the new rows": _but(PROBE, ("(new - mean) @ W", "(new - new.mean(axis=0)) @ W")),
    "the mean of X is forgotten": _but(PROBE, ("(new - mean) @ W", "new @ W")),
    "the constant is penalized": _but(
        PROBE,
        (
            "    X = x - mean\n",
            "    X, base, mean = np.c_[x, np.ones(len(x))], 0, 0\n"
            "    new = np.c_[new, np.ones(len(new))]\n",
        ),
    ),
    "no penalty": _but(PROBE, (" + penalty * np.eye(X.shape[1])", " + 1e-6 * np.eye(X.shape[1])")),
    "times the rows": _but(PROBE, ("+ penalty * np", "+ len(x) * penalty * np")),
    "the penalty's square": _but(PROBE, ("+ penalty * np", "+ penalty**2 * np")),
    "the penalty everywhere": _but(PROBE, ("penalty * np.eye(X.shape[1])", "penalty")),
    "trained on all": _but(
        PROBE, ("ridge_scores(x[~test], target[~test],", "ridge_scores(x, target,")
    ),
    "judged where it was trained": _but(
        PROBE,
        ("penalty, x[test])", "penalty, x[~test])"),
        ("== target[test])", "== target[~test])"),
    ),
    "both sides turned round": _but(PROBE, ("    shares = []\n", "    shares, test = [], ~test\n")),
    "control judged by the task": _but(PROBE, ("== target[test])", "== labels[test])")),
    "one probe for both": _but(PROBE, ("target[~test], classes", "labels[~test], classes")),
    "quotient": _but(PROBE, ("shares[0] - shares[1]}", "shares[0] / max(shares[1], 1e-9)}")),
}
ALTERNATIVES["q09-probe"] = {
    "by the inverse": PROBE,
    "other draws, and least squares": """
import random


def control_labels(types, classes, seed):
    rng, drawn = random.Random(seed), {}
    for kind in types:
        if kind not in drawn:
            drawn[kind] = rng.randrange(classes)
    return np.array([drawn[kind] for kind in types])


def split_types(types, held, seed):
    chosen = set(random.Random(seed).sample(sorted(set(types)), held))
    return np.array([kind in chosen for kind in types])


def ridge_scores(x, labels, classes, penalty, new):
    n, d = x.shape
    X = np.hstack([x, np.ones((n, 1))])
    P = penalty * np.eye(d + 1)
    P[d, d] = 0
    W = np.linalg.solve(X.T @ X + P, X.T @ np.equal.outer(labels, np.arange(classes)))
    return np.hstack([new, np.ones((len(new), 1))]) @ W


def selectivity(x, labels, control, test, classes, penalty):
    def share(target):
        scores = ridge_scores(x[~test], target[~test], classes, penalty, x[test]).round(12)
        right = [int(np.argmax(row)) == label for row, label in zip(scores, target[test])]
        return sum(right) / len(right)

    task, other = share(labels), share(control)
    return {"task": task, "control": other, "selectivity": task - other}
""",
    "torch, in the space of rows": """
def control_labels(types, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    kinds = {kind: i for i, kind in enumerate(sorted(set(types)))}
    drawn = torch.randint(classes, (len(kinds),), generator=generator)
    return np.array([int(drawn[kinds[kind]]) for kind in types])


def split_types(types, held, seed):
    generator = torch.Generator().manual_seed(seed)
    kinds = sorted(set(types))
    order = torch.randperm(len(kinds), generator=generator)
    chosen = {kinds[i] for i in order[len(kinds) - held :].tolist()}
    return np.array([kind in chosen for kind in types], dtype=bool)


def ridge_scores(x, labels, classes, penalty, new):
    y = F.one_hot(torch.tensor(labels), classes).double()
    X, N = torch.tensor(x).double(), torch.tensor(new).double()
    mean = X.mean(dim=0)
    X, N = X - mean, N - mean
    inner = X @ X.T + penalty * torch.eye(len(X), dtype=torch.float64)
    return (N @ X.T @ torch.linalg.solve(inner, y - y.mean(dim=0)) + y.mean(dim=0)).numpy()


def selectivity(x, labels, control, test, classes, penalty):
    task, other = (
        float((scores.argmax(axis=1) == t[test]).mean())
        for t in (labels, control)
        for scores in [ridge_scores(x[~test], t[~test], classes, penalty, x[test])]
    )
    return {"task": task, "control": other, "selectivity": task - other}
""",
}


RATES = """
def attributes_rate(logits, attributes, stop_words, k):
    wanted, rates = set(attributes) - set(stop_words), []
    for row in logits:
        order = torch.argsort(row, descending=True, stable=True).tolist()
        top = [v for v in order if v not in stop_words][:k]
        rates.append(len(wanted.intersection(top)) / len(top) if top else 0.0)
    return rates


def relative_fall(before, after):
    return [None if b == 0 else (b - a) / b for b, a in zip(before, after)]


def first_extraction(updates, answers):
    layers = []
    for b, answer in enumerate(answers):
        found = None
        for layer in range(len(updates)):
            if int(updates[layer, b].argmax()) == answer:
                found = layer
                break
        layers.append(found)
    return {"layers": layers, "rate": sum(one is not None for one in layers) / len(layers)}
"""
_TOP = "[v for v in order if v not in stop_words][:k]"

MUTANTS["q10-attributes"] = {
    "stop words stay": _but(RATES, (_TOP, "order[:k]")),
    "stop words are struck out of the k": _but(
        RATES, (_TOP, "[v for v in order[:k] if v not in stop_words]")
    ),
    "stop words stay in the k": _but(
        RATES,
        (_TOP, "order[:k]"),
        (
            "wanted, rates = set(attributes) - set(stop_words), []",
            "wanted, rates = set(attributes) - set(stop_words), []  # not counted",
        ),
    ),
    "divided by k": _but(RATES, ("/ len(top) if top", "/ k if top")),
    "share of the attributes": _but(RATES, ("/ len(top) if top", "/ max(1, len(wanted)) if top")),
    "an attribute twice": _but(
        RATES, ("len(wanted.intersection(top))", "sum(v in top for v in attributes)")
    ),
    "larger ids first": _but(
        RATES,
        (
            "torch.argsort(row, descending=True, stable=True)",
            "torch.argsort(row, stable=True).flip(0)",
        ),
    ),
    "lowest first": _but(RATES, ("descending=True, ", "")),
    "k is not allowed to be large": _but(
        RATES, (_TOP, "[v for v in torch.topk(row, k).indices.tolist() if v not in stop_words][:k]")
    ),
    "0/0": _but(RATES, (" if top else 0.0", "")),
    "hit or miss": _but(
        RATES,
        (
            "len(wanted.intersection(top)) / len(top) if top else 0.0",
            "float(bool(wanted.intersection(top)))",
        ),
    ),
    "-inf is written into the logits": _but(
        RATES,
        (
            "    for row in logits:\n",
            "    for row in logits:\n        row[stop_words] = -torch.inf\n",
        ),
    ),
    "the mean over places": _but(
        RATES, ("    return rates\n", "    return [sum(rates) / len(rates)] * len(rates)\n")
    ),
    "over the rate after": _but(
        RATES, ("None if b == 0 else (b - a) / b", "None if a == 0 else (b - a) / a")
    ),
    "the other sign": _but(RATES, ("(b - a) / b", "(a - b) / b")),
    "absolute fall": _but(RATES, ("(b - a) / b", "b - a")),
    "0 where it was 0": _but(RATES, ("None if b == 0", "0.0 if b == 0")),
    "no rise": _but(RATES, ("(b - a) / b", "max(0.0, (b - a) / b)")),
    "the last layer": _but(RATES, ("                break\n", "")),
    "share of layers and texts": _but(
        RATES,
        (
            "sum(one is not None for one in layers) / len(layers)",
            "float((updates.argmax(2) == torch.tensor(answers)).float().mean())",
        ),
    ),
    "layer 0 is none": _but(
        RATES, ("sum(one is not None for one in layers)", "sum(bool(one) for one in layers)")
    ),
    "layer 0 is None": _but(RATES, ("layers.append(found)", "layers.append(found or None)")),
    "-1 for none": _but(RATES, ("found = None", "found = -1"), ("one is not None", "one >= 0")),
    "from 1": _but(RATES, ("found = layer", "found = layer + 1")),
    "among the first two": _but(
        RATES,
        (
            "if int(updates[layer, b].argmax()) == answer:",
            "if answer in updates[layer, b].topk(min(2, updates.shape[2])).indices:",
        ),
    ),
    "updates are added up": _but(
        RATES, ("updates[layer, b].argmax()", "updates[: layer + 1, b].sum(0).argmax()")
    ),
}
ALTERNATIVES["q10-attributes"] = {
    "stable sort": RATES,
    "NumPy": """
def attributes_rate(logits, attributes, stop_words, k):
    values = logits.numpy().astype(float)
    V = values.shape[1]
    left = np.setdiff1d(np.arange(V), np.array(stop_words, dtype=int))
    if not len(left):
        return [0.0] * len(values)
    good = np.isin(left, np.array(attributes, dtype=int))
    order = np.argsort(-values[:, left], axis=1, kind="stable")[:, :k]
    return good[order].mean(axis=1).tolist()


def relative_fall(before, after):
    found = []
    for i in range(len(before)):
        found.append(1 - after[i] / before[i] if before[i] > 0 else None)
    return found


def first_extraction(updates, answers):
    hits = updates.numpy().argmax(axis=2) == np.array(answers)
    layers = [int(column.argmax()) if column.any() else None for column in hits.T]
    return {"layers": layers, "rate": float(hits.any(axis=0).mean())}
""",
    "masked, float32": """
def attributes_rate(logits, attributes, stop_words, k):
    V = logits.shape[1]
    masked = logits.float().clone()
    masked[:, stop_words] = -torch.inf
    n = min(k, V - len(set(stop_words)))
    if n == 0:
        return [0.0 for _ in logits]
    top = masked.sort(dim=1, descending=True, stable=True).indices[:, :n]
    true = torch.zeros(V)
    true[attributes] = 1
    return true[top].mean(dim=1)


def relative_fall(before, after):
    return list(map(lambda b, a: (b - a) / b if b else None, before, after))


def first_extraction(updates, answers):
    hits = (updates.argmax(dim=2) == torch.tensor(answers)).T
    layers = [next((i for i, hit in enumerate(row) if hit), None) for row in hits.tolist()]
    return {"layers": layers, "rate": hits.any(dim=1).float().mean()}
""",
}


CORRELATION = """
def pearson(x, y):
    if len(set(x)) == 1 or len(set(y)) == 1:
        return None
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    both = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    squares_x = sum((a - mean_x) ** 2 for a in x)
    squares_y = sum((b - mean_y) ** 2 for b in y)
    return both / (squares_x**0.5 * squares_y**0.5)


def ranked(values):
    order = sorted(values)
    return [(2 * order.index(v) + order.count(v) + 1) / 2 for v in values]


def spearman(x, y):
    return pearson(ranked(x), ranked(y))


def partial(x, y, z):
    if len(set(x)) == 1 or len(set(y)) == 1:
        return None
    left = []
    for one in (x, y):
        A = np.column_stack([np.ones(len(z)), np.array(z, dtype=float)])
        one = np.array(one, dtype=float)
        weights = np.linalg.lstsq(A, one, rcond=None)[0]
        rest = one - A @ weights
        if (rest**2).sum() < 1e-9 * ((one - one.mean()) ** 2).sum():
            return None
        left.append(rest.tolist())
    return pearson(*left)
"""
_NONE = "    if len(set(x)) == 1 or len(set(y)) == 1:\n        return None\n    mean_x"

MUTANTS["q11-correlation"] = {
    "what is left against 1e-9": _but(
        CORRELATION, ("< 1e-9 * ((one - one.mean()) ** 2).sum()", "< 1e-9")
    ),
    "a part in a thousand is nothing": _but(CORRELATION, ("< 1e-9 * (", "< 1e-4 * (")),
    "covariance": _but(CORRELATION, ("both / (squares_x**0.5 * squares_y**0.5)", "both / len(x)")),
    "no roots": _but(
        CORRELATION, ("both / (squares_x**0.5 * squares_y**0.5)", "both / (squares_x * squares_y)")
    ),
    "cosine": _but(
        CORRELATION, ("mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)", "mean_x, mean_y = 0, 0")
    ),
    "r squared": _but(
        CORRELATION,
        ("both / (squares_x**0.5 * squares_y**0.5)", "both**2 / (squares_x * squares_y)"),
    ),
    "without its sign": _but(CORRELATION, ("return both /", "return abs(both) /")),
    "two denominators": _but(
        CORRELATION, ("both / (squares_x**0.5", "both / (len(x) - 1) * len(x) / (squares_x**0.5")
    ),
    "0 for a constant": _but(CORRELATION, (_NONE, _NONE.replace("None", "0.0"))),
    "0/0": _but(CORRELATION, (_NONE, "    mean_x")),
    "a constant by its squares": _but(
        CORRELATION,
        (_NONE, "    mean_x"),
        (
            "    return both / (squares",
            "    if squares_x == 0 or squares_y == 0:\n"
            "        return None\n"
            "    return both / (squares",
        ),
    ),
    "numpy.corrcoef": _but(
        CORRELATION,
        (
            CORRELATION[: CORRELATION.index("\n\ndef ranked")],
            "\ndef pearson(x, y):\n    return float(np.corrcoef(x, y)[0, 1])\n",
        ),
    ),
    "ties in the order of the list": _but(
        CORRELATION,
        (
            "    order = sorted(values)\n",
            "    order = sorted(range(len(values)), key=lambda i: values[i])\n",
        ),
        (
            "[(2 * order.index(v) + order.count(v) + 1) / 2 for v in values]",
            "[order.index(i) + 1 for i in range(len(values))]",
        ),
    ),
    "the least rank of equals": _but(
        CORRELATION, ("(2 * order.index(v) + order.count(v) + 1) / 2", "order.index(v) + 1")
    ),
    "the highest rank of equals": _but(
        CORRELATION,
        ("(2 * order.index(v) + order.count(v) + 1) / 2", "order.index(v) + order.count(v)"),
    ),
    "dense ranks": _but(CORRELATION, ("order = sorted(values)", "order = sorted(set(values))")),
    "the formula without ties": _but(
        CORRELATION,
        (
            "    return pearson(ranked(x), ranked(y))",
            "    if len(set(x)) == 1 or len(set(y)) == 1:\n"
            "        return None\n"
            "    n, a, b = len(x), ranked(x), ranked(y)\n"
            "    return 1 - 6 * sum((p - q) ** 2 for p, q in zip(a, b)) / (n * (n * n - 1))",
        ),
    ),
    "ranks of one list": _but(
        CORRELATION, ("pearson(ranked(x), ranked(y))", "pearson(ranked(x), y)")
    ),
    "sorts what it is given": _but(
        CORRELATION,
        (
            "    order = sorted(values)\n",
            "    old = list(values)\n    values.sort()\n    order, values = values, old\n",
        ),
    ),
    "z is forgotten": _but(CORRELATION, ("rest = one - A @ weights", "rest = one - one.mean()")),
    "out of x alone": _but(
        CORRELATION, ("    return pearson(*left)", "    return pearson(left[0], y)")
    ),
    "out of y alone": _but(
        CORRELATION, ("    return pearson(*left)", "    return pearson(x, left[1])")
    ),
    "a line through 0": _but(
        CORRELATION,
        (
            "np.column_stack([np.ones(len(z)), np.array(z, dtype=float)])",
            "np.array(z, dtype=float)[:, None]",
        ),
    ),
    "divided by z": _but(
        CORRELATION, ("rest = one - A @ weights", "rest = one / (np.array(z) + 1e-9)")
    ),
    "rounding is data": _but(CORRELATION, ("< 1e-9 *", "< 0 *")),
    "x with z": _but(
        CORRELATION, ("    return pearson(*left)", "    return pearson(left[0], list(z))")
    ),
    "the fits, not what is left": _but(
        CORRELATION, ("rest = one - A @ weights", "rest = A @ weights")
    ),
}
ALTERNATIVES["q11-correlation"] = {
    "plain Python": CORRELATION,
    "by standard scores": """
def standard(values):
    values = np.array(values, dtype=np.float64)
    if np.ptp(values) == 0:
        return None
    return (values - values.mean()) / values.std()


def pearson(x, y):
    a, b = standard(x), standard(y)
    return None if a is None or b is None else float(np.mean(a * b))


def spearman(x, y):
    def ranks(values):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[place]

    return pearson(ranks(x), ranks(y))


def partial(x, y, z):
    xy, xz, yz = pearson(x, y), pearson(x, z), pearson(y, z)
    if xy is None:
        return None
    if xz is None:
        return xy
    if min(1 - xz**2, 1 - yz**2) < 1e-9:
        return None
    return (xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5
""",
    "polyfit": """
def pearson(x, y):
    if max(x) == min(x) or max(y) == min(y):
        return None
    return np.corrcoef(x, y)[0, 1]


def spearman(x, y):
    def ranks(values):
        own = torch.tensor(values, dtype=torch.float64)
        less = (own[None] < own[:, None]).sum(dim=1)
        same = (own[None] == own[:, None]).sum(dim=1)
        return (less + (same + 1) / 2).tolist()

    return pearson(ranks(x), ranks(y))


def partial(x, y, z):
    if max(x) == min(x) or max(y) == min(y):
        return None
    x, y, z = (np.array(one, dtype=float) for one in (x, y, z))
    rest = []
    for one in (x, y):
        slope = 0.0 if np.ptp(z) == 0 else np.polyfit(z - z.mean(), one - one.mean(), 1)[0]
        rest.append(one - one.mean() - slope * (z - z.mean()))
        if (rest[-1] ** 2).sum() < 1e-9 * ((one - one.mean()) ** 2).sum():
            return None
    return np.corrcoef(*rest)[0, 1]
""",
}


# Both questions have this above the answer: the tests make their models with it.
MAKE = """
def make_model(tokens, places, layers, limit=None):
    return Transformer(tokens, places, layers, limit)

"""
for known in (MUTANTS, ALTERNATIVES):
    for question in ("q07-knockout", "q08-patching"):
        known[question] = {name: MAKE + source for name, source in known[question].items()}
