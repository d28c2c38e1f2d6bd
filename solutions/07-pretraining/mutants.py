"""Known answers to the questions of 07-pretraining: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _pairs(**parts: str) -> str:
    """Both functions of q01, with one part changed."""
    part = {
        "before": "pass",
        "neighbours": "pairwise(symbols)",
        "count": "counts.get(pair, 0) + count",
        "returned": "counts",
        "same": "tuple(symbols[at : at + 2]) == tuple(pair)",
        "joined": "symbols[at] + symbols[at + 1]",
        "step": "2",
    } | parts
    return f"""
        def count_pairs(words):
            counts = {{}}
            {part["before"]}
            for symbols, count in words:
                for pair in {part["neighbours"]}:
                    counts[pair] = {part["count"]}
            return {part["returned"]}


        def merge(symbols, pair):
            merged, at = [], 0
            while at < len(symbols):
                if {part["same"]}:
                    merged.append({part["joined"]})
                    at += {part["step"]}
                else:
                    merged.append(symbols[at])
                    at += 1
            return merged
    """


def _with_merge(source: str) -> str:
    """Right counts and another `merge`."""
    start = """
        def count_pairs(words):
            counts = {}
            for symbols, count in words:
                for pair in pairwise(symbols):
                    counts[pair] = counts.get(pair, 0) + count
            return counts

    """
    return start + source


MUTANTS["q01-pairs"] = {
    "each word once": _pairs(count="counts.get(pair, 0) + 1"),
    "the last count wins": _pairs(count="count"),
    "entries of one word: the last one": _pairs(
        before="words = dict((tuple(s), n) for s, n in words).items()"
    ),
    "each pair once a word": _pairs(neighbours="set(pairwise(symbols))"),
    "places do not overlap": _pairs(neighbours="zip(symbols[::2], symbols[1::2])"),
    "the last pair is lost": _pairs(neighbours="list(pairwise(symbols))[:-1]"),
    "keys are what a merge makes": _pairs(neighbours="map(''.join, pairwise(symbols))"),
    "pairs without order": _pairs(neighbours="(tuple(sorted(p)) for p in pairwise(symbols))"),
    "from one word into the next": """
        def count_pairs(words):
            counts, text = {}, []
            for symbols, count in words:
                text += list(symbols) * count
            for pair in pairwise(text):
                counts[pair] = counts.get(pair, 0) + 1
            return counts


        def merge(symbols, pair):
            merged, at = [], 0
            while at < len(symbols):
                if tuple(symbols[at : at + 2]) == tuple(pair):
                    merged.append(symbols[at] + symbols[at + 1])
                    at += 2
                else:
                    merged.append(symbols[at])
                    at += 1
            return merged
    """,
    "merge: one step on": _pairs(step="1"),
    "merge: either order": _pairs(same="sorted(symbols[at : at + 2]) == sorted(pair)"),
    "merge: letters of what stands there": _pairs(
        same="''.join(symbols[at : at + 2]) == ''.join(pair) and len(symbols[at : at + 2]) == 2"
    ),
    "merge: the pair in place of a symbol": _pairs(joined="tuple(pair)"),
    "merge: the first place alone": _with_merge("""
        def merge(symbols, pair):
            for at in range(len(symbols) - 1):
                if (symbols[at], symbols[at + 1]) == pair:
                    return symbols[:at] + ["".join(pair)] + symbols[at + 2 :]
            return list(symbols)
    """),
    "merge: from the right": _with_merge("""
        def merge(symbols, pair):
            merged, at = [], len(symbols) - 1
            while at >= 0:
                if at and (symbols[at - 1], symbols[at]) == pair:
                    merged.append("".join(pair))
                    at -= 2
                else:
                    merged.append(symbols[at])
                    at -= 1
            return merged[::-1]
    """),
    "merge: the last two symbols stay": _with_merge("""
        def merge(symbols, pair):
            merged, at = [], 0
            while at < len(symbols) - 2:
                if (symbols[at], symbols[at + 1]) == pair:
                    merged.append("".join(pair))
                    at += 2
                else:
                    merged.append(symbols[at])
                    at += 1
            return merged + symbols[at:]
    """),
    "merge: replaced in a text with blanks": _with_merge("""
        def merge(symbols, pair):
            return " ".join(symbols).replace(" ".join(pair), "".join(pair)).split()
    """),
    "merge: in place": _with_merge("""
        def merge(symbols, pair):
            at = 0
            while at < len(symbols) - 1:
                if (symbols[at], symbols[at + 1]) == pair:
                    symbols[at : at + 2] = ["".join(pair)]
                at += 1
            return symbols
    """),
    "merge: what was merged once more": _with_merge("""
        def merge(symbols, pair):
            merged = []
            for symbol in symbols:
                if merged and symbol == pair[1] and merged[-1].endswith(pair[0]):
                    merged[-1] += symbol
                else:
                    merged.append(symbol)
            return merged
    """),
}
ALTERNATIVES["q01-pairs"] = {
    "a counter, and a flag": """
        from collections import Counter


        def count_pairs(words):
            counts = Counter()
            for symbols, count in words:
                for left, right in zip(symbols[:-1], symbols[1:]):
                    counts[left, right] += count
            return counts


        def merge(symbols, pair):
            merged, skip = [], False
            for left, right in zip(symbols, [*symbols[1:], None]):
                if skip:
                    skip = False
                elif (left, right) == pair:
                    merged.append(left + right)
                    skip = True
                else:
                    merged.append(left)
            return merged
    """,
    "places, and a stack": """
        from collections import defaultdict


        def count_pairs(words):
            counts = defaultdict(int)
            for symbols, count in words:
                for at in range(1, len(symbols)):
                    counts[symbols[at - 1], symbols[at]] += count
            return dict(counts)


        def merge(symbols, pair):
            merged, open_ = [], False
            for symbol in symbols:
                if open_ and (merged[-1], symbol) == (pair[0], pair[1]):
                    merged[-1] = merged[-1] + symbol
                    open_ = False
                else:
                    merged.append(symbol)
                    open_ = True
            return merged
    """,
    "a copy changed in place": _with_merge("""
        def merge(symbols, pair):
            symbols, at = list(symbols), 0
            while at + 1 < len(symbols):
                if symbols[at] == pair[0] and symbols[at + 1] == pair[1]:
                    symbols[at] += symbols.pop(at + 1)
                at += 1
            return symbols
    """),
}


def _learn(**parts: str) -> str:
    """Learning of q02, with one part changed."""
    part = {
        "start": "[*word, END]",
        "seen": "count",
        "count": "counts.get(pair, 0) + seen",
        "recount": "counts = {}",
        "best": "min(counts, key=lambda pair: (-counts[pair], pair), default=None)",
        "stop": "best is None or counts[best] < 2",
        "limit": "limit",
        "step": "1",
        "kept": "best",
    } | parts
    return f"""
        END = "</w>"


        def learn_merges(words, limit):
            table = [({part["start"]}, count) for word, count in words.items()]
            merges = []
            while len(merges) < {part["limit"]}:
                {part["recount"]}
                for symbols, count in table:
                    seen = {part["seen"]}
                    for pair in pairwise(symbols):
                        counts[pair] = {part["count"]}
                best = {part["best"]}
                if {part["stop"]}:
                    break
                merges.append({part["kept"]})
                for symbols, _ in table:
                    at = 0
                    while at < len(symbols) - 1:
                        if (symbols[at], symbols[at + 1]) == best:
                            symbols[at : at + 2] = ["".join(best)]
                        at += {part["step"]}
            return merges
    """


MUTANTS["q02-learn"] = {
    "each word once": _learn(seen="1"),
    "ties: the pair seen first": _learn(best="max(counts, key=counts.get, default=None)"),
    "ties: the last in alphabetical order": _learn(
        best="max(counts, key=lambda pair: (counts[pair], pair), default=None)"
    ),
    "ties: what it makes": _learn(
        best="min(counts, key=lambda pair: (-counts[pair], ''.join(pair)), default=None)"
    ),
    "ties: the longest": _learn(
        best="min(counts, key=lambda pair: (-counts[pair], -len(''.join(pair)), pair), "
        "default=None)"
    ),
    "ties: the right part first": _learn(
        best="min(counts, key=lambda pair: (-counts[pair], pair[::-1]), default=None)"
    ),
    "no end of the word": _learn(start="[*word]"),
    "the end with the last letter": _learn(start="[*word[:-1], word[-1] + END]"),
    "pairs seen once": _learn(stop="best is None"),
    "pairs seen three times": _learn(stop="best is None or counts[best] < 3"),
    "none left is an error": _learn(
        best="min(counts, key=lambda pair: (-counts[pair], pair))", stop="counts[best] < 2"
    ),
    "one too many": _learn(limit="limit + 1"),
    "one too few": _learn(limit="limit - 1"),
    "places do not overlap": _learn(
        count="counts.get(pair, 0) + (seen if pair[0] != pair[1] else seen / 2)",
    ),
    "each pair once a word": """
        END = "</w>"


        def learn_merges(words, limit):
            table = [([*word, END], count) for word, count in words.items()]
            merges = []
            while len(merges) < limit:
                counts = {}
                for symbols, count in table:
                    for pair in set(pairwise(symbols)):
                        counts[pair] = counts.get(pair, 0) + count
                best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
                if best is None or counts[best] < 2:
                    break
                merges.append(best)
                for symbols, _ in table:
                    at = 0
                    while at < len(symbols) - 1:
                        if (symbols[at], symbols[at + 1]) == best:
                            symbols[at : at + 2] = ["".join(best)]
                        at += 1
            return merges
    """,
    "the first count for all merges": """
        END = "</w>"


        def learn_merges(words, limit):
            counts = {}
            for word, count in words.items():
                for pair in pairwise([*word, END]):
                    counts[pair] = counts.get(pair, 0) + count
            best = sorted(counts, key=lambda pair: (-counts[pair], pair))
            return [pair for pair in best if counts[pair] > 1][:limit]
    """,
    "counts that are never taken back": _learn(
        recount="counts = {} if not merges else counts",
        stop="best is None or counts[best] < 2 or best in merges",
    ),
    "merged in one place of a word": _learn(
        step="len(symbols) if symbols[at] == ''.join(best) else 1"
    ),
    "what a merge makes": _learn(kept="''.join(best)"),
    "all words as one text": """
        END = "</w>"


        def learn_merges(words, limit):
            text = [symbol for word, count in words.items() for symbol in [*word, END] * count]
            merges = []
            while len(merges) < limit:
                counts = {}
                for pair in pairwise(text):
                    counts[pair] = counts.get(pair, 0) + 1
                best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
                if best is None or counts[best] < 2:
                    break
                merges.append(best)
                at = 0
                while at < len(text) - 1:
                    if (text[at], text[at + 1]) == best:
                        text[at : at + 2] = ["".join(best)]
                    at += 1
            return merges
    """,
    "empties its words": """
        END = "</w>"


        def learn_merges(words, limit):
            table = []
            while words:
                word, count = words.popitem()
                table.append(([*word, END], count))
            merges = []
            while len(merges) < limit:
                counts = {}
                for symbols, count in table:
                    for pair in pairwise(symbols):
                        counts[pair] = counts.get(pair, 0) + count
                best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
                if best is None or counts[best] < 2:
                    break
                merges.append(best)
                for symbols, _ in table:
                    at = 0
                    while at < len(symbols) - 1:
                        if (symbols[at], symbols[at + 1]) == best:
                            symbols[at : at + 2] = ["".join(best)]
                        at += 1
            return merges
    """,
}
ALTERNATIVES["q02-learn"] = {
    "a function that merges, and tuples": """
        from collections import Counter

        END = "</w>"


        def merged(symbols, pair):
            new, at = [], 0
            while at < len(symbols):
                if symbols[at : at + 2] == pair:
                    new.append(pair[0] + pair[1])
                    at += 2
                else:
                    new.append(symbols[at])
                    at += 1
            return tuple(new)


        def learn_merges(words, limit):
            table = {word: (*word, END) for word in words}
            merges = []
            for _ in range(limit):
                counts = Counter()
                for word, symbols in table.items():
                    for pair in zip(symbols, symbols[1:]):
                        counts[pair] += words[word]
                if not counts or max(counts.values()) < 2:
                    return merges
                most = max(counts.values())
                best = sorted(pair for pair in counts if counts[pair] == most)[0]
                merges.append(best)
                table = {word: merged(symbols, best) for word, symbols in table.items()}
            return merges
    """,
    "counts kept up to date": """
        from collections import Counter

        END = "</w>"


        def learn_merges(words, limit):
            table = {word: [*word, END] for word in words}
            counts = Counter()
            for word, count in words.items():
                for pair in pairwise(table[word]):
                    counts[pair] += count
            merges = []
            while len(merges) < limit and counts:
                best, times = min(counts.items(), key=lambda item: (-item[1], item[0]))
                if times < 2:
                    break
                merges.append(list(best))
                for word, symbols in table.items():
                    if best not in pairwise(symbols):
                        continue
                    for pair in pairwise(symbols):
                        counts[pair] -= words[word]
                    new = []
                    for symbol in symbols:
                        if new and not closed and (new[-1], symbol) == best:
                            new[-1] += symbol
                            closed = True
                        else:
                            new.append(symbol)
                            closed = False
                    table[word] = new
                    for pair in pairwise(new):
                        counts[pair] += words[word]
                counts = +counts
            return merges
    """,
    "a text with blanks": """
        import re

        END = "</w>"


        def learn_merges(words, limit):
            lines = {" ".join([*word, END]): count for word, count in words.items()}
            merges = []
            while len(merges) < limit:
                counts = {}
                for line, count in lines.items():
                    symbols = line.split(" ")
                    for i in range(len(symbols) - 1):
                        pair = symbols[i], symbols[i + 1]
                        counts[pair] = counts.get(pair, 0) + count
                ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
                if not ranked or ranked[0][1] < 2:
                    break
                left, right = ranked[0][0]
                merges.append((left, right))
                both = re.compile(rf"(?<!\\S){re.escape(left)} {re.escape(right)}(?!\\S)")
                lines = {both.sub(lambda m: left + right, line): n for line, n in lines.items()}
            return merges
    """,
}


_DECODE = '"".join(pieces).replace("</w>", " ").removesuffix(" ")'


def _encode(decode: str = _DECODE, **parts: str) -> str:
    """Both functions of q03, with one part changed."""
    part = {
        "rank": "{tuple(pair): place for place, pair in enumerate(merges)}",
        "start": '[*word, "</w>"]',
        "best": "min(known, key=rank.get)",
        "again": "True",
        "returned": "pieces",
    } | parts
    return f"""
        def encode(word, merges):
            rank = {part["rank"]}
            pieces = {part["start"]}
            while {part["again"]}:
                known = [pair for pair in pairwise(pieces) if pair in rank]
                if not known:
                    break
                best = {part["best"]}
                at = 0
                while at < len(pieces) - 1:
                    if (pieces[at], pieces[at + 1]) == best:
                        pieces[at : at + 2] = ["".join(best)]
                    at += 1
            return {part["returned"]}


        def decode(pieces):
            return {decode}
    """


MUTANTS["q03-encode"] = {
    "the longest piece": f"""
        def encode(word, merges):
            known = {{"".join(pair) for pair in merges}}
            rest, pieces = [*word, "</w>"], []
            while rest:
                for end in range(len(rest), 0, -1):
                    if end == 1 or "".join(rest[:end]) in known:
                        pieces.append("".join(rest[:end]))
                        rest = rest[end:]
                        break
            return pieces


        def decode(pieces):
            return {_DECODE}
    """,
    "the leftmost pair": _encode(best="known[0]"),
    "the rightmost pair": _encode(best="known[-1]"),
    "the latest merge": _encode(best="max(known, key=rank.get)"),
    "the longest result": _encode(best="max(known, key=lambda pair: len(''.join(pair)))"),
    "alphabetical order": _encode(best="min(known)"),
    "one round": _encode(again="len(pieces) == len(word) + 1", returned="pieces"),
    "no end of the word": _encode(start="[*word]"),
    "the end with the last letter": _encode(start='[*word[:-1], word[-1:] + "</w>"]'),
    "unknown letters are lost": _encode(
        start='[c for c in word if any(c in "".join(p) for p in merges)] + ["</w>"]'
    ),
    "one string": _encode(returned='" ".join(pieces)'),
    "takes the merges": f"""
        def encode(word, merges):
            pieces = [*word, "</w>"]
            while merges:
                left, right = merges.pop(0)
                at = 0
                while at < len(pieces) - 1:
                    if (pieces[at], pieces[at + 1]) == (left, right):
                        pieces[at : at + 2] = [left + right]
                    at += 1
            return pieces


        def decode(pieces):
            return {_DECODE}
    """,
    "by text, without a look at the ends": f"""
        def encode(word, merges):
            line = " ".join([*word, "</w>"])
            for left, right in merges:
                line = line.replace(left + " " + right, left + right)
            return line.split(" ")


        def decode(pieces):
            return {_DECODE}
    """,
    "decode: a blank at the end": _encode('"".join(pieces).replace("</w>", " ")'),
    "decode: no blanks": _encode('"".join(pieces).replace("</w>", "")'),
    "decode: a blank after each piece": _encode(
        '" ".join(piece.replace("</w>", "") for piece in pieces)'
    ),
    "decode: the last word must end": _encode('" ".join("".join(pieces).split("</w>")[:-1])'),
    "decode: cuts off one character": _encode('"".join(pieces).replace("</w>", " ")[:-1]'),
}
ALTERNATIVES["q03-encode"] = {
    "each merge once, in order": """
        def encode(word, merges):
            pieces = list(word) + ["</w>"]
            for left, right in merges:
                new = []
                skip = False
                for i, piece in enumerate(pieces):
                    if skip:
                        skip = False
                    elif piece == left and i + 1 < len(pieces) and pieces[i + 1] == right:
                        new.append(left + right)
                        skip = True
                    else:
                        new.append(piece)
                pieces = new
            return pieces


        def decode(pieces):
            text = ""
            for piece in pieces:
                text += piece[:-4] + " " if piece.endswith("</w>") else piece
            return text[:-1] if text.endswith(" ") else text
    """,
    "one place at a time": """
        def encode(word, merges):
            merges = [tuple(pair) for pair in merges]
            pieces = list(word) + ["</w>"]
            while True:
                places = [
                    (merges.index((a, b)), i)
                    for i, (a, b) in enumerate(zip(pieces, pieces[1:]))
                    if (a, b) in merges
                ]
                if not places:
                    return pieces
                i = min(places)[1]
                pieces = pieces[:i] + [pieces[i] + pieces[i + 1]] + pieces[i + 2 :]


        def decode(pieces):
            words = "".join(pieces).split("</w>")
            return " ".join(words if words[-1] else words[:-1])
    """,
    "by text, with a look at the ends": """
        import re


        def encode(word, merges):
            line = " ".join([*word, "</w>"])
            for left, right in merges:
                line = re.sub(
                    rf"(?<!\\S){re.escape(left)} {re.escape(right)}(?!\\S)",
                    lambda match: left + right,
                    line,
                )
            return line.split()


        def decode(pieces):
            return "".join(pieces).replace("</w>", " ").rstrip(" ")
    """,
}


def _score(**parts: str) -> str:
    """Scores of q04, with one part changed."""
    part = {
        "single": "singles.get(symbol, 0) + count",
        "symbols": "symbols",
        "neighbours": "pairwise(symbols)",
        "pair": "pairs.get(pair, 0) + count",
        "kept": "count >= minimum",
        "score": "count / (singles[a] * singles[b])",
        "bpe": "max(pairs, key=pairs.get, default=None)",
        "wordpiece": "max(scores, key=scores.get, default=None)",
    } | parts
    return f"""
        def best_pairs(words, minimum):
            singles, pairs = {{}}, {{}}
            for symbols, count in words:
                for symbol in {part["symbols"]}:
                    singles[symbol] = {part["single"]}
                for pair in {part["neighbours"]}:
                    pairs[pair] = {part["pair"]}
            pairs = {{pair: count for pair, count in pairs.items() if {part["kept"]}}}
            scores = {{(a, b): {part["score"]} for (a, b), count in pairs.items()}}
            return {{
                "scores": scores,
                "bpe": {part["bpe"]},
                "wordpiece": {part["wordpiece"]},
            }}
    """


MUTANTS["q04-score"] = {
    "each word once": _score(single="singles.get(symbol, 0) + 1", pair="pairs.get(pair, 0) + 1"),
    "symbols: each word once": _score(single="singles.get(symbol, 0) + 1"),
    "pairs: each word once": _score(pair="pairs.get(pair, 0) + 1", kept="True"),
    "pairs: once a word": _score(neighbours="set(pairwise(symbols))"),
    "symbols: not the last of a word": _score(
        symbols="symbols[:-1] or symbols", score="count / (singles[a] * singles.get(b, 1))"
    ),
    "symbols: none of words of one": _score(symbols="symbols if len(symbols) > 1 else []"),
    "symbols: once a word": _score(symbols="set(symbols)"),
    "divided by the sum": _score(score="count / (singles[a] + singles[b])"),
    "divided by the left part": _score(score="count / singles[a]"),
    "divided by the right part": _score(score="count / singles[b]"),
    "not divided": _score(score="count"),
    "root of the product": _score(score="count / (singles[a] * singles[b]) ** 0.5"),
    "squared": _score(score="count**2 / (singles[a] * singles[b])"),
    "minimum itself left out": _score(kept="count > minimum"),
    "minimum not used": _score(kept="True"),
    "minimum taken off": _score(score="(count - minimum + 1) / (singles[a] * singles[b])"),
    "the smallest score": _score(wordpiece="min(scores, key=scores.get, default=None)"),
    "the largest count for both": _score(wordpiece="max(pairs, key=pairs.get, default=None)"),
    "the largest score for both": _score(bpe="max(scores, key=scores.get, default=None)"),
    "the score in place of the pair": _score(wordpiece="max(scores.values(), default=None)"),
    "none left is an error": _score(bpe="max(pairs, key=pairs.get)"),
}
ALTERNATIVES["q04-score"] = {
    "counters": """
        from collections import Counter


        def best_pairs(words, minimum):
            singles, pairs = Counter(), Counter()
            for symbols, count in words:
                singles.update({symbol: n * count for symbol, n in Counter(symbols).items()})
                pairs.update({p: n * count for p, n in Counter(zip(symbols, symbols[1:])).items()})
            scores, best = {}, {"bpe": None, "wordpiece": None}
            for pair, count in pairs.most_common():
                if count < minimum:
                    break
                scores[pair] = count / singles[pair[0]] / singles[pair[1]]
                if best["bpe"] is None:
                    best["bpe"] = pair
                if best["wordpiece"] is None or scores[pair] > scores[best["wordpiece"]]:
                    best["wordpiece"] = pair
            return {"scores": scores} | best
    """,
    "exponentials of logarithms": """
        import math


        def best_pairs(words, minimum):
            def count(symbol):
                return sum(n for symbols, n in words for other in symbols if other == symbol)

            pairs = {}
            for symbols, n in words:
                for i in range(len(symbols) - 1):
                    pairs.setdefault((symbols[i], symbols[i + 1]), []).append(n)
            pairs = {pair: sum(ns) for pair, ns in pairs.items() if sum(ns) >= minimum}
            scores = {
                (a, b): math.exp(math.log(n) - math.log(count(a)) - math.log(count(b)))
                for (a, b), n in pairs.items()
            }
            if not pairs:
                return {"scores": {}, "bpe": None, "wordpiece": None}
            return {
                "scores": scores,
                "bpe": max(pairs.items(), key=lambda item: item[1])[0],
                "wordpiece": max(scores.items(), key=lambda item: item[1])[0],
            }
    """,
}


def _wordpiece(**parts: str) -> str:
    """Cutting of q05, with one part changed."""
    part = {
        "long": "len(word) > longest",
        "mark": '"##" if start else ""',
        "ends": "range(len(word), start, -1)",
        "piece": "mark + word[start:end]",
        "known": "mark + word[start:end] in vocabulary",
        "unknown": 'cut, start = ["[UNK]"], len(word)',
        "place": "place",
        "count": "len(cut)",
        "ids": "[vocabulary[piece] for piece in pieces]",
    } | parts
    return f"""
        def wordpiece(words, vocabulary, longest):
            pieces, places = [], []
            for place, word in enumerate(words):
                cut, start = [], 0
                if {part["long"]}:
                    cut, start = ["[UNK]"], len(word)
                while start < len(word):
                    mark = {part["mark"]}
                    for end in {part["ends"]}:
                        if {part["known"]}:
                            cut.append({part["piece"]})
                            start = end
                            break
                    else:
                        {part["unknown"]}
                pieces += cut
                places += [{part["place"]}] * {part["count"]}
            return {{"pieces": pieces, "ids": {part["ids"]}, "words": places}}
    """


MUTANTS["q05-wordpiece"] = {
    "the shortest piece": _wordpiece(ends="range(start + 1, len(word) + 1)"),
    "no marks inside": _wordpiece(mark='""'),
    "marks at the beginning, too": _wordpiece(mark='"##"'),
    "either mark": _wordpiece(
        known='word[start:end] in vocabulary or "##" + word[start:end] in vocabulary',
        piece='word[start:end] if word[start:end] in vocabulary else "##" + word[start:end]',
    ),
    "found without the mark": _wordpiece(piece="word[start:end]", ids="[0] * len(pieces)"),
    "what was found before stays": _wordpiece(unknown='cut.append("[UNK]"); start = len(word)'),
    "one letter is unknown": _wordpiece(unknown='cut.append("[UNK]"); start += 1'),
    "the rest is left out": _wordpiece(unknown="start = len(word)"),
    "unknown words are left out": _wordpiece(unknown="cut, start = [], len(word)"),
    "single letters are lost": _wordpiece(ends="range(len(word), start + 1, -1)"),
    "the whole word is no piece": _wordpiece(ends="range(len(word) - (start == 0), start, -1)"),
    "longest is too long": _wordpiece(long="len(word) >= longest"),
    "longest not used": _wordpiece(long="False"),
    "longest of a piece": _wordpiece(
        long="False", ends="range(min(len(word), start + longest), start, -1)"
    ),
    "a word's number of pieces": _wordpiece(place="len(cut)"),
    "words are counted from 1": _wordpiece(place="place + 1"),
    "the place in the pieces": _wordpiece(place="len(pieces) - len(cut)"),
    "ids of the vocabulary's order": _wordpiece(
        ids="[sorted(vocabulary).index(piece) for piece in pieces]"
    ),
    "the unknown id is 0": _wordpiece(
        ids='[0 if piece == "[UNK]" else vocabulary[piece] for piece in pieces]'
    ),
    "goes back to a shorter piece": """
        def wordpiece(words, vocabulary, longest):
            def cut(word, start):
                if start == len(word):
                    return []
                for end in range(len(word), start, -1):
                    piece = ("##" if start else "") + word[start:end]
                    if piece in vocabulary:
                        rest = cut(word, end)
                        if rest is not None:
                            return [piece, *rest]
                return None

            pieces, places = [], []
            for place, word in enumerate(words):
                found = cut(word, 0) if len(word) <= longest else None
                found = found or ["[UNK]"]
                pieces += found
                places += [place] * len(found)
            return {"pieces": pieces, "ids": [vocabulary[p] for p in pieces], "words": places}
    """,
    "the fewest pieces": """
        def wordpiece(words, vocabulary, longest):
            pieces, places = [], []
            for place, word in enumerate(words):
                best = {0: []}
                for end in range(1, len(word) + 1):
                    for start in range(end):
                        piece = ("##" if start else "") + word[start:end]
                        if start in best and piece in vocabulary:
                            if end not in best or len(best[start]) + 1 < len(best[end]):
                                best[end] = [*best[start], piece]
                found = best.get(len(word), ["[UNK]"]) if len(word) <= longest else ["[UNK]"]
                pieces += found
                places += [place] * len(found)
            return {"pieces": pieces, "ids": [vocabulary[p] for p in pieces], "words": places}
    """,
}
ALTERNATIVES["q05-wordpiece"] = {
    "a loop that shrinks, as in BERT": """
        def wordpiece(words, vocabulary, longest):
            result = {"pieces": [], "ids": [], "words": []}
            for place, word in enumerate(words):
                bad, start, found = len(word) > longest, 0, []
                while start < len(word) and not bad:
                    end = len(word)
                    current = None
                    while start < end:
                        piece = word[start:end]
                        if start > 0:
                            piece = "##" + piece
                        if piece in vocabulary:
                            current = piece
                            break
                        end -= 1
                    if current is None:
                        bad = True
                    else:
                        found.append(current)
                        start = end
                for piece in ["[UNK]"] if bad else found:
                    result["pieces"].append(piece)
                    result["ids"].append(vocabulary[piece])
                    result["words"].append(place)
            return result
    """,
    "the rest as a string, pieces by their length": """
        def wordpiece(words, vocabulary, longest):
            by_length = sorted(vocabulary, key=len, reverse=True)

            def cut(word):
                rest, found = word, []
                while rest:
                    inside = bool(found)
                    fits = [
                        piece
                        for piece in by_length
                        if piece.startswith("##") == inside
                        and rest.startswith(piece[2:] if inside else piece)
                    ]
                    if not fits:
                        return ("[UNK]",)
                    found.append(fits[0])
                    rest = rest[len(fits[0]) - 2 * inside :]
                return found

            pieces, ids, places = [], [], []
            for place in range(len(words)):
                for piece in cut(words[place]) if len(words[place]) <= longest else ("[UNK]",):
                    pieces.append(piece)
                    ids.append(vocabulary[piece])
                    places.append(place)
            return {"pieces": tuple(pieces), "ids": np.array(ids, int), "words": tuple(places)}
    """,
    "recursion": """
        def wordpiece(words, vocabulary, longest):
            def cut(rest, mark):
                if not rest:
                    return []
                for end in reversed(range(1, len(rest) + 1)):
                    if mark + rest[:end] in vocabulary:
                        return [mark + rest[:end]] + cut(rest[end:], "##")
                return ["[UNK]"]

            all_pieces = []
            for word in words:
                found = cut(word, "") if len(word) <= longest else ["[UNK]"]
                all_pieces.append(["[UNK]"] if found[-1] == "[UNK]" else found)
            flat = [(piece, i) for i, found in enumerate(all_pieces) for piece in found]
            return {
                "pieces": [piece for piece, _ in flat],
                "ids": [vocabulary[piece] for piece, _ in flat],
                "words": [i for _, i in flat],
            }
    """,
}


def _align(
    back: str = "[outside if place < 0 else predicted[place] for place in first]", **parts: str
) -> str:
    """Both functions of q06, with one part changed."""
    part = {
        "begin": "[cls], [-100], []",
        "there": "of_word[: length - 1 - len(ids)]",
        "place": "len(ids) if there else -1",
        "target": "[label, *[-100] * (len(there) - 1)] if there else []",
        "ids": "[*ids, sep]",
        "targets": "[*targets, -100]",
        "first": "first",
    } | parts
    return f"""
        def align(pieces, labels, cls, sep, length):
            ids, targets, first = {part["begin"]}
            for of_word, label in zip(pieces, labels):
                there = {part["there"]}
                first.append({part["place"]})
                ids += there
                targets += {part["target"]}
            return {{"ids": {part["ids"]}, "targets": {part["targets"]}, "first": {part["first"]}}}


        def word_labels(predicted, first, outside):
            return {back}
    """


MUTANTS["q06-align"] = {
    "every piece has the label": _align(target="[label] * len(there)"),
    "the last piece has the label": _align(
        target="[*[-100] * (len(there) - 1), label] if there else []"
    ),
    "no target is 0": _align(
        begin="[cls], [0], []",
        target="[label, *[0] * (len(there) - 1)] if there else []",
        targets="[*targets, 0]",
    ),
    "labels of cls and sep": _align(begin="[cls], [0], []", targets="[*targets, 0]"),
    "no cls": _align(begin="[], [], []"),
    "no sep": _align(ids="ids", targets="targets"),
    "no target for sep": _align(targets="targets"),
    "no room left for sep": _align(there="of_word[: max(length - len(ids), 0)]"),
    "sep is cut off": _align(
        there="of_word", ids="[*ids, sep][:length]", targets="[*targets, -100][:length]"
    ),
    "not cut": _align(there="of_word"),
    "length without cls and sep": _align(there="of_word[: length + 1 - len(ids)]"),
    "cut a word earlier": _align(there="of_word if len(ids) + len(of_word) < length else []"),
    "a negative room is a slice from the end": _align(there="of_word[: length - 2 - len(ids)]"),
    "a word without pieces has a target": _align(
        target="[label, *[-100] * (len(there) - 1)] if there else [label] * (not of_word)"
    ),
    "places without cls": _align(place="len(ids) - 1 if there else -1"),
    "the place of the last piece": _align(place="len(ids) + len(there) - 1 if there else -1"),
    "a place for words that are not there": _align(place="len(ids)"),
    "words that are not there are left out": _align(
        first="[place for place in first if place >= 0]"
    ),
    "place 0 for words that are not there": _align(place="len(ids) if there else 0"),
    "empties the pieces": _align(
        there="[of_word.pop(0) for _ in range(min(len(of_word), length - 1 - len(ids)))]"
    ),
    "back: the last place": _align("[predicted[place] for place in first]"),
    "back: words are left out": _align("[predicted[place] for place in first if place >= 0]"),
    "back: place 0 is outside": _align(
        "[predicted[place] if place > 0 and predicted[place] else outside for place in first]"
    ),
    "back: one place on": _align(
        "[outside if place < 0 else predicted[place - 1] for place in first]"
    ),
    "back: the label 0": _align("[0 if place < 0 else predicted[place] for place in first]"),
}
ALTERNATIVES["q06-align"] = {
    "all first, then cut": """
        def align(pieces, labels, cls, sep, length):
            flat, targets, first = [], [], []
            for i in range(len(pieces)):
                first.append(1 + len(flat) if pieces[i] else -1)
                for j, piece in enumerate(pieces[i]):
                    flat.append(piece)
                    targets.append(labels[i] if j == 0 else -100)
            room = length - 2
            first = [-1 if place > room else place for place in first]
            return {
                "ids": [cls] + flat[:room] + [sep],
                "targets": [-100] + targets[:room] + [-100],
                "first": first,
            }


        def word_labels(predicted, first, outside):
            labels = []
            for place in first:
                if place == -1:
                    labels.append(outside)
                else:
                    labels.append(predicted[place])
            return labels
    """,
    "the word of each place, and arrays": """
        def align(pieces, labels, cls, sep, length):
            words = [i for i, one in enumerate(pieces) for _ in one][: length - 2]
            flat = [piece for one in pieces for piece in one][: length - 2]
            words = np.array([-1, *words, -1])
            begins = (words >= 0) & (words != np.roll(words, 1))
            targets = np.full(len(words), -100)
            targets[begins] = [labels[i] for i in words[begins]]
            first = np.full(len(pieces), -1)
            first[words[begins]] = np.flatnonzero(begins)
            return {"ids": np.array([cls, *flat, sep]), "targets": targets, "first": first}


        def word_labels(predicted, first, outside):
            predicted, first = np.array(predicted), np.array(first, dtype=int)
            return np.where(first < 0, outside, predicted[first]).tolist()
    """,
    "place 0 is cls, and never a word's": _align(
        "[predicted[place] if place > 0 else outside for place in first]"
    ),
    "one piece at a time": """
        def align(pieces, labels, cls, sep, length):
            ids, targets, first = [cls], [-100], [-1] * len(pieces)
            for word, of_word in enumerate(pieces):
                for place, piece in enumerate(of_word):
                    if len(ids) == length - 1:
                        break
                    if place == 0:
                        first[word] = len(ids)
                    targets.append(-100 if place else labels[word])
                    ids.append(piece)
            ids.append(sep)
            targets.append(-100)
            return {"ids": ids, "targets": targets, "first": first}


        def word_labels(predicted, first, outside):
            return [predicted[place] if place >= 0 else outside for place in first]
    """,
}


def _mask(**parts: str) -> str:
    """Masking of q07, with one part changed."""
    part = {
        "generator": "torch.Generator().manual_seed(seed)",
        "ordinary": "[token for token in range(V) if token not in special]",
        "text": "~torch.isin(ids, torch.tensor(special))",
        "N": "text.sum(dim=1, keepdim=True)",
        "number": "(0.15 * N).round().clamp(min=1)",
        "order": "torch.rand(ids.shape, generator=generator).masked_fill(~text, 2.0)",
        "chosen": "text & (order.argsort(dim=1).argsort(dim=1) < number)",
        "draw": "torch.rand(ids.shape, generator=generator)",
        "masked": "chosen & (draw < 0.8)",
        "at_random": "chosen & (draw >= 0.9)",
        "other": "ordinary[torch.randint(len(ordinary), ids.shape, generator=generator)]",
        "inputs": "ids.clone()",
        "targets": "torch.where(chosen, ids, -100)",
    } | parts
    return f"""
        def mask_tokens(ids, special, mask, V, seed):
            generator = {part["generator"]}
            ordinary = torch.tensor({part["ordinary"]})
            text = {part["text"]}
            N = {part["N"]}
            number = {part["number"]}
            order = {part["order"]}
            chosen = {part["chosen"]}
            draw = {part["draw"]}
            other = {part["other"]}
            inputs = {part["inputs"]}
            masked = {part["masked"]}
            at_random = {part["at_random"]}
            inputs[masked] = mask
            inputs[at_random] = other.expand(ids.shape)[at_random]
            targets = {part["targets"]}
            return {{"inputs": inputs, "targets": targets}}
    """


MUTANTS["q07-mask"] = {
    "a coin for each token": _mask(chosen="text & (order < 0.15)"),
    "special tokens are counted": _mask(N="torch.tensor(ids.shape[1])"),
    "[CLS] and [SEP] are counted": _mask(N="text.sum(dim=1, keepdim=True) + 2"),
    "special tokens are chosen": _mask(
        text="torch.ones_like(ids, dtype=torch.bool)",
    ),
    "all up to the largest special id": _mask(text="ids > max(special)"),
    "drawn from those after as many as are special": _mask(ordinary="list(range(len(special), V))"),
    "only padding is special": _mask(text="ids != special[0]"),
    "rounded down": _mask(number="(0.15 * N).floor().clamp(min=1)"),
    "rounded up": _mask(number="(0.15 * N).ceil().clamp(min=1)"),
    "short rows have none": _mask(number="(0.15 * N).round()"),
    "one in a row without text": _mask(chosen="order.argsort(dim=1).argsort(dim=1) < number"),
    "argsort once": _mask(chosen="text & (order.argsort(dim=1) < number)"),
    "the first tokens": _mask(order="torch.arange(ids.shape[1]).float().masked_fill(~text, 1e9)"),
    "a run of tokens": _mask(
        order="((torch.arange(ids.shape[1]) - torch.randint(ids.shape[1], (len(ids), 1), "
        "generator=generator)) % ids.shape[1]).float().masked_fill(~text, 1e9)"
    ),
    "the same places in each row": _mask(
        order="torch.rand(ids.shape[1], generator=generator).expand(ids.shape)"
        ".masked_fill(~text, 2.0)"
    ),
    "all are masked": _mask(masked="chosen", at_random="chosen & (draw > 2)"),
    "none stays": _mask(at_random="chosen & (draw >= 0.8)"),
    "none is drawn": _mask(at_random="chosen & (draw > 2)"),
    "drawn in a second throw of 0.1": _mask(
        at_random="chosen & ~masked & (torch.rand(ids.shape, generator=generator) < 0.1)"
    ),
    "80 % of the text": _mask(masked="text & (draw < 0.8)"),
    "a draw a row": _mask(draw="torch.rand(len(ids), 1, generator=generator).expand(ids.shape)"),
    "a draw a column": _mask(
        draw="torch.rand(ids.shape[1], generator=generator).expand(ids.shape)"
    ),
    "what chooses also decides": _mask(draw="order"),
    "what chooses the largest also decides": _mask(
        order="(1 - torch.rand(ids.shape, generator=generator)).masked_fill(~text, 2.0)",
        draw="1 - order",
    ),
    "the generator seeded again": _mask(
        draw="torch.rand(ids.shape, generator=generator.manual_seed(seed))"
    ),
    "shares exact in the batch": _mask(
        draw="torch.ones(ids.shape).masked_scatter(chosen, (torch.randperm(int(chosen.sum()), "
        "generator=generator) + 0.5) / max(1, int(chosen.sum())))"
    ),
    "the first four fifths of a row": _mask(
        draw="(chosen.cumsum(dim=1) - 0.5) / chosen.sum(dim=1, keepdim=True).clamp(min=1)"
    ),
    "shares exact in each row": _mask(draw="(order.argsort(dim=1).argsort(dim=1) + 0.5) / number"),
    "drawn from all ids": _mask(ordinary="list(range(V))"),
    "drawn from the ids of the text": _mask(
        other="ids.flatten()[torch.randint(ids.numel(), ids.shape, generator=generator)]"
    ),
    "the last id is never drawn": _mask(
        other="ordinary[torch.randint(len(ordinary) - 1, ids.shape, generator=generator)]"
    ),
    "never itself": _mask(
        other="ordinary[(torch.searchsorted(ordinary, ids.clamp(max=int(ordinary[-1]))) + 1 + "
        "torch.randint(len(ordinary) - 1, ids.shape, generator=generator)) % len(ordinary)]"
    ),
    "one token for all": _mask(
        other="ordinary[torch.randint(len(ordinary), (1, 1), generator=generator)]"
    ),
    "one token for each row": _mask(
        other="ordinary[torch.randint(len(ordinary), (len(ids), 1), generator=generator)]"
    ),
    "targets everywhere": _mask(targets="ids.clone()"),
    "no target is 0": _mask(targets="torch.where(chosen, ids, 0)"),
    "targets: what is read": _mask(targets="torch.where(chosen, inputs, -100)"),
    "targets where the input differs": _mask(targets="torch.where(inputs != ids, ids, -100)"),
    "targets turned round": _mask(targets="torch.where(chosen, -100, ids)"),
    "writes into its ids": _mask(inputs="ids"),
    "always the same seed": _mask(generator="torch.Generator().manual_seed(0)"),
    "no seed": _mask(generator="torch.default_generator"),
    "the seed for the places alone": _mask(draw="torch.rand(ids.shape)"),
}
ALTERNATIVES["q07-mask"] = {
    "row by row": """
        def mask_tokens(ids, special, mask, V, seed):
            rng = np.random.default_rng(seed)
            ordinary = [token for token in range(V) if token not in special]
            inputs, targets = ids.clone(), torch.full_like(ids, -100)
            for row in range(len(ids)):
                places = [i for i, token in enumerate(ids[row].tolist()) if token not in special]
                if not places:
                    continue
                number = max(1, round(0.15 * len(places)))
                for place in rng.choice(places, number, replace=False).tolist():
                    targets[row, place] = ids[row, place]
                    draw = rng.random()
                    if draw < 0.8:
                        inputs[row, place] = mask
                    elif draw < 0.9:
                        inputs[row, place] = int(rng.choice(ordinary))
            return {"inputs": inputs, "targets": targets}
    """,
    "topk, and a second throw of ½": """
        def mask_tokens(ids, special, mask, V, seed):
            generator = torch.Generator().manual_seed(seed)
            no_text = torch.zeros(V, dtype=torch.bool)
            no_text[special] = True
            ordinary = torch.arange(V)[~no_text]
            inputs, targets = ids.clone(), torch.full_like(ids, -100)
            for row, text in enumerate(~no_text[ids]):
                N = int(text.sum())
                if N == 0:
                    continue
                keys = torch.rand(len(text), generator=generator) - 2 * (~text).float()
                places = keys.topk(max(1, int(0.15 * N + 0.5))).indices
                targets[row, places] = ids[row, places]
                masked = torch.rand(len(places), generator=generator) < 0.8
                drawn = ~masked & (torch.rand(len(places), generator=generator) < 0.5)
                inputs[row, places[masked]] = mask
                some = torch.randint(len(ordinary), (int(drawn.sum()),), generator=generator)
                inputs[row, places[drawn]] = ordinary[some]
            return {"inputs": inputs, "targets": targets}
    """,
    "NumPy": """
        def mask_tokens(ids, special, mask, V, seed):
            rng = np.random.default_rng(seed)
            array = ids.numpy()
            text = ~np.isin(array, special)
            N = text.sum(axis=1)
            number = np.where(N > 0, np.maximum(1, np.rint(0.15 * N)), 0)
            rank = np.where(text, rng.random(array.shape), 9.0).argsort(axis=1).argsort(axis=1)
            chosen = rank < number[:, None]
            kind = rng.choice(3, size=array.shape, p=[0.8, 0.1, 0.1])
            ordinary = np.setdiff1d(np.arange(V), special)
            drawn = rng.choice(ordinary, size=array.shape)
            inputs = np.select([chosen & (kind == 0), chosen & (kind == 1)], [mask, drawn], array)
            targets = np.where(chosen, array, -100)
            return {"inputs": torch.tensor(inputs), "targets": torch.tensor(targets)}
    """,
    "multinomial": """
        def mask_tokens(ids, special, mask, V, seed):
            generator = torch.Generator().manual_seed(seed)
            weights = torch.ones(V)
            weights[torch.tensor(special)] = 0
            inputs, targets = ids.clone(), torch.full_like(ids, -100)
            for row in range(ids.shape[0]):
                shares = weights[ids[row]]
                N = int(shares.sum())
                if N:
                    number = max(1, round(0.15 * N))
                    at = torch.multinomial(shares, number, generator=generator)
                    new = torch.multinomial(weights, number, True, generator=generator)
                    shares = torch.tensor([0.8, 0.1, 0.1])
                    kind = torch.multinomial(shares, number, True, generator=generator)
                    targets[row, at] = ids[row, at]
                    new = torch.where(kind == 0, mask, torch.where(kind == 1, new, ids[row, at]))
                    inputs[row, at] = new
            return {"inputs": inputs, "targets": targets}
    """,
}


def _answer(**parts: str) -> str:
    """Both functions of q08, with one part changed."""
    part = {
        "first": "starts.masked_fill(~passage, -torch.inf)",
        "last": "ends.masked_fill(~passage, -torch.inf)",
        "scores": "first[:, :, None] + last[:, None, :]",
        "allowed": "torch.ones(T, T).triu().tril(longest - 1).bool()",
        "none": "starts[:, 0] + ends[:, 0]",
        "answered": "best >= none",
        "start": "torch.where(answered, place // T, 0)",
        "end": "torch.where(answered, place % T, 0)",
        "score": "torch.where(answered, best, none)",
        "there": "passage | (torch.arange(passage.shape[1]) == 0)",
        "loss": "F.cross_entropy(logits.masked_fill(~there, -torch.inf), place)",
        "total": "(losses[0] + losses[1]) / 2",
    } | parts
    return f"""
        def best_spans(starts, ends, passage, longest):
            T = starts.shape[1]
            first = {part["first"]}
            last = {part["last"]}
            scores = {part["scores"]}
            allowed = {part["allowed"]}
            best, place = scores.masked_fill(~allowed, -torch.inf).flatten(1).max(dim=1)
            none = {part["none"]}
            answered = {part["answered"]}
            return {{
                "start": {part["start"]},
                "end": {part["end"]},
                "score": {part["score"]},
            }}


        def span_loss(starts, ends, passage, start, end):
            there = {part["there"]}
            losses = []
            for logits, place in ((starts, start), (ends, end)):
                losses.append({part["loss"]})
            return {part["total"]}
    """


MUTANTS["q08-answer"] = {
    "each by itself": _answer(
        start="torch.where(answered, first.argmax(dim=1), 0)",
        end="torch.where(answered, last.argmax(dim=1), 0)",
    ),
    "the end first, then the start": _answer(
        end="torch.where(answered, last.argmax(dim=1), 0)",
    ),
    "the end before the start": _answer(
        allowed="torch.ones(T, T).tril(longest - 1).triu(1 - longest).bool()"
    ),
    "longer than one token": _answer(allowed="torch.ones(T, T).triu(1).tril(longest - 1).bool()"),
    "one token too long": _answer(allowed="torch.ones(T, T).triu().tril(longest).bool()"),
    "one token too short": _answer(
        allowed="torch.ones(T, T).triu().tril(max(longest - 2, 0)).bool()"
    ),
    "longest not used": _answer(allowed="torch.ones(T, T).triu().bool()"),
    "the whole text": _answer(
        first="starts.clone().index_fill(1, torch.tensor([0]), -torch.inf)",
        last="ends.clone().index_fill(1, torch.tensor([0]), -torch.inf)",
    ),
    "starts anywhere": _answer(first="starts"),
    "ends anywhere": _answer(last="ends"),
    "multiplied by the passage": _answer(first="starts * passage", last="ends * passage"),
    "a low number, but not low enough": _answer(
        first="starts.masked_fill(~passage, -100.0)", last="ends.masked_fill(~passage, -100.0)"
    ),
    "always an answer": _answer(answered="best > -torch.inf"),
    "no answer if its start alone is better": _answer(none="starts[:, 0]"),
    "no answer if its start is the largest": _answer(
        answered="starts[:, 0] <= first.max(dim=1).values"
    ),
    "no answer at the last place": _answer(none="starts[:, -1] + ends[:, -1]"),
    "no answer: the score of the span": _answer(score="best"),
    "turned round": _answer(
        start="torch.where(answered, place % T, 0)", end="torch.where(answered, place // T, 0)"
    ),
    "the end is not included": _answer(end="torch.where(answered, place % T + 1, 0)"),
    "product of the logits": _answer(scores="first[:, :, None] * last[:, None, :]"),
    "one span for all texts": _answer(
        start="(place // T)[:1].expand(len(place))", end="(place % T)[:1].expand(len(place))"
    ),
    "writes into the logits": _answer(
        first="starts.masked_fill_(~passage, -torch.inf)", none="torch.zeros(len(starts))"
    ),
    "loss: without [CLS]": _answer(there="passage"),
    "loss: all places": _answer(there="torch.ones_like(passage)"),
    "loss: the sum": _answer(total="losses[0] + losses[1]"),
    "loss: the start alone": _answer(total="losses[0]"),
    "loss: sum over the texts": _answer(
        loss="F.cross_entropy(logits.masked_fill(~there, -torch.inf), place, reduction='sum')"
    ),
    "loss: one for each text": _answer(
        loss="F.cross_entropy(logits.masked_fill(~there, -torch.inf), place, reduction='none')"
    ),
    "loss: no answers are left out": _answer(
        loss="F.cross_entropy(logits.masked_fill(~there, -torch.inf), place, ignore_index=0)"
    ),
    "loss: softmax twice": _answer(
        loss="F.cross_entropy(logits.masked_fill(~there, -torch.inf).softmax(dim=1), place)"
    ),
    "loss: infinity times 0": _answer(
        loss="F.cross_entropy(logits + (~there) * -torch.inf, place)"
    ),
    "loss: multiplied by the mask": _answer(loss="F.cross_entropy(logits * there, place)"),
    "loss: a low number, but not low enough": _answer(
        loss="F.cross_entropy(logits.masked_fill(~there, -100.0), place)"
    ),
    "loss: in bits": _answer(total="(losses[0] + losses[1]) / 2 / 0.6931471805599453"),
}
ALTERNATIVES["q08-answer"] = {
    "loops": """
        import math


        def best_spans(starts, ends, passage, longest):
            found = {"start": [], "end": [], "score": []}
            for s, e, there in zip(starts.tolist(), ends.tolist(), passage.tolist()):
                best = (s[0] + e[0], 0, 0)
                for i in range(len(s)):
                    for j in range(i, min(len(s), i + longest)):
                        if there[i] and there[j] and s[i] + e[j] > best[0]:
                            best = (s[i] + e[j], i, j)
                for name, value in zip(("score", "start", "end"), best):
                    found[name].append(value)
            return {name: torch.tensor(values) for name, values in found.items()}


        def span_loss(starts, ends, passage, start, end):
            total = 0.0
            for row in range(len(starts)):
                places = [0] + [i for i, there in enumerate(passage[row].tolist()) if there]
                for logits, right in ((starts[row], start[row]), (ends[row], end[row])):
                    numbers = logits[places].tolist()
                    top = max(numbers)
                    log_sum = top + math.log(sum(math.exp(number - top) for number in numbers))
                    total += log_sum - float(logits[right])
            return total / (2 * len(starts))
    """,
    "the best start for each end, in a window": """
        def best_spans(starts, ends, passage, longest):
            B, T = starts.shape
            first = torch.where(passage, starts, -torch.inf)
            last = torch.where(passage, ends, -torch.inf)
            score, begin, stop = starts[:, 0] + ends[:, 0], *torch.zeros(2, B).long()
            for shift in range(min(longest, T)):
                sums = first[:, : T - shift] + last[:, shift:]
                best, place = sums.max(dim=1)
                better = best > score
                score = torch.where(better, best, score)
                begin = torch.where(better, place, begin)
                stop = torch.where(better, place + shift, stop)
            return {"start": begin, "end": stop, "score": score}


        def span_loss(starts, ends, passage, start, end):
            there = torch.cat([torch.ones_like(passage[:, :1]), passage[:, 1:]], dim=1)
            low = torch.finfo(starts.dtype).min
            rows = torch.arange(len(starts))
            first = torch.log_softmax(torch.where(there, starts, low), dim=1)[rows, start]
            last = torch.log_softmax(torch.where(there, ends, low), dim=1)[rows, end]
            return -(first.mean() + last.mean()) / 2
    """,
    "text by text, sorted": """
        def best_spans(starts, ends, passage, longest):
            rows = []
            for row in range(starts.shape[0]):
                places = passage[row].nonzero().flatten().tolist()
                spans = [(i, j) for i in places for j in places if 0 <= j - i < longest] + [(0, 0)]
                scores = torch.stack([starts[row, i] + ends[row, j] for i, j in spans])
                place = int(scores.argmax())
                rows.append((*spans[place], scores[place]))
            return {
                "start": torch.tensor([row[0] for row in rows]),
                "end": torch.tensor([row[1] for row in rows]),
                "score": torch.stack([row[2] for row in rows]),
            }


        def span_loss(starts, ends, passage, start, end):
            losses = []
            for row in range(starts.shape[0]):
                places = torch.cat([torch.tensor([0]), passage[row].nonzero().flatten()])
                for logits, right in ((starts, start), (ends, end)):
                    target = (places == right[row]).nonzero()[0]
                    losses.append(F.cross_entropy(logits[row, places][None], target))
            return torch.stack(losses).mean().item()
    """,
}


def _spans(**parts: str) -> str:
    """Both functions of q09, with one part changed."""
    part = {
        "start": "V - 1",
        "stays": "not hidden[place]",
        "begins": "place == 0 or not hidden[place - 1]",
        "next": "sentinel - 1",
        "end": "[*targets, sentinel]",
        "sentinel": "token >= V - sentinels",
        "spans": "{}, []",
        "span": "spans.get(token, [])",
        "written": "written",
    } | parts
    return f"""
        def corrupt(ids, hidden, V):
            inputs, targets, sentinel = [], [], {part["start"]}
            for place, token in enumerate(ids):
                if {part["stays"]}:
                    inputs.append(token)
                    continue
                if {part["begins"]}:
                    inputs.append(sentinel)
                    targets.append(sentinel)
                    sentinel = {part["next"]}
                targets.append(token)
            return {{"inputs": inputs, "targets": {part["end"]}}}


        def restore(inputs, written, V, sentinels):
            spans, now = {part["spans"]}
            for token in {part["written"]}:
                if {part["sentinel"]}:
                    spans[token] = now = []
                else:
                    now.append(token)
            text = []
            for token in inputs:
                text += {part["span"]} if {part["sentinel"]} else [token]
            return text
    """


_CORRUPT = """
        def corrupt(ids, hidden, V):
            inputs, targets, sentinel = [], [], V - 1
            for place, token in enumerate(ids):
                if not hidden[place]:
                    inputs.append(token)
                    continue
                if place == 0 or not hidden[place - 1]:
                    inputs.append(sentinel)
                    targets.append(sentinel)
                    sentinel -= 1
                targets.append(token)
            return {"inputs": inputs, "targets": [*targets, sentinel]}

