"""Known answers to the questions of 09-alignment: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _masks(**parts: str) -> str:
    """The rows of q01, with one part changed."""
    part = {
        "turn": "[user, *prompt, assistant, *response, end]",
        "asked": "[False] * (len(prompt) + 2) + [True] * (len(response) + 1)",
        "after": "pass",
        "row": "rows[-1]",
        "full": "sum(len(one) for one, _ in rows[-1]) + len(ids) > length",
        "targets": "np.where(asked[1:], ids[1:], -100)",
        "place": "slice(start, start + n - 1)",
        "positions": "np.arange(n)",
        "sees": "sees[r, here, here] = np.tri(n, dtype=bool)",
        "end": "pass",
    } | parts
    return f"""
        def training_rows(texts, length, user, assistant, end, pad):
            rows = []
            for turns in texts:
                ids, asked = [], []
                for prompt, response in turns:
                    ids += {part["turn"]}
                    asked += {part["asked"]}
                {part["after"]}
                if not rows or {part["full"]}:
                    rows.append([])
                {part["row"]}.append((ids, asked))
            R = len(rows)
            inputs = np.full((R, length), pad)
            targets, positions = np.full_like(inputs, -100), np.zeros_like(inputs)
            sees = np.zeros((R, length, length), dtype=bool)
            for r, row in enumerate(rows):
                start = 0
                for ids, asked in row:
                    n = len(ids)
                    here = slice(start, start + n)
                    inputs[r, here], positions[r, here] = ids, {part["positions"]}
                    targets[r, {part["place"]}] = {part["targets"]}
                    {part["sees"]}
                    start += n
            {part["end"]}
            return {{"inputs": inputs, "targets": targets, "positions": positions, "sees": sees}}
    """


MUTANTS["q01-masks"] = {
    "all tokens are asked for": _masks(targets="ids[1:]"),
    "not shifted": _masks(place="here", targets="np.where(asked, ids, -100)"),
    "targets shifted, what is asked not": _masks(targets="np.where(asked[:-1], ids[1:], -100)"),
    "end is not asked for": _masks(
        asked="[False] * (len(prompt) + 2) + [True] * len(response) + [False]"
    ),
    "assistant is asked for": _masks(
        asked="[False] * (len(prompt) + 1) + [True] * (len(response) + 2)"
    ),
    "the first token of a response is not": _masks(
        asked="[False] * (len(prompt) + 3) + [True] * len(response)"
    ),
    "the last response only": _masks(
        after="asked = [False] * (len(ids) - len(response) - 1) + [True] * (len(response) + 1)"
    ),
    "a row predicts through its texts": _masks(
        end="targets[:, :-1] = np.where(sees.any(1)[:, 1:] & (targets[:, :-1] == -100)"
        " & (positions[:, 1:] == 0), inputs[:, 1:], targets[:, :-1])"
    ),
    "what is pad is no target": _masks(end="targets[targets == pad] = -100"),
    "padding asks for pad": _masks(
        end="targets[~sees.any(1)] = pad",
    ),
    "positions of the row": _masks(positions="np.arange(start, start + n)"),
    "positions in padding, too": _masks(
        end="positions[~sees.any(1)] = np.broadcast_to(np.arange(length), positions.shape)"
        "[~sees.any(1)]"
    ),
    "causal over the row": _masks(end="sees[:] = np.tri(length, dtype=bool)"),
    "both directions": _masks(sees="sees[r, here, here] = True"),
    "not itself": _masks(sees="sees[r, here, here] = np.tri(n, k=-1, dtype=bool)"),
    "turned round": _masks(sees="sees[r, here, here] = np.tri(n, dtype=bool).T"),
    "padding sees itself": _masks(end="sees |= np.eye(length, dtype=bool)"),
    "a text a row": _masks(full="True"),
    "rows one too short": _masks(
        full="sum(len(one) for one, _ in rows[-1]) + len(ids) >= length",
    ),
    "first fit, as in the course": _masks(
        row="next((one for one in rows if sum(len(i) for i, _ in one) + len(ids) <= length), "
        "rows[-1])"
    ),
    "last token is not read": _masks(after="ids, asked = ids[:-1], asked[:-1]"),
    "user before the first turn only": _masks(
        turn="[*([] if ids else [user]), *prompt, assistant, *response, end]",
        asked="[False] * (len(prompt) + 1 + (not asked)) + [True] * (len(response) + 1)",
    ),
    "changes its texts": _masks(after="turns[0] = (turns[0][0], turns[0][1] + [end])"),
}
ALTERNATIVES["q01-masks"] = {
    "token by token": """
        def training_rows(texts, length, user, assistant, end, pad):
            inputs, targets, positions, owners, left = [], [], [], [], 0
            for number, turns in enumerate(texts):
                stream = []
                for prompt, response in turns:
                    stream.append((user, False))
                    stream.extend((token, False) for token in prompt)
                    stream.append((assistant, False))
                    stream.extend((token, True) for token in response)
                    stream.append((end, True))
                if len(stream) > left:
                    inputs.append([pad] * length)
                    targets.append([-100] * length)
                    positions.append([0] * length)
                    owners.append([-1] * length)
                    left = length
                for place, (token, asked) in enumerate(stream):
                    at = length - left
                    inputs[-1][at], positions[-1][at], owners[-1][at] = token, place, number
                    if asked:
                        targets[-1][at - 1] = token
                    left -= 1
            owner = np.array(owners)
            sees = (owner[:, :, None] == owner[:, None, :]) & (owner[:, :, None] >= 0)
            return {
                "inputs": np.array(inputs),
                "targets": np.array(targets),
                "positions": np.array(positions),
                "sees": np.tril(sees),
            }
    """,
    "lists": """
        def training_rows(texts, length, user, assistant, end, pad):
            rows, at = [], length
            for turns in texts:
                ids, wanted = [], []
                for prompt, response in turns:
                    ids.extend([user] + prompt + [assistant] + response + [end])
                    wanted.extend([-100] * (len(prompt) + 1) + response + [end, -100])
                if at + len(ids) > length:
                    rows.append([])
                    at = 0
                rows[-1].append((ids, wanted))
                at += len(ids)
            out = {"inputs": [], "targets": [], "positions": [], "sees": []}
            for row in rows:
                ids = sum((one for one, _ in row), [])
                spare = length - len(ids)
                out["inputs"].append(ids + [pad] * spare)
                out["targets"].append(sum((one for _, one in row), []) + [-100] * spare)
                out["positions"].append(
                    sum((list(range(len(one))) for one, _ in row), []) + [0] * spare
                )
                block = [[False] * length for _ in range(length)]
                start = 0
                for one, _ in row:
                    for i in range(len(one)):
                        for j in range(i + 1):
                            block[start + i][start + j] = True
                    start += len(one)
                out["sees"].append(block)
            return out
    """,
}


def _log_probability(**parts: str) -> str:
    """The log-probability of q02, with one part changed."""
    part = {
        "cast": "pass",
        "ends": "np.flatnonzero(ids[b, start:] == end)",
        "stop": "start + ends[0] + 1 if len(ends) else T",
        "scores": "logits[b, start - 1 : stop - 1]",
        "log_z": "logsumexp(scores, axis=1)",
        "wanted": "ids[b, start:stop]",
        "log_p": "(scores[np.arange(len(wanted)), wanted] - log_z).sum()",
        "tokens": "stop - start",
    } | parts
    return f"""
        from scipy.special import logsumexp


        def answer_log_probability(logits, ids, starts, end):
            {part["cast"]}
            B, T = ids.shape
            log_p, tokens = np.zeros(B), np.zeros(B, dtype=int)
            for b, start in enumerate(starts):
                ends = {part["ends"]}
                stop = {part["stop"]}
                scores = {part["scores"]}
                wanted = {part["wanted"]}
                log_z = {part["log_z"]}
                log_p[b] = {part["log_p"]}
                tokens[b] = {part["tokens"]}
            return {{"log_p": log_p, "tokens": tokens}}
    """


def _masked_log_probability(product: str) -> str:
    """The whole batch of q02 at once, with what the mask does."""
    return f"""
        from scipy.special import log_softmax


        def answer_log_probability(logits, ids, starts, end):
            B, T, V = logits.shape
            place = np.arange(T)
            ended = (ids == end) & (place >= starts[:, None])
            before = np.cumsum(ended, axis=1) - ended
            inside = (place >= starts[:, None]) & (before == 0)
            log_p = log_softmax(logits, axis=2)[:, :-1]
            own = np.take_along_axis(log_p, np.clip(ids[:, 1:, None], 0, V - 1), axis=2)[:, :, 0]
            return {{"log_p": {product}.sum(axis=1), "tokens": inside.sum(axis=1)}}
    """


MUTANTS["q02-log-probability"] = {
    "not shifted": _log_probability(scores="logits[b, start:stop]"),
    "shifted the other way": _log_probability(
        scores="logits[b, np.minimum(np.arange(start, stop) + 1, T - 1)]"
    ),
    "without the first token": _log_probability(
        scores="logits[b, start : stop - 1]", wanted="ids[b, start + 1 : stop]"
    ),
    "mean": _log_probability(
        log_p="(scores[np.arange(len(wanted)), wanted] - log_z).sum() / max(1, stop - start)"
    ),
    "the negative": _log_probability(
        log_p="(log_z - scores[np.arange(len(wanted)), wanted]).sum()"
    ),
    "probability": _log_probability(
        log_p="np.exp((scores[np.arange(len(wanted)), wanted] - log_z).sum())"
    ),
    "no softmax": _log_probability(log_z="0"),
    "overflows": _log_probability(log_z="np.log(np.exp(scores).sum(axis=1))"),
    "log of the softmax": _log_probability(
        log_z="0",
        log_p="np.log((np.exp(scores - scores.max(axis=1, keepdims=True)) / np.exp(scores - "
        "scores.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))"
        "[np.arange(len(wanted)), wanted]).sum() if stop > start else 0.0",
    ),
    "without the end": _log_probability(stop="start + ends[0] if len(ends) else T"),
    "the last end": _log_probability(stop="start + ends[-1] + 1 if len(ends) else T"),
    "to the end of the row": _log_probability(stop="T"),
    "an end in the prompt": _log_probability(
        ends="np.flatnonzero(ids[b] == end) - start",
        stop="max(start, start + ends[0] + 1) if len(ends) else T",
    ),
    "prompt and answer": _log_probability(
        scores="logits[b, : stop - 1]", wanted="ids[b, 1:stop]", tokens="stop - start"
    ),
    "0 times nan": _masked_log_probability("(own * inside[:, 1:])"),
    "nan made 0": """
        from scipy.special import log_softmax


        def answer_log_probability(logits, ids, starts, end):
            log_p = np.nan_to_num(log_softmax(logits, axis=2))
            sums, tokens = [], []
            for b, start in enumerate(starts):
                stop = start
                while stop < ids.shape[1] and (stop == start or ids[b, stop - 1] != end):
                    stop += 1
                tokens.append(stop - start)
                sums.append(sum(log_p[b, t - 1, ids[b, t]] for t in range(start, ids.shape[1])))
            return {"log_p": np.array(sums), "tokens": np.array(tokens)}
    """,
    "changes its logits": _log_probability(
        cast="logits -= np.nanmax(logits, axis=2, keepdims=True)"
    ),
    "changes its ids": _log_probability(
        cast="ids += 0; ids[:, :1] = -1",
    ),
}
ALTERNATIVES["q02-log-probability"] = {
    "all at once": _masked_log_probability("np.where(inside[:, 1:], own, 0.0)"),
    "token by token": """
        import math


        def answer_log_probability(logits, ids, starts, end):
            sums, tokens = [], []
            for row, tokens_of, start in zip(logits, ids, starts):
                total, n = 0.0, 0
                for t in range(int(start), len(tokens_of)):
                    scores = row[t - 1].tolist()
                    top = max(scores)
                    log_z = top + math.log(sum(math.exp(s - top) for s in scores))
                    total += scores[int(tokens_of[t])] - log_z
                    n += 1
                    if tokens_of[t] == end:
                        break
                sums.append(total)
                tokens.append(n)
            return {"log_p": sums, "tokens": tokens}
    """,
    "float32": _log_probability(cast="logits = logits.astype(np.float32)"),
}


def _preferences(**parts: str) -> str:
    """The model of q03, with one part changed."""
    part = {
        "gap": "rewards[:, None] - rewards[None, :]",
        "log_p": "-np.logaddexp(0, -gap)",
        "P": "np.exp(log_p)",
        "sum": "(counts * log_p).sum()",
    } | parts
    return f"""
        def preferences(rewards, counts):
            gap = {part["gap"]}
            log_p = {part["log_p"]}
            P = {part["P"]}
            return {{"probability": P, "log_likelihood": float({part["sum"]})}}
    """


MUTANTS["q03-preferences"] = {
    "the other way round": _preferences(gap="rewards[None, :] - rewards[:, None]"),
    "counts turned round": _preferences(sum="(counts.T * log_p).sum()"),
    "overflows": _preferences(
        log_p="np.log(np.exp(rewards)[:, None] / (np.exp(rewards)[:, None] + np.exp(rewards)))"
    ),
    "log of the probability": _preferences(
        log_p="np.log(1 / (1 + np.exp(-gap)))", sum="np.nansum(counts * log_p)"
    ),
    "log of a little more": _preferences(log_p="np.log(1 / (1 + np.exp(-gap)) + 1e-12)"),
    "0 times infinity": _preferences(log_p="np.log(1 / (1 + np.exp(-gap)))"),
    "negative": _preferences(sum="-(counts * log_p).sum()"),
    "mean": _preferences(sum="(counts * log_p).sum() / max(1, counts.sum())"),
    "one half of the table": _preferences(sum="(np.triu(counts) * log_p).sum()"),
    "only the winners, not how often": _preferences(sum="((counts > 0) * log_p).sum()"),
    "0 on the diagonal": _preferences(P="np.exp(log_p) * (1 - np.eye(len(rewards)))"),
    "softmax over all": _preferences(
        P="np.tile(np.exp(rewards - rewards.max()) / np.exp(rewards - rewards.max()).sum(), "
        "(len(rewards), 1)).T"
    ),
    "bits": _preferences(sum="(counts * log_p).sum() / np.log(2)"),
    "changes its rewards": """
        def preferences(rewards, counts):
            rewards -= rewards.mean()
            log_p = -np.logaddexp(0, rewards[None, :] - rewards[:, None])
            return {"probability": np.exp(log_p), "log_likelihood": float((counts * log_p).sum())}
    """,
}
ALTERNATIVES["q03-preferences"] = {
    "pair by pair": """
        import math


        def preferences(rewards, counts):
            K, total = len(rewards), 0.0
            P = [[0.0] * K for _ in range(K)]
            for i in range(K):
                for j in range(K):
                    z = float(rewards[i] - rewards[j])
                    log_p = min(z, 0.0) - math.log1p(math.exp(-abs(z)))
                    P[i][j] = math.exp(log_p)
                    total += counts[i, j] * log_p
            return {"probability": P, "log_likelihood": total}
    """,
    "SciPy": """
        from scipy.special import expit, log_expit


        def preferences(rewards, counts):
            gap = np.subtract.outer(rewards, rewards)
            return {"probability": expit(gap), "log_likelihood": np.vdot(counts, log_expit(gap))}
    """,
    "float32": _preferences(gap="(rewards[:, None] - rewards).astype(np.float32)"),
}


def _ranking(**parts: str) -> str:
    """The loss of q04, with one part changed."""
    part = {
        "ranked": "np.take_along_axis(scores, order, axis=1)",
        "pairs": "np.triu(np.ones((K, K)), 1)",
        "count": "pairs.sum()",
        "losses": "np.logaddexp(0, -gap)",
        "pull": "np.exp(-np.logaddexp(0, gap))",
        "signed": "pull.sum(axis=1) - pull.sum(axis=2)",
        "put": "np.put_along_axis(gradient, order, signed, axis=1)",
        "over": "(N * count)",
        "loss_over": "(N * count)",
        "right": "(gap > 0) + 0.5 * (gap == 0)",
    } | parts
    return f"""
        def ranking_loss(scores, order):
            N, K = scores.shape
            ranked = {part["ranked"]}
            gap = ranked[:, :, None] - ranked[:, None, :]
            pairs = {part["pairs"]}
            count = {part["count"]}
            pull = {part["pull"]} * pairs
            signed = ({part["signed"]}) / {part["over"]}
            gradient = np.zeros((N, K))
            {part["put"]}
            right = {part["right"]}
            return {{
                "loss": float(({part["losses"]} * pairs).sum() / {part["loss_over"]}),
                "gradient": gradient,
                "agreement": float((right * pairs).sum() / (N * pairs.sum())),
            }}
    """


MUTANTS["q04-ranking"] = {
    "order as ranks": _ranking(
        ranked="np.take_along_axis(scores, order.argsort(axis=1), axis=1)",
        put="np.put_along_axis(gradient, order.argsort(axis=1), signed, axis=1)",
    ),
    "gradient in the order of ranks": _ranking(put="gradient[:] = signed"),
    "gradient put back by ranks": _ranking(
        put="gradient[:] = np.take_along_axis(signed, order, axis=1)"
    ),
    "neighbours only": _ranking(pairs="np.eye(K, k=1)"),
    "the best against the others only": _ranking(pairs="np.eye(1, K).T * (np.arange(K) > 0)"),
    "worst first": _ranking(ranked="np.take_along_axis(scores, order[:, ::-1], axis=1)"),
    "sum over pairs": _ranking(over="N", loss_over="N"),
    "sum over prompts": _ranking(over="count", loss_over="count"),
    "loss divided, gradient not": _ranking(over="1"),
    "gradient not divided by prompts": _ranking(over="count"),
    "sign of the gradient": _ranking(signed="pull.sum(axis=2) - pull.sum(axis=1)"),
    "pulls by the right order": _ranking(pull="np.exp(-np.logaddexp(0, -gap))"),
    "winner only": _ranking(signed="-pull.sum(axis=2)"),
    "overflows": _ranking(losses="np.nan_to_num(-np.log(1 / (1 + np.exp(-gap))), posinf=np.inf)"),
    "log of a little more": _ranking(losses="-np.log(1 / (1 + np.exp(-gap)) + 1e-12)"),
    "pairs twice": _ranking(pairs="1 - np.eye(K)"),
    "ties are won": _ranking(right="gap >= 0"),
    "ties are lost": _ranking(right="gap > 0"),
    "changes its scores": _ranking(
        ranked="np.take_along_axis(scores, order, axis=1); scores -= scores.max() + 1"
    ),
}
ALTERNATIVES["q04-ranking"] = {
    "pair by pair": """
        import math


        def ranking_loss(scores, order):
            N, K = scores.shape
            count = N * K * (K - 1) // 2
            loss, right, gradient = 0.0, 0.0, np.zeros((N, K))
            for n in range(N):
                for i in range(K):
                    for j in range(i + 1, K):
                        w, l = order[n, i], order[n, j]
                        z = float(scores[n, w] - scores[n, l])
                        loss += max(0.0, -z) + math.log1p(math.exp(-abs(z)))
                        wrong = 1 / (1 + math.exp(min(z, 700.0)))
                        gradient[n, w] -= wrong / count
                        gradient[n, l] += wrong / count
                        right += 1.0 if z > 0 else (0.5 if z == 0 else 0.0)
            return {"loss": loss / count, "gradient": gradient, "agreement": right / count}
    """,
    "by ranks, SciPy": """
        from scipy.special import expit, log_expit


        def ranking_loss(scores, order):
            rank = np.argsort(order, axis=1)
            better = rank[:, :, None] < rank[:, None, :]  # (N, answer, answer)
            gap = scores[:, :, None] - scores[:, None, :]
            pull = np.where(better, expit(-gap), 0) / better.sum()
            return {
                "loss": -log_expit(gap)[better].mean(),
                "gradient": pull.sum(1) - pull.sum(2),
                "agreement": (np.sign(gap)[better].mean() + 1) / 2,
            }
    """,
    "float32": _ranking(ranked="np.take_along_axis(scores, order, axis=1).astype(np.float32)"),
}


def _optimum(**parts: str) -> str:
    """The best policies of q05, with one part changed."""
    part = {
        "top": "rewards[given].max()",
        "short": "np.where(given, rewards - top, 0.0)",
        "zero": "reference * (given & (rewards == top))",
        "many": "reference * np.exp(short / beta)",
        "normalised": "row / row.sum()",
        "kl": "sum(p * np.log(p / q) for p, q in zip(row, reference) if p > 0)",
        "reward": "row @ rewards",
        "betas": "betas",
    } | parts
    return f"""
        def optimum(reference, rewards, betas):
            given = reference > 0
            top = {part["top"]}
            short = {part["short"]}
            found = {{"policy": [], "reward": [], "kl": []}}
            for beta in {part["betas"]}:
                row = {part["zero"]} if beta == 0 else {part["many"]}
                row = {part["normalised"]}
                found["policy"].append(row)
                found["reward"].append({part["reward"]})
                found["kl"].append({part["kl"]})
            return {{name: np.array(rows) for name, rows in found.items()}}
    """


MUTANTS["q05-optimum"] = {
    "β = 0 is a small β": _optimum(zero="reference * np.exp(short / 1e-3)"),
    "nearly the best": _optimum(zero="reference * (given & (rewards > top - 0.05))"),
    "no reference": _optimum(many="given * np.exp(short / beta)"),
    "times beta": _optimum(many="reference * np.exp(short * min(beta, 1e9))"),
    "minus": _optimum(many="reference * np.exp(-np.maximum(short / beta, -700))"),
    "not normalised": _optimum(normalised="row"),
    "divided by the largest": _optimum(normalised="row / row.max()"),
    "the largest of all rewards": _optimum(
        top="rewards.max()", zero="reference * (rewards == top)"
    ),
    "no largest": _optimum(short="rewards"),
    "clipped exponents": _optimum(
        short="rewards", many="reference * np.exp(np.minimum(short / beta, 500))"
    ),
    "a little in place of zero": _optimum(
        many="(reference + 1e-3) * np.exp(np.minimum(0, (rewards - rewards.max()) / beta))"
    ),
    "β = 0: only one of the best": _optimum(
        zero="np.eye(len(reference))[np.argmax(np.where(given, rewards, -np.inf))]"
    ),
    "β = 0: all best ones alike": _optimum(zero="1.0 * (given & (rewards == top))"),
    "β = 0: the best of all": _optimum(zero="1.0 * (rewards == rewards.max())"),
    "β = 0: the reference": _optimum(zero="reference"),
    "β = ∞: even": _optimum(
        many="given * 1.0 if np.isinf(beta) else reference * np.exp(short / beta)"
    ),
    "β = 0 by a small one": _optimum(zero="reference * np.exp(short / 0.1)"),
    "reverse divergence": _optimum(
        kl="sum(q * np.log(q / max(p, 1e-300)) for p, q in zip(row, reference) if q > 0)"
    ),
    "0 log 0": _optimum(kl="(row * np.log(row / reference)).sum()"),
    "divergence in bits": _optimum(
        kl="sum(p * np.log2(p / q) for p, q in zip(row, reference) if p > 0)"
    ),
    "sign of the divergence": _optimum(
        kl="sum(p * np.log(q / p) for p, q in zip(row, reference) if p > 0)"
    ),
    "reward less its price": _optimum(
        reward="row @ rewards - (beta * sum(p * np.log(p / q) for p, q in zip(row, reference) "
        "if p > 0) if 0 < beta < np.inf else 0)"
    ),
    "reward of the reference": _optimum(reward="reference @ rewards"),
    "sorted prices": _optimum(betas="np.sort(betas)"),
    "changes its rewards": _optimum(
        short="np.where(given, rewards - top, 0.0); rewards[~given] = 0.0"
    ),
}
ALTERNATIVES["q05-optimum"] = {
    "answers that are given": """
        from scipy.special import logsumexp, rel_entr


        def optimum(reference, rewards, betas):
            given = np.flatnonzero(reference)
            policy = np.zeros((len(betas), len(reference)))
            for m, beta in enumerate(betas):
                if beta == 0:
                    best = given[rewards[given] == rewards[given].max()]
                    policy[m, best] = reference[best] / reference[best].sum()
                    continue
                weights = np.log(reference[given]) + rewards[given] / beta
                policy[m, given] = np.exp(weights - logsumexp(weights))
            kl = rel_entr(policy, reference).sum(axis=1)
            return {"policy": policy, "reward": policy.dot(rewards), "kl": kl}
    """,
    "all prices at once": """
        def optimum(reference, rewards, betas):
            with np.errstate(divide="ignore", invalid="ignore"):
                worth = np.where(reference > 0, rewards, -np.inf)
                gap = worth - worth.max()
                exponents = np.where(gap == 0, 0.0, gap / np.asarray(betas)[:, None])
                weights = reference * np.exp(np.where(reference > 0, exponents, -np.inf))
                policy = weights / weights.sum(axis=1, keepdims=True)
                kl = np.nansum(policy * np.log(policy / reference), axis=1)
            return {"policy": policy, "reward": (policy * rewards).sum(axis=1), "kl": kl}
    """,
    "lists": _optimum(
        kl="sum(float(p) * float(np.log(p / q)) for p, q in zip(row, reference) if p)"
    ),
}


def _best_of_n(**parts: str) -> str:
    """The best of n of q06, with one part changed."""
    part = {
        "lower": "(rewards[:, None] > rewards) @ reference",
        "equal": "(rewards[:, None] == rewards) @ reference",
        "share": "np.where(reference > 0, reference / np.maximum(equal, 1e-300), 0.0)",
        "level": "(lower + equal) ** n - lower**n",
        "kl": "sum(p * np.log(p / q) for p, q in zip(policy, reference) if p > 0 and q > 0)",
        "bound": "np.log(n) - (n - 1) / n",
        "win": "policy @ (lower + equal / 2)",
        "reward": "policy @ rewards",
        "ns": "ns",
    } | parts
    return f"""
        def best_of_n(reference, rewards, ns):
            lower = {part["lower"]}
            equal = {part["equal"]}
            share = {part["share"]}
            found = {{"reward": [], "kl": [], "bound": [], "win": []}}
            for n in {part["ns"]}:
                policy = ({part["level"]}) * share
                found["reward"].append({part["reward"]})
                found["kl"].append({part["kl"]})
                found["bound"].append({part["bound"]})
                found["win"].append({part["win"]})
            return {{name: np.array(values) for name, values in found.items()}}
    """


MUTANTS["q06-best-of-n"] = {
    "the list of n spoiled": """
        def best_of_n(reference, rewards, ns):
            ns[:] = [1] * len(ns)
            reward, zeros = float(reference @ rewards), np.zeros(len(ns))
            return {"reward": zeros + reward, "kl": zeros, "bound": zeros, "win": zeros + 0.5}
    """,
    "at most, without less": _best_of_n(level="(lower + equal) ** n"),
    "at most, normalised": """
        def best_of_n(reference, rewards, ns):
            upto = (rewards[:, None] >= rewards) @ reference
            found = {"reward": [], "kl": [], "bound": [], "win": []}
            for n in ns:
                policy = reference * upto ** (n - 1)
                policy = policy / policy.sum()
                log = np.log(np.where(policy > 0, policy, 1) / np.where(policy > 0, reference, 1))
                found["reward"].append(policy @ rewards)
                found["kl"].append(policy @ log)
                found["bound"].append(np.log(n) - (n - 1) / n)
                less = (rewards[:, None] > rewards) @ reference
                found["win"].append(policy @ (less + upto) / 2)
            return {name: np.array(values) for name, values in found.items()}
    """,
    "no equal rewards": """
        def best_of_n(reference, rewards, ns):
            order = np.argsort(rewards, kind="stable")
            upto = np.cumsum(reference[order])
            lower = upto - reference[order]
            found = {"reward": [], "kl": [], "bound": [], "win": []}
            for n in ns:
                policy = np.zeros(len(reference))
                policy[order] = upto**n - lower**n
                given = (policy > 0) & (reference > 0)
                found["reward"].append(policy @ rewards)
                found["kl"].append((policy[given] * np.log(policy[given] / reference[given])).sum())
                found["bound"].append(np.log(n) - (n - 1) / n)
                found["win"].append(policy[order] @ (lower + upto) / 2)
            return {name: np.array(values) for name, values in found.items()}
    """,
    "equal ones share alike": _best_of_n(
        share="(reference > 0) / np.maximum(((rewards[:, None] == rewards) & (reference > 0))"
        ".sum(axis=1), 1)"
    ),
    "one draw more": _best_of_n(level="(lower + equal) ** (n + 1) - lower ** (n + 1)"),
    "the worst of n": _best_of_n(lower="(rewards[:, None] < rewards) @ reference"),
    "reference to the power n": _best_of_n(
        level="reference**n / (reference**n).sum()", share="1.0"
    ),
    "the highest reward": _best_of_n(reward="rewards[reference > 0].max()"),
    "bound for the divergence": _best_of_n(kl="np.log(n) - (n - 1) / n"),
    "reverse divergence": _best_of_n(
        kl="sum(q * np.log(q / max(p, 1e-300)) for p, q in zip(policy, reference) if q > 0)"
    ),
    "0 log 0": _best_of_n(kl="(policy * np.log(policy / reference)).sum()"),
    "divergence in bits": _best_of_n(
        kl="sum(p * np.log2(p / q) for p, q in zip(policy, reference) if p > 0)"
    ),
    "bound: log n": _best_of_n(bound="np.log(n)"),
    "bound: plus": _best_of_n(bound="np.log(n) + (n - 1) / n"),
    "wins without ties": _best_of_n(win="policy @ lower"),
    "ties are won": _best_of_n(win="policy @ (lower + equal)"),
    "wins: n/(n + 1)": _best_of_n(win="n / (n + 1)"),
    "sorted": _best_of_n(ns="sorted(ns)"),
    "drawn": """
        def best_of_n(reference, rewards, ns):
            rng = np.random.default_rng(0)
            found = {"reward": [], "kl": [], "bound": [], "win": []}
            K = len(reference)
            for n in ns:
                drawn = rng.choice(K, size=(2000, n), p=reference)
                best = drawn[np.arange(2000), rewards[drawn].argmax(axis=1)]
                policy = np.bincount(best, minlength=K) / 2000
                given = policy > 0
                found["reward"].append(policy @ rewards)
                found["kl"].append((policy[given] * np.log(policy[given] / reference[given])).sum())
                found["bound"].append(np.log(n) - (n - 1) / n)
                gap = np.sign(rewards[:, None] - rewards) @ reference
                found["win"].append(policy @ (1 + gap) / 2)
            return {name: np.array(values) for name, values in found.items()}
    """,
    "changes its reference": _best_of_n(
        share="np.where(reference > 0, reference / np.maximum(equal, 1e-300), 0.0); "
        "reference += 1e-12"
    ),
}
ALTERNATIVES["q06-best-of-n"] = {
    "level by level": """
        import math


        def best_of_n(reference, rewards, ns):
            found = {"reward": [], "kl": [], "bound": [], "win": []}
            for n in ns:
                below, reward, kl, win = 0.0, 0.0, 0.0, 0.0
                for level in sorted(set(rewards.tolist())):
                    mass = float(reference[rewards == level].sum())
                    if mass == 0:
                        continue
                    p = (below + mass) ** n - below**n
                    reward += p * level
                    kl += p * math.log(p / mass) if p > 0 else 0.0
                    win += p * (below + mass / 2)
                    below += mass
                found["reward"].append(reward)
                found["kl"].append(kl)
                found["bound"].append(math.log(n) - 1 + 1 / n)
                found["win"].append(win)
            return found
    """,
    "a draw at a time": """
        def best_of_n(reference, rewards, ns):
            found = {"reward": [], "kl": [], "bound": [], "win": []}
            better = (rewards[:, None] > rewards).astype(float)
            stays = (rewards[:, None] >= rewards).astype(float)
            for n in ns:
                policy = reference.copy()
                for _ in range(n - 1):
                    policy = policy * (stays @ reference) + reference * (better @ policy)
                given = policy > 0
                found["reward"].append(rewards @ policy)
                found["kl"].append(policy[given] @ np.log(policy[given] / reference[given]))
                found["bound"].append(np.log(n) - (n - 1) / n)
                found["win"].append(policy @ (better + stays) @ reference / 2)
            return {name: np.array(values) for name, values in found.items()}
    """,
    "another order": _best_of_n(
        level="(1 - (1 - (lower + equal))) ** n - lower**n", bound="np.log(n) + 1 / n - 1"
    ),
}


def _divergence(**parts: str) -> str:
    """The estimates of q07, with one part changed."""
    part = {
        "given": "log_p > -np.inf",
        "p": "np.exp(log_p)",
        "ratio": "np.subtract(log_p, log_ref, out=np.zeros(len(p)), where=given)",
        "k1": "log_ratio",
        "k2": "log_ratio**2 / 2",
        "k3": "np.exp(-log_ratio) - 1 + log_ratio",
        "kl": "mean[0]",
        "mean": "k @ p",
        "std": "np.sqrt((k - mean[:, None]) ** 2 @ p)",
        "estimate": "k[:, drawn].mean(axis=1)",
        "last": "pass",
    } | parts
    return f"""
        def divergence(log_p, log_ref, drawn):
            given = {part["given"]}
            p = {part["p"]}
            log_ratio = {part["ratio"]}
            k = np.stack([{part["k1"]}, {part["k2"]}, {part["k3"]}])
            mean = {part["mean"]}
            found = {{
                "kl": float({part["kl"]}),
                "mean": mean,
                "std": {part["std"]},
                "estimate": {part["estimate"]},
            }}
            {part["last"]}
            return found
    """


MUTANTS["q07-divergence"] = {
    "the other way round": _divergence(
        ratio="np.subtract(log_ref, log_p, out=np.zeros(len(p)), where=given)"
    ),
    "mean under the reference": _divergence(p="np.exp(log_ref)"),
    "0 times infinity": _divergence(ratio="log_p - log_ref"),
    "k2 not halved": _divergence(k2="log_ratio**2"),
    "k2: square of the mean": _divergence(
        last="found['mean'] = np.array([mean[0], mean[0] ** 2 / 2, mean[2]])"
    ),
    "k3: ρ in place of its inverse": _divergence(k3="np.exp(log_ratio) - 1 - log_ratio"),
    "k3: ρ − 1 + log ρ": _divergence(k3="np.exp(log_ratio) - 1 + log_ratio"),
    "k3: without −1": _divergence(k3="np.exp(-log_ratio) + log_ratio"),
    "k3: minus the logarithm": _divergence(k3="np.exp(-log_ratio) - 1 - log_ratio"),
    "k3's mean is the divergence": _divergence(
        last="found['mean'] = np.array([mean[0], mean[1], mean[0]])"
    ),
    "variance": _divergence(std="(k - mean[:, None]) ** 2 @ p"),
    "sample deviation": _divergence(
        std="np.sqrt((k - mean[:, None]) ** 2 @ p * len(p) / max(1, len(p) - 1))"
    ),
    "deviation of those drawn": _divergence(std="k[:, drawn].std(axis=1)"),
    "deviation: all answers alike": _divergence(std="k.std(axis=1)"),
    "deviation: expected square": _divergence(std="np.sqrt(k**2 @ p)"),
    "each that was drawn once": _divergence(estimate="k[:, sorted(set(drawn))].mean(axis=1)"),
    "those drawn, weighed once more": _divergence(
        estimate="(k[:, drawn] * p[drawn]).sum(axis=1) / p[drawn].sum()"
    ),
    "sum over those drawn": _divergence(estimate="k[:, drawn].sum(axis=1)"),
    "expected in place of drawn": _divergence(estimate="mean"),
    "changes its log_p": _divergence(last="log_p[~given] = 0.0; log_p += 1e-9"),
}
ALTERNATIVES["q07-divergence"] = {
    "answer by answer": """
        import math


        def divergence(log_p, log_ref, drawn):
            def estimates(y):
                log_ratio = float(log_p[y]) - float(log_ref[y])
                return [log_ratio, log_ratio**2 / 2, math.expm1(-log_ratio) + log_ratio]

            answers = [y for y in range(len(log_p)) if log_p[y] != -math.inf]
            mean, std = [], []
            for i in range(3):
                pairs = [(math.exp(log_p[y]), estimates(y)[i]) for y in answers]
                mean.append(sum(p * k for p, k in pairs))
                std.append(math.sqrt(sum(p * (k - mean[-1]) ** 2 for p, k in pairs)))
            rows = [estimates(y) for y in drawn]
            average = [sum(row[i] for row in rows) / len(rows) for i in range(3)]
            return {"kl": mean[0], "mean": mean, "std": std, "estimate": average}
    """,
    "by expected squares": """
        def divergence(log_p, log_ref, drawn):
            given = np.isfinite(log_p)
            p = np.exp(log_p[given])
            with np.errstate(invalid="ignore"):
                whole = np.where(given, log_p - log_ref, 0.0)
            k = np.array([whole, 0.5 * whole**2, np.expm1(-whole) + whole])
            mean = (p * k[:, given]).sum(1)
            square = (p * k[:, given] ** 2).sum(1)
            return {
                "kl": mean[0],
                "mean": mean,
                "std": np.sqrt(np.maximum(square - mean**2, 0)),
                "estimate": np.mean(k[:, np.array(drawn)], axis=1),
            }
    """,
    "float32": _divergence(p="np.exp(log_p).astype(np.float32)"),
}


def _gradient(**parts: str) -> str:
    """The policy gradient of q08, with one part changed."""
    part = {
        "p": "np.exp(logits - logits.max())",
        "score": "np.eye(len(p)) - p",
        "gradient": "p * (rewards - p @ rewards)",
        "estimates": "(rewards - baseline)[:, None] * score",
        "variance": "p @ ((estimates - gradient) ** 2).sum(axis=1)",
        "weights": "p * (score**2).sum(axis=1)",
        "best": "weights @ rewards / weights.sum()",
        "last": "pass",
    } | parts
    return f"""
        def policy_gradient(logits, rewards, baseline):
            p = {part["p"]}
            p = p / p.sum()
            score = {part["score"]}
            gradient = {part["gradient"]}
            estimates = {part["estimates"]}
            weights = {part["weights"]}
            found = {{
                "gradient": gradient,
                "estimates": estimates,
                "variance": float({part["variance"]}),
                "best": float({part["best"]}),
            }}
            {part["last"]}
            return found
    """


MUTANTS["q08-gradient"] = {
    "of a loss": _gradient(gradient="-p * (rewards - p @ rewards)"),
    "π r": _gradient(gradient="p * rewards"),
    "without π": _gradient(gradient="rewards - p @ rewards"),
    "gradient less the baseline": _gradient(gradient="p * (rewards - baseline)"),
    "overflows": _gradient(p="np.exp(logits)"),
    "score: e_a": _gradient(score="np.eye(len(p))"),
    "score: gradient of π": _gradient(score="np.diag(p) - np.outer(p, p)"),
    "score: one over π": _gradient(score="np.diag(1 / p)"),
    "no baseline": _gradient(estimates="rewards[:, None] * score"),
    "baseline is added": _gradient(estimates="(rewards + baseline)[:, None] * score"),
    "baseline taken from columns": _gradient(
        estimates="rewards[:, None] * score - baseline", gradient="p * (rewards - p @ rewards)"
    ),
    "turned round": _gradient(last="found['estimates'] = estimates.T"),
    "weighed by π": _gradient(last="found['estimates'] = p[:, None] * estimates"),
    "expected square": _gradient(variance="p @ (estimates**2).sum(axis=1)"),
    "mean over the numbers": _gradient(variance="p @ ((estimates - gradient) ** 2).mean(axis=1)"),
    "all actions alike": _gradient(variance="((estimates - gradient) ** 2).sum(axis=1).mean()"),
    "distance": _gradient(variance="np.sqrt(p @ ((estimates - gradient) ** 2).sum(axis=1))"),
    "mean distance": _gradient(variance="p @ np.sqrt(((estimates - gradient) ** 2).sum(axis=1))"),
    "best: the expected reward": _gradient(best="p @ rewards"),
    "best: the mean reward": _gradient(best="rewards.mean()"),
    "best: without π": _gradient(weights="(score**2).sum(axis=1)"),
    "best: lengths, not squared": _gradient(weights="p * np.sqrt((score**2).sum(axis=1))"),
    "best: 1 − π": _gradient(weights="p * (1 - p)"),
    "changes its rewards": _gradient(last="rewards -= baseline + 1"),
}
ALTERNATIVES["q08-gradient"] = {
    "action by action": """
        import math


        def policy_gradient(logits, rewards, baseline):
            K, top = len(logits), float(max(logits))
            weights = [math.exp(float(z) - top) for z in logits]
            p = [w / sum(weights) for w in weights]
            rows, sizes = [], []
            for a in range(K):
                score = [(1.0 if a == k else 0.0) - p[k] for k in range(K)]
                sizes.append(sum(s * s for s in score))
                rows.append([(float(rewards[a]) - baseline) * s for s in score])
            gradient = [sum(p[a] * rows[a][k] for a in range(K)) for k in range(K)]
            variance = sum(
                p[a] * sum((rows[a][k] - gradient[k]) ** 2 for k in range(K)) for a in range(K)
            )
            best = sum(p[a] * sizes[a] * float(rewards[a]) for a in range(K))
            best /= sum(p[a] * sizes[a] for a in range(K))
            return {"gradient": gradient, "estimates": rows, "variance": variance, "best": best}
    """,
    "by the Jacobian": """
        from scipy.special import softmax


        def policy_gradient(logits, rewards, baseline):
            p = softmax(logits)
            jacobian = np.diag(p) - np.outer(p, p)
            estimates = np.einsum("a,ak->ak", rewards - baseline, np.eye(p.size) - p[None])
            gradient = jacobian @ rewards
            variance = (p[:, None] * estimates**2).sum() - (gradient**2).sum()
            size = 1 - 2 * p + (p**2).sum()
            best = np.average(rewards, weights=p * size)
            return {
                "gradient": gradient,
                "estimates": estimates,
                "variance": max(0.0, variance),
                "best": best,
            }
    """,
    "float32": _gradient(p="np.exp(logits - logits.max()).astype(np.float32)"),
}


def _token_rewards(**parts: str) -> str:
    """The rewards of q09, with one part changed."""
    part = {
        "inside": "np.arange(log_p.shape[1]) < lengths[:, None]",
        "price": "-beta * (log_p - log_ref)",
        "rewards": "np.where(inside, price, 0.0)",
        "score": "np.where(ended, scores, cut_score)",
        "add": "rewards[np.arange(len(scores)), lengths - 1] += score",
        "total": "rewards.sum(axis=1)",
        "last": "pass",
    } | parts
    return f"""
        def token_rewards(scores, log_p, log_ref, lengths, ended, beta, cut_score):
            inside = {part["inside"]}
            price = {part["price"]}
            rewards = {part["rewards"]}
            score = {part["score"]}
            {part["add"]}
            total = {part["total"]}
            {part["last"]}
            return {{"rewards": rewards, "total": total}}
    """


MUTANTS["q09-token-rewards"] = {
    "divergence pays": _token_rewards(price="beta * (log_p - log_ref)"),
    "no price": _token_rewards(price="-(log_p - log_ref)"),
    "divided by beta": _token_rewards(price="-(log_p - log_ref) / beta"),
    "only log π": _token_rewards(price="-beta * log_p"),
    "0 times nan": _token_rewards(rewards="price * inside"),
    "nothing left out": _token_rewards(rewards="np.nan_to_num(price)"),
    "score at every token": _token_rewards(add="rewards += inside * score[:, None]"),
    "score at the end of the row": _token_rewards(add="rewards[:, -1] += score"),
    "score one place later": _token_rewards(
        add="rewards[np.arange(len(scores)), np.minimum(lengths, log_p.shape[1] - 1)] += score"
    ),
    "score in place of the price": _token_rewards(
        add="rewards[np.arange(len(scores)), lengths - 1] = score"
    ),
    "score shared by the tokens": _token_rewards(
        add="rewards += inside * (score / lengths)[:, None]"
    ),
    "cut off is not looked at": _token_rewards(score="scores"),
    "cut off: added": _token_rewards(score="scores + np.where(ended, 0, cut_score)"),
    "cut off: 0": _token_rewards(score="np.where(ended, scores, 0.0)"),
    "cut off the other way": _token_rewards(score="np.where(ended, cut_score, scores)"),
    "cut off: no price either": _token_rewards(
        rewards="np.where(inside & ended[:, None], price, 0.0)"
    ),
    "mean": _token_rewards(total="rewards.sum(axis=1) / lengths"),
    "total without the score": _token_rewards(total="rewards.sum(axis=1) - score"),
    "changes its scores": _token_rewards(last="scores[~ended] = cut_score"),
    "changes log_p": _token_rewards(
        price="np.negative(np.subtract(log_p, log_ref, out=log_p)) * beta"
    ),
}
ALTERNATIVES["q09-token-rewards"] = {
    "answer by answer": """
        def token_rewards(scores, log_p, log_ref, lengths, ended, beta, cut_score):
            rows, totals = [], []
            for b, n in enumerate(lengths):
                row = [float(beta * (log_ref[b, t] - log_p[b, t])) for t in range(n)]
                row[-1] += float(scores[b]) if ended[b] else cut_score
                totals.append(sum(row))
                rows.append(row + [0.0] * (log_p.shape[1] - int(n)))
            return {"rewards": rows, "total": totals}
    """,
    "sum of sequences": """
        def token_rewards(scores, log_p, log_ref, lengths, ended, beta, cut_score):
            place = np.arange(log_p.shape[1])[None]
            ratio = np.where(place < lengths[:, None], log_p - log_ref, 0)
            last = place == lengths[:, None] - 1
            given = np.where(ended, scores, cut_score)
            return {
                "rewards": last * given[:, None] - beta * ratio,
                "total": given - beta * ratio.sum(1),
            }
    """,
    "float32": _token_rewards(price="(-beta * (log_p - log_ref)).astype(np.float32)"),
}


def _advantages(**parts: str) -> str:
    """The advantages of q10, with one part changed."""
    part = {
        "G0": "after[b]",
        "V0": "after[b]",
        "G": "rewards[b, t] + gamma * G",
        "delta": "rewards[b, t] + gamma * V - values[b, t]",
        "later": "delta + gamma * lam * later",
        "order": "reversed(range(n))",
        "kept": "A[inside]",
        "mean": "kept.mean()",
        "spread": "kept.std()",
        "small": "spread < 1e-8",
        "normalised": "np.where(inside, (A - mean) / spread, 0.0)",
        "last": "pass",
    } | parts
    return f"""
        def advantages(rewards, values, after, lengths, gamma, lam):
            B, T = rewards.shape
            returns, A = np.zeros((B, T)), np.zeros((B, T))
            for b, n in enumerate(lengths):
                G, V, later = {part["G0"]}, {part["V0"]}, 0.0
                for t in {part["order"]}:
                    G = {part["G"]}
                    delta = {part["delta"]}
                    later = {part["later"]}
                    V = values[b, t]
                    returns[b, t], A[b, t] = G, later
            inside = np.arange(T) < lengths[:, None]
            kept = {part["kept"]}
            mean, spread = {part["mean"]}, {part["spread"]}
            normalised = np.zeros((B, T)) if {part["small"]} else {part["normalised"]}
            {part["last"]}
            return {{"returns": returns, "advantages": A, "normalised": normalised}}
    """


MUTANTS["q10-advantages"] = {
    "any spread above 0": _advantages(small="not spread > 0"),
    "V after the end is 0": _advantages(G0="0.0", V0="0.0"),
    "returns without what comes after": _advantages(G0="0.0"),
    "δ without what comes after": _advantages(V0="0.0"),
    "V of the place behind": _advantages(V0="values[b, n] if n < T else 0.0"),
    "returns forwards": _advantages(order="range(n)"),
    "returns not discounted": _advantages(G="rewards[b, t] + G"),
    "the rest of the row": _advantages(order="reversed(range(T))"),
    "what stands behind as zeros": _advantages(
        order="reversed(range(T))",
        G="np.nan_to_num(rewards[b, t]) + gamma * G",
        delta="np.nan_to_num(rewards[b, t]) + gamma * np.nan_to_num(V) "
        "- np.nan_to_num(values[b, t])",
    ),
    "δ without γ": _advantages(delta="rewards[b, t] + V - values[b, t]"),
    "δ: the same value twice": _advantages(
        delta="rewards[b, t] + gamma * values[b, t] - values[b, t]"
    ),
    "advantages by γ alone": _advantages(later="delta + gamma * later"),
    "advantages by λ alone": _advantages(later="delta + lam * later"),
    "λ = 1": _advantages(later="G - values[b, t]"),
    "λ = 0": _advantages(later="delta"),
    "1 − λ as well": _advantages(later="(1 - lam) * delta + gamma * lam * later"),
    "returns by the critic": _advantages(
        last="returns = np.where(inside, A + np.nan_to_num(values), 0)"
    ),
    "advantages are returns": _advantages(last="A = returns"),
    "normalised with padding": _advantages(kept="A"),
    "normalised by sample deviation": _advantages(
        spread="kept.std(ddof=1) if len(kept) > 1 else 0.0"
    ),
    "normalised by variance": _advantages(spread="kept.var()", small="spread < 1e-16"),
    "mean not taken off": _advantages(mean="0.0"),
    "normalised answer by answer": _advantages(
        normalised="np.where(inside, (A - (A.sum(1) / lengths)[:, None]) / np.maximum(1e-8, "
        "np.array([A[b, :n].std() for b, n in enumerate(lengths)]))[:, None], 0.0)"
    ),
    "padding normalised, too": _advantages(normalised="(A - mean) / spread"),
    "a single token is nan": _advantages(small="False"),
    "changes its rewards": _advantages(last="rewards[~inside] = 0.0"),
}
ALTERNATIVES["q10-advantages"] = {
    "sums": """
        def advantages(rewards, values, after, lengths, gamma, lam):
            B, T = rewards.shape
            returns, A = [[0.0] * T for _ in range(B)], [[0.0] * T for _ in range(B)]
            flat = []
            for b in range(B):
                n = int(lengths[b])
                V = [float(v) for v in values[b, :n]] + [float(after[b])]
                delta = [float(rewards[b, t]) + gamma * V[t + 1] - V[t] for t in range(n)]
                for t in range(n):
                    returns[b][t] = gamma ** (n - t) * V[n] + sum(
                        gamma**i * float(rewards[b, t + i]) for i in range(n - t)
                    )
                    A[b][t] = sum((gamma * lam) ** i * delta[t + i] for i in range(n - t))
                flat += A[b][:n]
            mean = sum(flat) / len(flat)
            spread = (sum((a - mean) ** 2 for a in flat) / len(flat)) ** 0.5
            normalised = [
                [(A[b][t] - mean) / spread if t < lengths[b] and spread >= 1e-8 else 0.0
                 for t in range(T)]
                for b in range(B)
            ]
            return {"returns": returns, "advantages": A, "normalised": normalised}
    """,
    "all answers at once": """
        def advantages(rewards, values, after, lengths, gamma, lam):
            B, T = rewards.shape
            inside = np.arange(T) < lengths[:, None]
            last = np.arange(T) == lengths[:, None] - 1
            r, V = np.where(inside, rewards, 0.0), np.where(inside, values, 0.0)
            following = np.append(V[:, 1:], np.zeros((B, 1)), axis=1)
            following = np.where(last, after[:, None], following)
            delta = np.where(inside, r + gamma * following - V, 0.0)
            r = r + gamma * np.where(last, after[:, None], 0.0)
            G, A = np.zeros((B, T + 1)), np.zeros((B, T + 1))
            for t in range(T - 1, -1, -1):
                G[:, t] = r[:, t] + gamma * G[:, t + 1]
                A[:, t] = delta[:, t] + gamma * lam * A[:, t + 1]
            G, A = G[:, :T], A[:, :T]
            n = inside.sum()
            mean = A.sum() / n
            spread = np.sqrt((np.where(inside, A - mean, 0) ** 2).sum() / n)
            scale = 1 / spread if spread > 1e-8 else 0.0
            whitened = np.where(inside, A - mean, 0.0) * scale
            return {"returns": G, "advantages": A, "normalised": whitened}
    """,
    "float32": _advantages(
        last="A = A.astype(np.float32); normalised = normalised.astype(np.float32)"
    ),
}


def _clip(**parts: str) -> str:
    """PPO's loss of q11, with one part changed."""
    part = {
        "inside": "np.arange(log_p.shape[1]) < lengths[:, None]",
        "A": "np.where(inside, advantages, 0.0)",
        "ratio": "np.exp(np.where(inside, log_p - log_old, 0.0))",
        "clipped": "np.clip(ratio, 1 - low, 1 + high) * A",
        "stopped": "clipped < free",
        "term": "np.minimum(free, clipped)",
        "n": "inside.sum()",
        "loss": "-term.sum() / n",
        "gradient": "np.where(stopped, 0.0, -free) / n",
        "share": "stopped.sum() / n",
        "last": "pass",
    } | parts
    return f"""
        def clipped_loss(log_p, log_old, advantages, lengths, low, high):
            inside = {part["inside"]}
            A = {part["A"]}
            ratio = {part["ratio"]}
            free = ratio * A
            clipped = {part["clipped"]}
            stopped = {part["stopped"]}
            term = {part["term"]}
            n = {part["n"]}
            gradient = {part["gradient"]}
            {part["last"]}
            return {{
                "loss": float({part["loss"]}),
                "gradient": gradient,
                "stopped": float({part["share"]}),
            }}
    """