"""
_RESTORE = """
        def restore(inputs, written, V, sentinels):
            spans, now = {}, []
            for token in written:
                if token >= V - sentinels:
                    spans[token] = now = []
                else:
                    now.append(token)
            text = []
            for token in inputs:
                text += spans.get(token, []) if token >= V - sentinels else [token]
            return text

"""
MUTANTS["q09-spans"] = {
    "a sentinel a token": _spans(begins="True"),
    "one sentinel for all": _spans(next="sentinel"),
    "sentinels upwards": _spans(start="V - 100", next="sentinel + 1"),
    "sentinels beyond the vocabulary": _spans(start="V"),
    "hidden turned round": _spans(stays="hidden[place]"),
    "a span at the beginning has none": _spans(begins="place and not hidden[place - 1]"),
    "before the first token stands the last": _spans(begins="not hidden[place - 1]"),
    "no sentinel at the end": _spans(end="targets"),
    "the last one once more": _spans(end="[*targets, sentinel + 1]"),
    "always the same at the end": _spans(end="[*targets, V - 100]"),
    "hidden tokens vanish": _spans(
        end="[token for token in targets if token >= V - 100] + [sentinel]"
    ),
    "the sentinel after its span": """
        def corrupt(ids, hidden, V):
            inputs, targets, sentinel = [], [], V - 1
            for place, token in enumerate(ids):
                if not hidden[place]:
                    inputs.append(token)
                    continue
                targets.append(token)
                if place + 1 == len(ids) or not hidden[place + 1]:
                    inputs.append(sentinel)
                    targets.append(sentinel)
                    sentinel -= 1
            return {"inputs": inputs, "targets": [*targets, sentinel]}