MUTANTS["q11-clip"] = {
    "sign of the loss": _clip(loss="term.sum() / n"),
    "sign of the gradient": _clip(gradient="np.where(stopped, 0.0, free) / n"),
    "sign of both": _clip(loss="term.sum() / n", gradient="np.where(stopped, 0.0, free) / n"),
    "clip alone": _clip(
        term="clipped",
        gradient="np.where((ratio < 1 - low) | (ratio > 1 + high), 0.0, -free) / n",
    ),
    "clip alone in the gradient": _clip(
        gradient="np.where((ratio < 1 - low) | (ratio > 1 + high), 0.0, -free) / n"
    ),
    "maximum": _clip(
        term="np.maximum(free, clipped)", gradient="np.where(clipped > free, 0.0, -free) / n"
    ),
    "no clip": _clip(term="free", gradient="-free / n", stopped="clipped < -np.inf"),
    "low for both": _clip(clipped="np.clip(ratio, 1 - low, 1 + low) * A"),
    "high for both": _clip(clipped="np.clip(ratio, 1 - high, 1 + high) * A"),
    "one over": _clip(clipped="np.clip(ratio, 1 / (1 + high), 1 + high) * A"),
    "ratio of the logarithms": _clip(
        ratio="np.where(inside, log_p / np.where(log_old == 0, 1.0, log_old), 1.0)"
    ),
    "ratio turned round": _clip(ratio="np.exp(np.where(inside, log_old - log_p, 0.0))"),
    "no ratio": _clip(ratio="np.exp(np.where(inside, log_p, 0.0))"),
    "gradient by the ratio": _clip(gradient="np.where(stopped, 0.0, -A) / n"),
    "gradient of the clipped value": _clip(gradient="-term / n"),
    "gradient not divided": _clip(gradient="np.where(stopped, 0.0, -free)"),
    "gradient where it is stopped": _clip(gradient="-free / n"),
    "sum": _clip(
        loss="-term.sum()", gradient="np.where(stopped, 0.0, -free)", share="stopped.sum() / n"
    ),
    "mean over all places": _clip(n="inside.size"),
    "mean of the answers' means": _clip(
        loss="-(term.sum(axis=1) / lengths).mean()",
        gradient="np.where(stopped, 0.0, -free) / lengths[:, None] / len(lengths)",
    ),
    "sum over an answer, mean over answers": _clip(
        loss="-term.sum() / len(lengths)",
        gradient="np.where(stopped, 0.0, -free) / len(lengths)",
    ),
    "nan": _clip(A="advantages * inside", ratio="np.exp(log_p - log_old)", n="inside.sum()"),
    "nothing left out": _clip(
        A="np.nan_to_num(advantages)",
        ratio="np.exp(np.nan_to_num(log_p - log_old))",
        n="inside.size",
    ),
    "stopped: outside of the bounds": _clip(
        share="(inside & ((ratio < 1 - low) | (ratio > 1 + high))).sum() / n"
    ),
    "stopped: all where the terms are equal, too": _clip(
        share="(inside & (clipped <= free)).sum() / n"
    ),
    "stopped: a share of all places": _clip(share="stopped.mean()"),
    "stopped: how many": _clip(share="stopped.sum()"),
    "changes its advantages": _clip(last="advantages[~inside] = 0.0; advantages *= 1.001"),
}
ALTERNATIVES["q11-clip"] = {
    "token by token": """
        import math


        def clipped_loss(log_p, log_old, advantages, lengths, low, high):
            gradient = [[0.0] * log_p.shape[1] for _ in lengths]
            total, stopped, n = 0.0, 0, int(sum(lengths))
            for b, length in enumerate(lengths):
                for t in range(length):
                    ratio, A = math.exp(log_p[b, t] - log_old[b, t]), float(advantages[b, t])
                    bounded = min(max(ratio, 1 - low), 1 + high)
                    if bounded * A < ratio * A:
                        total -= bounded * A
                        stopped += 1
                    else:
                        total -= ratio * A
                        gradient[b][t] = -ratio * A / n
            return {"loss": total / n, "gradient": gradient, "stopped": stopped / n}
    """,
    "those inside": """
        def clipped_loss(log_p, log_old, advantages, lengths, low, high):
            b, t = np.nonzero(np.arange(log_p.shape[1]) < lengths[:, None])
            A = advantages[b, t]
            ratio = np.exp(log_p[b, t] - log_old[b, t])
            bound = np.where(A > 0, 1 + high, 1 - low)
            over = np.where(A > 0, ratio > bound, (A < 0) & (ratio < bound))
            losses = -A * np.where(over, bound, ratio)
            gradient = np.zeros(log_p.shape)
            gradient[b, t] = np.where(over, 0.0, losses) / len(A)
            return {"loss": losses.mean(), "gradient": gradient, "stopped": over.mean()}
    """,
    "float32": _clip(ratio="np.exp(np.where(inside, log_p - log_old, 0.0)).astype(np.float32)"),
}