"""
    + _RESTORE,
    "a span at the end is lost": """
        def corrupt(ids, hidden, V):
            inputs, targets, sentinel, span = [], [], V - 1, []
            for token, gone in zip(ids, hidden):
                if gone:
                    span.append(token)
                    continue
                if span:
                    inputs.append(sentinel)
                    targets += [sentinel, *span]
                    sentinel, span = sentinel - 1, []
                inputs.append(token)
            return {"inputs": inputs, "targets": [*targets, sentinel]}

"""
    + _RESTORE,
    "writes into its ids": """
        def corrupt(ids, hidden, V):
            targets, sentinel = [], V - 1
            for place in range(len(ids)):
                if hidden[place]:
                    if place == 0 or not hidden[place - 1]:
                        targets += [sentinel, ids[place]]
                        ids[place] = sentinel
                        sentinel -= 1
                    else:
                        targets.append(ids[place])
                        ids[place] = -1
            inputs = [token for token in ids if token >= 0]
            return {"inputs": inputs, "targets": [*targets, sentinel]}

"""
    + _RESTORE,
    "restore: sentinels stay": _spans(span="[token, *spans.get(token, [])]"),
    "restore: those not written stay": _spans(span="spans.get(token, [token])"),
    "restore: those not written are an error": _spans(span="spans[token]"),
    "restore: only the largest is a sentinel": _spans(sentinel="token == V - 1"),
    "restore: one sentinel too many": _spans(sentinel="token >= V - sentinels - 1"),
    "restore: one sentinel too few": _spans(sentinel="token > V - sentinels"),
    "restore: what stands before the first": _CORRUPT
    + """
        def restore(inputs, written, V, sentinels):
            spans, before = {}, []
            now = before
            for token in written:
                if token >= V - sentinels:
                    spans[token] = now = []
                else:
                    now.append(token)
            text = list(before)
            for token in inputs:
                text += spans.get(token, []) if token >= V - sentinels else [token]
            return text
    """,
    "restore: in the order of writing": _CORRUPT
    + """
        def restore(inputs, written, V, sentinels):
            spans = []
            for token in written:
                if token >= V - sentinels:
                    spans.append([])
                elif spans:
                    spans[-1].append(token)
            text = []
            for token in inputs:
                if token >= V - sentinels:
                    text += spans.pop(0) if spans else []
                else:
                    text.append(token)
            return text
    """,
    "restore: up to the next smaller sentinel": _CORRUPT
    + """
        def restore(inputs, written, V, sentinels):
            text = []
            for token in inputs:
                if token < V - sentinels:
                    text.append(token)
                elif token in written:
                    start = written.index(token) + 1
                    rest = written[start:]
                    end = rest.index(token - 1) if token - 1 in rest else len(rest)
                    text += [one for one in rest[:end] if one < V - sentinels]
            return text
    """,
    "restore: the first token of a span": _spans(span="spans.get(token, [])[:1]"),
    "restore: takes what was written": _CORRUPT
    + """
        def restore(inputs, written, V, sentinels):
            spans, now = {}, []
            while written:
                token = written.pop(0)
                if token >= V - sentinels:
                    spans[token] = now = []
                else:
                    now.append(token)
            text = []
            for token in inputs:
                text += spans.get(token, []) if token >= V - sentinels else [token]
            return text
    """,
}
ALTERNATIVES["q09-spans"] = {
    "groups, and places of sentinels": """
        from itertools import groupby


        def corrupt(ids, hidden, V):
            result, sentinel = {"inputs": [], "targets": []}, V - 1
            for gone, group in groupby(zip(hidden, ids), key=lambda pair: bool(pair[0])):
                tokens = [token for _, token in group]
                if gone:
                    result["inputs"] += [sentinel]
                    result["targets"] += [sentinel] + tokens
                    sentinel -= 1
                else:
                    result["inputs"] += tokens
            result["targets"].append(sentinel)
            return result


        def restore(inputs, written, V, sentinels):
            first = V - sentinels
            places = [i for i, token in enumerate(written) if token >= first] + [len(written)]
            spans = {written[i]: written[i + 1 : j] for i, j in zip(places, places[1:])}
            text = []
            for token in inputs:
                if token < first:
                    text.append(token)
                elif token in spans:
                    text.extend(spans[token])
            return text
    """,
    "a while loop, and a search for each sentinel": """
        def corrupt(ids, hidden, V):
            inputs, targets, place, spans = [], [], 0, 0
            while place < len(ids):
                if hidden[place]:
                    spans += 1
                    inputs.append(V - spans)
                    targets.append(V - spans)
                    while place < len(ids) and hidden[place]:
                        targets.append(ids[place])
                        place += 1
                else:
                    inputs.append(ids[place])
                    place += 1
            targets.append(V - spans - 1)
            return {"inputs": inputs, "targets": targets}


        def restore(inputs, written, V, sentinels):
            def is_sentinel(token):
                return V - sentinels <= token < V

            text = []
            for token in inputs:
                if not is_sentinel(token):
                    text.append(token)
                    continue
                if token in written:
                    place = written.index(token) + 1
                    while place < len(written) and not is_sentinel(written[place]):
                        text.append(written[place])
                        place += 1
            return text
    """,
    "arrays": """
        def corrupt(ids, hidden, V):
            ids, hidden = np.array(ids), np.array(hidden, dtype=bool)
            begins = hidden & ~np.concatenate([[False], hidden[:-1]])
            marks = V - np.cumsum(begins)
            inputs = np.where(begins, marks, ids)[begins | ~hidden]
            targets = []
            for place in np.flatnonzero(hidden):
                targets += [marks[place]] * bool(begins[place]) + [ids[place]]
            targets.append(V - 1 - begins.sum())
            return {"inputs": inputs.tolist(), "targets": [int(token) for token in targets]}


        def restore(inputs, written, V, sentinels):
            spans, now = {}, None
            for token in written:
                if token >= V - sentinels:
                    now = token
                spans.setdefault(now, []).append(token)
            text = [one for token in inputs for one in spans.get(token, [token])]
            return [token for token in text if token < V - sentinels]
    """,
}


def _cross(**parts: str) -> str:
    """Both functions of q10, with one part changed."""
    part = {
        "map": '@ parameters[f"W_{letter}"].T',
        "bias": '+ parameters[f"b_{letter}"]',
        "key": "k",
        "value": "v",
        "split": "y.unflatten(2, (heads, -1)).permute(1, 2, 0, 3)",
        "query": 'x @ parameters["W_q"].T + parameters["b_q"]',
        "scores": "query @ key.transpose(2, 3) / query.shape[3] ** 0.5",
        "padding": "(torch.arange(key.shape[2]) >= lengths[:, None])[:, None, None]",
        "masked": "scores.masked_fill(padding, -torch.inf)",
        "weights": "masked.softmax(dim=3)",
        "read": "(weights @ value).permute(2, 0, 1, 3).flatten(2)",
        "output": 'read @ parameters["W_o"].T + parameters["b_o"]',
    } | parts
    return f"""
        def split(y, heads):
            return {part["split"]}


        def source_cache(parameters, source, heads):
            cache = {{}}
            for name, letter in (("key", "{part["key"]}"), ("value", "{part["value"]}")):
                cache[name] = split(source {part["map"]} {part["bias"]}, heads)
            return cache


        def cross_attention(parameters, x, cache, lengths, heads):
            key, value = cache["key"], cache["value"]
            query = split({part["query"]}, heads)
            scores = {part["scores"]}
            padding = {part["padding"]}
            masked = {part["masked"]}
            weights = {part["weights"]}
            read = {part["read"]}
            return {{"weights": weights, "output": {part["output"]}}}
    """


MUTANTS["q10-cross"] = {
    "maps turned round": _cross(map='@ parameters[f"W_{letter}"]'),
    "W_q turned round": _cross(query='x @ parameters["W_q"] + parameters["b_q"]'),
    "W_o turned round": _cross(output='read @ parameters["W_o"] + parameters["b_o"]'),
    "no W_o": _cross(output="read"),
    "no b_o": _cross(output='read @ parameters["W_o"].T'),
    "no b_q": _cross(query='x @ parameters["W_q"].T'),
    "no b_k and b_v": _cross(bias=""),
    "keys by W_q": _cross(key="q"),
    "values by W_k": _cross(value="k"),
    "queries by W_k": _cross(query='x @ parameters["W_k"].T + parameters["b_k"]'),
    "queries are not mapped": _cross(query="x"),
    "batch first": _cross(
        split="y.unflatten(2, (heads, -1)).transpose(1, 2)",
        read="(weights @ value).transpose(1, 2).flatten(2)",
    ),
    "the cache with time first": _cross(split="y.unflatten(2, (heads, -1)).permute(0, 2, 1, 3)"),
    "split: every second number": _cross(split="y.unflatten(2, (-1, heads)).permute(1, 3, 0, 2)"),
    "split: reshape alone": _cross(split="y.reshape(y.shape[1], heads, y.shape[0], -1)"),
    "joined: numbers before heads": _cross(read="(weights @ value).permute(2, 0, 3, 1).flatten(2)"),
    "joined: reshape alone": _cross(read="(weights @ value).reshape(x.shape)"),
    "joined: batch and time": _cross(read="(weights @ value).permute(0, 2, 1, 3).reshape(x.shape)"),
    "no scale": _cross(scores="query @ key.transpose(2, 3)"),
    "root of d": _cross(scores="query @ key.transpose(2, 3) / x.shape[2] ** 0.5"),
    "divided by d_k": _cross(scores="query @ key.transpose(2, 3) / query.shape[3]"),
    "lengths not used": _cross(masked="scores"),
    "one token too many": _cross(
        padding="(torch.arange(key.shape[2]) > lengths[:, None])[:, None, None]"
    ),
    "turned round": _cross(
        padding="(torch.arange(key.shape[2]) < lengths[:, None])[:, None, None]"
    ),
    "the longest for all": _cross(padding="torch.arange(key.shape[2]) >= lengths.max()"),
    "zeros in place of scores": _cross(masked="scores.masked_fill(padding, 0.0)"),
    "after softmax": _cross(
        masked="scores", weights="scores.softmax(dim=3).masked_fill(padding, 0.0)"
    ),
    "causal": _cross(
        masked="scores.masked_fill(padding | (torch.arange(key.shape[2]) > "
        "torch.arange(len(x))[:, None]), -torch.inf)"
    ),
    "softmax over the decoder": _cross(weights="masked.softmax(dim=2).nan_to_num(0.0)"),
    "softmax over the heads": _cross(weights="masked.softmax(dim=1).nan_to_num(0.0)"),
    "weights of the mean head": _cross(
        weights="masked.softmax(dim=3).mean(dim=1, keepdim=True).expand(scores.shape)"
    ),
    "the same source for all texts": _cross(
        read="(weights @ value[:1]).permute(2, 0, 1, 3).flatten(2)"
    ),
    "looks at itself": """
        def split(y, heads):
            return y.unflatten(2, (heads, -1)).permute(1, 2, 0, 3)


        def source_cache(parameters, source, heads):
            return {
                name: split(source @ parameters[f"W_{one}"].T + parameters[f"b_{one}"], heads)
                for name, one in (("key", "k"), ("value", "v"))
            }


        def cross_attention(parameters, x, cache, lengths, heads):
            query = split(x @ parameters["W_q"].T + parameters["b_q"], heads)
            own = source_cache(parameters, x, heads)
            weights = (query @ own["key"].mT / query.shape[3] ** 0.5).softmax(dim=3)
            read = (weights @ own["value"]).permute(2, 0, 1, 3).flatten(2)
            return {"weights": weights, "output": read @ parameters["W_o"].T + parameters["b_o"]}
    """,
    "writes into its cache": _cross(
        scores="query @ key.mul_(query.shape[3] ** -0.5).transpose(2, 3)"
    ),
}
ALTERNATIVES["q10-cross"] = {
    "einsum": """
        def source_cache(parameters, source, heads):
            n, B, d = source.shape
            cut = {}
            for name in ("key", "value"):
                W = parameters["W_" + name[0]].reshape(heads, d // heads, d)
                b = parameters["b_" + name[0]].reshape(heads, 1, d // heads)
                cut[name] = torch.einsum("nbd,hkd->bhnk", source, W) + b
            return cut


        def cross_attention(parameters, x, cache, lengths, heads):
            m, B, d = x.shape
            n = cache["key"].shape[2]
            query = F.linear(x, parameters["W_q"], parameters["b_q"]).reshape(m, B, heads, -1)
            scores = torch.einsum("mbhk,bhnk->bhmn", query, cache["key"]) * (d // heads) ** -0.5
            there = torch.arange(n).expand(B, n) < lengths.unsqueeze(1)
            scores = torch.where(there[:, None, None, :], scores, -torch.inf)
            weights = torch.softmax(scores, dim=-1)
            read = torch.einsum("bhmn,bhnk->mbhk", weights, cache["value"]).reshape(m, B, d)
            return {
                "weights": weights,
                "output": F.linear(read, parameters["W_o"], parameters["b_o"]),
            }
    """,
    "text by text, head by head": """
        def source_cache(parameters, source, heads):
            n, B, d = source.shape
            d_k = d // heads
            key, value = (source.new_zeros(B, heads, n, d_k) for _ in range(2))
            for b in range(B):
                for h in range(heads):
                    part = slice(h * d_k, (h + 1) * d_k)
                    for cache, one in ((key, "k"), (value, "v")):
                        W, bias = parameters[f"W_{one}"][part], parameters[f"b_{one}"][part]
                        cache[b, h] = source[:, b] @ W.T + bias
            return {"key": key, "value": value}


        def cross_attention(parameters, x, cache, lengths, heads):
            m, B, d = x.shape
            d_k, n = d // heads, cache["key"].shape[2]
            weights = x.new_zeros(B, heads, m, n)
            read = x.new_zeros(m, B, d)
            for b, length in enumerate(lengths.tolist()):
                query = x[:, b] @ parameters["W_q"].T + parameters["b_q"]
                for h in range(heads):
                    part = slice(h * d_k, (h + 1) * d_k)
                    scores = query[:, part] @ cache["key"][b, h, :length].T / d_k**0.5
                    weights[b, h, :, :length] = torch.softmax(scores, dim=1)
                    read[:, b, part] = weights[b, h] @ cache["value"][b, h]
            return {"weights": weights, "output": read @ parameters["W_o"].T + parameters["b_o"]}
    """,
    "the fused kernel for the output": """
        def source_cache(parameters, source, heads):
            n, B, d = source.shape
            return {
                name: F.linear(source, parameters[f"W_{one}"], parameters[f"b_{one}"])
                .view(n, B, heads, d // heads)
                .permute(1, 2, 0, 3)
                for name, one in (("key", "k"), ("value", "v"))
            }


        def cross_attention(parameters, x, cache, lengths, heads):
            m, B, d = x.shape
            query = F.linear(x, parameters["W_q"], parameters["b_q"])
            query = query.view(m, B, heads, d // heads).permute(1, 2, 0, 3)
            key, value = cache["key"], cache["value"]
            there = (torch.arange(key.shape[2]) < lengths[:, None])[:, None, None]
            unit = torch.eye(key.shape[2], dtype=x.dtype).expand(B, heads, -1, -1)
            weights = F.scaled_dot_product_attention(query, key, unit, attn_mask=there)
            read = F.scaled_dot_product_attention(query, key, value, attn_mask=there)
            read = read.permute(2, 0, 1, 3).reshape(m, B, d)
            return {
                "weights": weights,
                "output": F.linear(read, parameters["W_o"], parameters["b_o"]),
            }
    """,
}


def _lora(**parts: str) -> str:
    """Layer and training of q11, with one part changed."""
    part = {
        "generator": "torch.Generator().manual_seed(seed)",
        "A": "torch.randn(rank, d_in, generator=generator, dtype=weight.dtype) / d_in**0.5",
        "B": "torch.zeros(d_out, rank, dtype=weight.dtype)",
        "keep": 'self.register_buffer("weight", weight.clone())',
        "keep_bias": 'self.register_buffer("bias", bias.clone())',
        "more": "pass",
        "scale": "alpha / rank",
        "forward": "y if self.merged else y + self.scale * (x @ self.A.T) @ self.B.T",
        "merge_if": "not self.merged",
        "merge": "self.weight.data += self.scale * (self.B @ self.A).detach()",
        "unmerge_if": "self.merged",
        "unmerge": "self.weight.data -= self.scale * (self.B @ self.A).detach()",
        "learned": "[layer.A, layer.B]",
        "optimizer": "torch.optim.SGD",
        "loss": "F.mse_loss(layer(x), y)",
        "zero": "optimizer.zero_grad()",
        "step": "optimizer.step()",
        "returned": "losses",
    } | parts
    return f"""
        class LoRA(nn.Module):
            def __init__(self, weight, bias, rank, alpha, seed):
                super().__init__()
                d_out, d_in = weight.shape
                generator = {part["generator"]}
                {part["keep"]}
                {part["keep_bias"]}
                self.A = nn.Parameter({part["A"]})
                self.B = nn.Parameter({part["B"]})
                self.scale, self.merged = {part["scale"]}, False
                {part["more"]}

            def forward(self, x):
                y = x @ self.weight.T + self.bias
                return {part["forward"]}

            def merge(self):
                if {part["merge_if"]}:
                    {part["merge"]}
                    self.merged = True

            def unmerge(self):
                if {part["unmerge_if"]}:
                    {part["unmerge"]}
                    self.merged = False


        def train_lora(layer, x, y, steps, learning_rate):
            optimizer = {part["optimizer"]}({part["learned"]}, lr=learning_rate)
            losses = []
            for _ in range(steps):
                loss = {part["loss"]}
                {part["zero"]}
                loss.backward()
                {part["step"]}
                losses.append(loss.item())
            return {part["returned"]}
    """


_RANDOM = "torch.randn({}, {}, generator=generator, dtype=weight.dtype)"
MUTANTS["q11-lora"] = {
    "no scale": _lora(scale="1.0"),
    "alpha alone": _lora(scale="alpha"),
    "alpha times rank": _lora(scale="alpha * rank"),
    "rank over alpha": _lora(scale="rank / alpha"),
    "divided by d_in": _lora(scale="alpha / d_in"),
    "B at random, too": _lora(B=_RANDOM.format("d_out", "rank") + " / d_in**0.5"),
    "A is 0 in place of B": _lora(
        A="torch.zeros(rank, d_in, dtype=weight.dtype)",
        B=_RANDOM.format("d_out", "rank") + " / d_in**0.5",
    ),
    "both are 0": _lora(A="torch.zeros(rank, d_in, dtype=weight.dtype)"),
    "A too large": _lora(A=_RANDOM.format("rank", "d_in")),
    "A by the rank": _lora(A=_RANDOM.format("rank", "d_in") + " / rank**0.5"),
    "A with the variance 1/d_in²": _lora(A=_RANDOM.format("rank", "d_in") + " / d_in"),
    "A evenly distributed": _lora(
        A="(torch.rand(rank, d_in, generator=generator, dtype=weight.dtype) * 2 - 1)"
        " * (3 / d_in) ** 0.5"
    ),
    "A of ones": _lora(A="torch.ones(rank, d_in, dtype=weight.dtype) / d_in**0.5"),
    "A turned round": _lora(
        A=_RANDOM.format("d_in", "rank") + " / d_in**0.5",
        B="torch.zeros(rank, d_out, dtype=weight.dtype)",
        forward="y if self.merged else y + self.scale * (x @ self.A) @ self.B",
        merge="self.weight.data += self.scale * (self.A @ self.B).T.detach()",
        unmerge="self.weight.data -= self.scale * (self.A @ self.B).T.detach()",
    ),
    "always float32": _lora(
        A="(torch.randn(rank, d_in, generator=generator) / d_in**0.5).float()",
        B="torch.zeros(d_out, rank)",
        forward="y if self.merged else "
        "(y + self.scale * (x.float() @ self.A.T) @ self.B.T).to(y.dtype)",
    ),
    "always the same seed": _lora(generator="torch.Generator().manual_seed(0)"),
    "no seed": _lora(generator="torch.default_generator"),
    "weight learns": _lora(
        keep="self.weight = nn.Parameter(weight.clone())", learned="layer.parameters()"
    ),
    "weight could learn": _lora(keep="self.weight = nn.Parameter(weight.clone())"),
    "bias learns": _lora(
        keep_bias="self.bias = nn.Parameter(bias.clone())", learned="layer.parameters()"
    ),
    "A does not learn": _lora(learned="[layer.B]"),
    "B does not learn": _lora(learned="[layer.A]"),
    "A has no gradient": _lora(more="self.A.requires_grad_(False)", learned="[layer.B]"),
    "no bias": _lora(keep_bias='self.register_buffer("bias", bias * 0)'),
    "the difference replaces the weight": _lora(
        forward="y if self.merged else self.scale * (x @ self.A.T) @ self.B.T + self.bias"
    ),
    "merge without the scale": _lora(
        merge="self.weight.data += (self.B @ self.A).detach()",
        unmerge="self.weight.data -= (self.B @ self.A).detach()",
    ),
    "merged, the difference comes twice": _lora(
        forward="y + self.scale * (x @ self.A.T) @ self.B.T"
    ),
    "merges again and again": _lora(merge_if="True"),
    "unmerges again and again": _lora(unmerge_if="True"),
    "unmerge adds once more": _lora(
        unmerge="self.weight.data += self.scale * (self.B @ self.A).detach()"
    ),
    "unmerge forgets the weight": _lora(unmerge="pass"),
    "merge forgets the weight": _lora(merge="pass", unmerge="pass"),
    "merge empties B": _lora(
        merge="self.weight.data += self.scale * (self.B @ self.A).detach(); self.B.data.zero_()"
    ),
    "merge keeps the graph": _lora(
        merge="self.weight = self.weight + self.scale * self.B @ self.A",
        unmerge="self.weight = self.weight - self.scale * self.B @ self.A",
    ),
    "the sum of squares": _lora(loss="F.mse_loss(layer(x), y, reduction='sum')"),
    "half the squares": _lora(loss="F.mse_loss(layer(x), y) / 2"),
    "a mean over the rows alone": _lora(loss="(layer(x) - y).square().sum(dim=1).mean()"),
    "gradients add up": _lora(zero="pass"),
    "one after the other": _lora(
        step="optimizer.param_groups[0]['params'] = [layer.A]; optimizer.step(); "
        "optimizer.zero_grad(); layer.B.grad = torch.autograd.grad("
        "F.mse_loss(layer(x), y), layer.B)[0]; "
        "optimizer.param_groups[0]['params'] = [layer.B]; optimizer.step()"
    ),
    "no step": _lora(step="pass"),
    "upwards": _lora(step="[p.grad.neg_() for p in (layer.A, layer.B)]; optimizer.step()"),
    "Adam": _lora(optimizer="torch.optim.Adam"),
    "the loss after the step": _lora(
        step="optimizer.step(); loss = F.mse_loss(layer(x), y).detach()"
    ),
    "the last loss alone": _lora(returned="losses[-1:] if steps > 1 else losses"),
    "on a copy": _lora(
        loss="F.mse_loss(copied(x), y)",
        learned="(copied := __import__('copy').deepcopy(layer)).parameters()",
    ),
}
ALTERNATIVES["q11-lora"] = {
    "a frozen nn.Linear, gradients by autograd": """
        class LoRA(nn.Module):
            def __init__(self, weight, bias, rank, alpha, seed):
                super().__init__()
                self.base = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.dtype)
                with torch.no_grad():
                    self.base.weight.copy_(weight)
                    self.base.bias.copy_(bias)
                for parameter in self.base.parameters():
                    parameter.requires_grad = False
                generator = torch.Generator().manual_seed(seed)
                start = torch.empty(rank, weight.shape[1], dtype=weight.dtype)
                start.normal_(0, weight.shape[1] ** -0.5, generator=generator)
                self.A = nn.Parameter(start)
                self.B = nn.Parameter(start.new_zeros(weight.shape[0], rank))
                self.alpha, self.rank, self.inside = alpha, rank, 0

            @property
            def weight(self):
                return self.base.weight

            @property
            def bias(self):
                return self.base.bias

            def forward(self, x):
                beside = F.linear(F.linear(x, self.A), self.B) * (self.alpha / self.rank)
                return self.base(x) + (1 - self.inside) * beside

            @torch.no_grad()
            def move(self, inside):
                change = (inside - self.inside) * self.alpha / self.rank
                self.base.weight += change * self.B @ self.A
                self.inside = inside

            def merge(self):
                self.move(1)

            def unmerge(self):
                self.move(0)


        def train_lora(layer, x, y, steps, learning_rate):
            losses = []
            for _ in range(steps):
                loss = (layer(x) - y).pow(2).mean()
                slopes = torch.autograd.grad(loss, [layer.A, layer.B])
                with torch.no_grad():
                    for parameter, slope in zip([layer.A, layer.B], slopes):
                        parameter -= learning_rate * slope
                losses.append(float(loss.detach()))
            return losses
    """,
    "gradients by hand, the old weight kept": """
        class LoRA(nn.Module):
            def __init__(self, weight, bias, rank, alpha, seed):
                super().__init__()
                rng = np.random.default_rng(seed)
                numbers = rng.normal(0, weight.shape[1] ** -0.5, (rank, weight.shape[1]))
                self.original = weight.detach().clone()
                self.weight = self.original
                self.bias = bias.detach().clone()
                self.A = nn.Parameter(torch.tensor(numbers, dtype=weight.dtype))
                self.B = nn.Parameter(torch.zeros(len(weight), rank, dtype=weight.dtype))
                self.scale = alpha / rank

            def difference(self):
                return self.scale * self.B @ self.A

            def forward(self, x):
                return x @ (self.original + self.difference()).T + self.bias

            def merge(self):
                self.weight = (self.original + self.difference()).detach()

            def unmerge(self):
                self.weight = self.original


        def train_lora(layer, x, y, steps, learning_rate):
            losses = []
            with torch.no_grad():
                for _ in range(steps):
                    wrong = layer(x) - y
                    losses.append(wrong.square().mean().item())
                    slope = 2 / wrong.numel() * wrong.T @ x * layer.scale
                    of_A, of_B = layer.B.T @ slope, slope @ layer.A.T
                    layer.A -= learning_rate * of_A
                    layer.B -= learning_rate * of_B
            return losses
    """,
    "parameters that need no gradient": """
        class LoRA(nn.Module):
            def __init__(self, weight, bias, rank, alpha, seed):
                super().__init__()
                self.weight = nn.Parameter(weight.clone(), requires_grad=False)
                self.bias = nn.Parameter(bias.clone(), requires_grad=False)
                generator = torch.Generator().manual_seed(seed)
                A = torch.randn((rank, weight.size(1)), generator=generator).to(weight)
                self.A = nn.Parameter(A * weight.size(1) ** -0.5)
                self.B = nn.Parameter(torch.zeros((weight.size(0), rank)).to(weight))
                self.alpha, self.merged = alpha, False

            def scaled(self):
                return (self.B @ self.A) * self.alpha / self.A.size(0)

            def forward(self, x):
                result = F.linear(x, self.weight, self.bias)
                if not self.merged:
                    result = result + F.linear(x, self.scaled())
                return result

            def merge(self):
                if self.merged:
                    return
                with torch.no_grad():
                    self.weight.add_(self.scaled())
                self.merged = True

            def unmerge(self):
                if not self.merged:
                    return
                with torch.no_grad():
                    self.weight.sub_(self.scaled())
                self.merged = False


        def train_lora(layer, x, y, steps, learning_rate):
            learned = [p for p in layer.parameters() if p.requires_grad]
            optimizer = torch.optim.SGD(learned, learning_rate)
            losses = []
            while len(losses) < steps:
                optimizer.zero_grad()
                loss = nn.MSELoss()(layer(x), y)
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
            return losses
    """,
}