def _dpo(**parts: str) -> str:
    """Both losses of q12, with one part changed."""
    part = {
        "h": "log_p - log_ref",
        "sign": "np.where(first_wins, 1.0, -1.0)",
        "margin": "beta * sign * (h[:, 0] - h[:, 1])",
        "right": "-np.logaddexp(0, -margin)",
        "wrong": "-np.logaddexp(0, margin)",
        "losses": "-(1 - smoothing) * right - smoothing * wrong",
        "slope": "np.exp(right) - (1 - smoothing)",
        "pull": "beta * slope * sign / len(sign)",
        "gradient": "np.stack([pull, -pull], axis=1)",
        "loss": "losses.mean()",
        "rewards": "beta * h",
        "accuracy": "((margin > 0) + 0.5 * (margin == 0)).mean()",
        "last": "pass",
        "gap": "sign * (h[:, 0] - h[:, 1])",
        "short": "gap - 1 / (2 * beta)",
        "ipo_loss": "(short**2).mean()",
        "ipo_pull": "2 * short * sign / len(sign)",
    } | parts
    return f"""
        def dpo(log_p, log_ref, first_wins, beta, smoothing):
            h = {part["h"]}
            sign = {part["sign"]}
            margin = {part["margin"]}
            right = {part["right"]}
            wrong = {part["wrong"]}
            losses = {part["losses"]}
            slope = {part["slope"]}
            pull = {part["pull"]}
            {part["last"]}
            return {{
                "loss": float({part["loss"]}),
                "gradient": {part["gradient"]},
                "rewards": {part["rewards"]},
                "accuracy": float({part["accuracy"]}),
            }}


        def ipo(log_p, log_ref, first_wins, beta):
            h = {part["h"]}
            sign = {part["sign"]}
            gap = {part["gap"]}
            short = {part["short"]}
            pull = {part["ipo_pull"]}
            return {{
                "loss": float({part["ipo_loss"]}),
                "gradient": np.stack([pull, -pull], axis=1),
            }}
    """


MUTANTS["q12-dpo"] = {
    "the first always wins": _dpo(sign="np.ones(len(first_wins))"),
    "the other one wins": _dpo(sign="np.where(first_wins, -1.0, 1.0)"),
    "no reference": _dpo(h="log_p - 0 * log_ref"),
    "the reference turned round": _dpo(h="log_ref - log_p"),
    "no beta": _dpo(margin="sign * (h[:, 0] - h[:, 1])"),
    "divided by beta": _dpo(margin="sign * (h[:, 0] - h[:, 1]) / beta"),
    "beta outside": _dpo(margin="sign * (h[:, 0] - h[:, 1])", loss="beta * losses.mean()"),
    "loss of the mean": _dpo(loss="np.logaddexp(0, -margin.mean())"),
    "sum": _dpo(loss="losses.sum()", pull="beta * slope * sign"),
    "gradient not divided": _dpo(pull="beta * slope * sign"),
    "gradient without beta": _dpo(pull="slope * sign / len(sign)"),
    "sign of the gradient": _dpo(pull="-beta * slope * sign / len(sign)"),
    "pulls by the right order": _dpo(slope="-np.exp(right) * (1 - smoothing)"),
    "gradient of the winner only": _dpo(
        gradient="np.stack([pull * (sign > 0), -pull * (sign < 0)], axis=1)"
    ),
    "gradient as winner and loser": _dpo(gradient="np.stack([pull * sign, -pull * sign], axis=1)"),
    "overflows": _dpo(
        right="np.log(1 / (1 + np.exp(-margin)))",
        wrong="np.log(1 / (1 + np.exp(margin)))",
        losses="-(1 - smoothing) * right - (smoothing * wrong if smoothing else 0)",
    ),
    "log of a little more": _dpo(right="np.log(1 / (1 + np.exp(-margin)) + 1e-12)"),
    "no smoothing": _dpo(losses="-right", slope="np.exp(right) - 1"),
    "smoothing: one term": _dpo(
        losses="-(1 - smoothing) * right", slope="-(1 - smoothing) * np.exp(wrong)"
    ),
    "smoothing: not in the gradient": _dpo(slope="-np.exp(wrong)"),
    "smoothing: first term whole": _dpo(
        losses="-right - smoothing * wrong",
        slope="-np.exp(wrong) + smoothing * np.exp(right)",
    ),
    "rewards without beta": _dpo(rewards="h"),
    "rewards as winner and loser": _dpo(
        rewards="np.where(np.asarray(first_wins)[:, None], beta * h, beta * h[:, ::-1])"
    ),
    "ties are lost": _dpo(accuracy="(margin > 0).mean()"),
    "ties are won": _dpo(accuracy="(margin >= 0).mean()"),
    "accuracy by probability": _dpo(
        accuracy="((np.sign(sign * (log_p[:, 0] - log_p[:, 1])) + 1) / 2).mean()"
    ),
    "ipo: beta times the gap": _dpo(short="beta * gap - 1 / (2 * beta)"),
    "ipo: goal β/2": _dpo(short="gap - beta / 2"),
    "ipo: goal 1/β": _dpo(short="gap - 1 / beta"),
    "ipo: goal below 0": _dpo(short="gap + 1 / (2 * beta)"),
    "ipo: without 2": _dpo(ipo_pull="short * sign / len(sign)"),
    "ipo: sign of the gradient": _dpo(ipo_pull="-2 * short * sign / len(sign)"),
    "ipo: never pulled back": _dpo(short="np.minimum(0, gap - 1 / (2 * beta))"),
    "ipo: sum": _dpo(ipo_loss="(short**2).sum()", ipo_pull="2 * short * sign"),
    "changes its log_p": _dpo(last="log_p -= log_ref"),
}
ALTERNATIVES["q12-dpo"] = {
    "comparison by comparison": """
        import math


        def dpo(log_p, log_ref, first_wins, beta, smoothing):
            def log_sigmoid(z):
                return min(z, 0.0) - math.log1p(math.exp(-abs(z)))

            N, loss, right = len(log_p), 0.0, 0.0
            gradient, rewards = [], []
            for i in range(N):
                r = [beta * float(log_p[i, k] - log_ref[i, k]) for k in (0, 1)]
                w, l = (0, 1) if first_wins[i] else (1, 0)
                z = r[w] - r[l]
                loss -= (1 - smoothing) * log_sigmoid(z) + smoothing * log_sigmoid(-z)
                by_z = -(1 - smoothing) * math.exp(log_sigmoid(-z))
                by_z += smoothing * math.exp(log_sigmoid(z))
                row = [0.0, 0.0]
                row[w], row[l] = beta * by_z / N, -beta * by_z / N
                gradient.append(row)
                rewards.append(r)
                right += 0.5 if r[w] == r[l] else float(r[w] > r[l])
            return {
                "loss": loss / N,
                "gradient": gradient,
                "rewards": rewards,
                "accuracy": right / N,
            }


        def ipo(log_p, log_ref, first_wins, beta):
            N, loss, gradient = len(log_p), 0.0, []
            for i in range(N):
                h = [float(log_p[i, k] - log_ref[i, k]) for k in (0, 1)]
                w, l = (0, 1) if first_wins[i] else (1, 0)
                short = h[w] - h[l] - 0.5 / beta
                loss += short * short / N
                row = [0.0, 0.0]
                row[w], row[l] = 2 * short / N, -2 * short / N
                gradient.append(row)
            return {"loss": loss, "gradient": gradient}
    """,
    "winners and losers, SciPy": """
        from scipy.special import expit, log_expit


        def _gap(log_p, log_ref, first_wins):
            winner = np.where(first_wins, 0, 1)
            rows = np.arange(len(winner))
            h = log_p - log_ref
            return rows, winner, h, h[rows, winner] - h[rows, 1 - winner]


        def dpo(log_p, log_ref, first_wins, beta, smoothing):
            rows, winner, h, gap = _gap(log_p, log_ref, first_wins)
            z = beta * gap
            by_winner = -beta * ((1 - smoothing) * expit(-z) - smoothing * expit(z)) / len(rows)
            gradient = np.empty_like(h)
            gradient[rows, winner], gradient[rows, 1 - winner] = by_winner, -by_winner
            return {
                "loss": -np.mean((1 - smoothing) * log_expit(z) + smoothing * log_expit(-z)),
                "gradient": gradient,
                "rewards": beta * h,
                "accuracy": np.mean((np.sign(gap) + 1) / 2),
            }


        def ipo(log_p, log_ref, first_wins, beta):
            rows, winner, h, gap = _gap(log_p, log_ref, first_wins)
            short = gap - 1 / (2 * beta)
            gradient = np.empty_like(h)
            gradient[rows, winner] = 2 * short / len(rows)
            gradient[rows, 1 - winner] = -gradient[rows, winner]
            return {"loss": np.mean(np.square(short)), "gradient": gradient}
    """,
    "float32": _dpo(h="(log_p - log_ref).astype(np.float32)"),
}
