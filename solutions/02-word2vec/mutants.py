"""Known answers to the questions of 02-word2vec: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

import textwrap

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _pairs(
    first: str = "position - window", last: str = "position + window + 1", **parts: str
) -> str:
    """The loop over one sentence, with one part changed."""
    condition = parts.get("condition", "other != position")
    offset = parts.get("offset", "other - position")
    return f"""
        def window_pairs(sentences, window):
            pairs = []
            for words in sentences:
                for position in range(len(words)):
                    for other in range(max(0, {first}), min(len(words), {last})):
                        if {condition}:
                            pairs.append((words[position], words[other], {offset}))
            return pairs
    """


MUTANTS["q01-window-pairs"] = {
    "range stops one short": _pairs(last="position + window"),
    "center is its own outside word": _pairs(condition="True"),
    "only the right side": _pairs(first="position"),
    "offset has the wrong sign": _pairs(offset="position - other"),
    "equal words left out": _pairs(condition="words[other] != words[position]"),
    "windows cross sentences": """
        def window_pairs(sentences, window):
            words = [word for sentence in sentences for word in sentence]
            return [
                (words[i], words[i + j], j)
                for i in range(len(words))
                for j in range(-window, window + 1)
                if j != 0 and 0 <= i + j < len(words)
            ]
    """,
    "negative index wraps round": """
        def window_pairs(sentences, window):
            pairs = []
            for words in sentences:
                for i, center in enumerate(words):
                    for j in range(-window, window + 1):
                        if j != 0 and i + j < len(words) and i + j >= -len(words):
                            pairs.append((center, words[i + j], j))
            return pairs
    """,
    "set instead of list": """
        def window_pairs(sentences, window):
            pairs = set()
            for words in sentences:
                for i in range(len(words)):
                    for j in range(max(0, i - window), min(len(words), i + window + 1)):
                        if i != j:
                            pairs.add((words[i], words[j], j - i))
            return sorted(pairs)
    """,
}
ALTERNATIVES["q01-window-pairs"] = {
    "one distance at a time": """
        def window_pairs(sentences, window):
            pairs = []
            for words in sentences:
                for distance in range(1, window + 1):
                    for left, right in zip(words, words[distance:]):
                        pairs.append((left, right, distance))
                        pairs.append((right, left, -distance))
            return pairs
    """,
    "comprehension with lists": """
        def window_pairs(sentences, window):
            return [
                [words[i], words[i + j], j]
                for words in sentences
                for i in range(len(words))
                for j in range(-window, window + 1)
                if j and 0 <= i + j < len(words)
            ]
    """,
    "numpy positions": """
        def window_pairs(sentences, window):
            pairs = []
            for words in sentences:
                positions = np.arange(len(words))
                offsets = positions[None, :] - positions[:, None]
                for i, j in zip(*np.nonzero((np.abs(offsets) <= window) & (offsets != 0))):
                    pairs.append((words[i], words[j], offsets[i, j]))
            return pairs
    """,
}


def _keep(value: str) -> str:
    return f"""
        def keep_probability(counts, threshold):
            total = sum(counts.values())
            return {{word: {value} for word, count in counts.items()}}
    """


MUTANTS["q02-keep-probability"] = {
    "above one": _keep("(threshold * total / count) ** 0.5"),
    "no square root": _keep("min(1.0, threshold * total / count)"),
    "probability to discard": _keep("1 - min(1.0, (threshold * total / count) ** 0.5)"),
    "counts for shares": _keep("min(1.0, (threshold / count) ** 0.5)"),
    "upside down": _keep("min(1.0, (count / total / threshold) ** 0.5)"),
    "share of the largest": _keep("min(1.0, (threshold * max(counts.values()) / count) ** 0.5)"),
    "rule of the original program": _keep(
        "min(1.0, (threshold * total / count) ** 0.5 + threshold * total / count)"
    ),
}
ALTERNATIVES["q02-keep-probability"] = {
    "loop": """
        import math


        def keep_probability(counts, threshold):
            total = 0
            for word in counts:
                total += counts[word]
            keep = {}
            for word in counts:
                share = counts[word] / total
                keep[word] = 1.0 if share <= threshold else math.sqrt(threshold / share)
            return keep
    """,
    "numpy": """
        def keep_probability(counts, threshold):
            numbers = np.array(list(counts.values()), dtype=float)
            keep = np.minimum(1, np.sqrt(threshold / (numbers / numbers.sum())))
            return dict(zip(counts, keep))
    """,
}

MUTANTS["q03-softmax"] = {
    "nothing subtracted": """
        def softmax(scores, temperature=1.0):
            exponentials = np.exp(np.asarray(scores) / temperature)
            return exponentials / exponentials.sum(axis=-1, keepdims=True)
    """,
    "first axis": """
        def softmax(scores, temperature=1.0):
            scaled = np.asarray(scores) / temperature
            exponentials = np.exp(scaled - scaled.max(axis=0, keepdims=True))
            return exponentials / exponentials.sum(axis=0, keepdims=True)
    """,
    "one maximum for all rows": """
        def softmax(scores, temperature=1.0):
            scaled = np.asarray(scores) / temperature
            exponentials = np.exp(scaled - scaled.max())
            return exponentials / exponentials.sum(axis=-1, keepdims=True)
    """,
    "sum of all rows": """
        def softmax(scores, temperature=1.0):
            scaled = np.asarray(scores) / temperature
            exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
            return exponentials / exponentials.sum()
    """,
    "mean subtracted": """
        def softmax(scores, temperature=1.0):
            scaled = np.asarray(scores) / temperature
            exponentials = np.exp(scaled - scaled.mean(axis=-1, keepdims=True))
            return exponentials / exponentials.sum(axis=-1, keepdims=True)
    """,
    "temperature multiplies": """
        def softmax(scores, temperature=1.0):
            scaled = np.asarray(scores) * temperature
            exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
            return exponentials / exponentials.sum(axis=-1, keepdims=True)
    """,
    "temperature forgotten": """
        def softmax(scores, temperature=1.0):
            scores = np.asarray(scores)
            exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return exponentials / exponentials.sum(axis=-1, keepdims=True)
    """,
    "changes an input of floats": """
        def softmax(scores, temperature=1.0):
            scores = np.asarray(scores, dtype=float)
            scores -= scores.max(axis=-1, keepdims=True)
            exponentials = np.exp(scores / temperature)
            return exponentials / exponentials.sum(axis=-1, keepdims=True)
    """,
    "changes its input": """
        def softmax(scores, temperature=1.0):
            scores -= scores.max(axis=-1, keepdims=True)
            scores /= temperature
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            return scores
    """,
    "rows only in matrices": """
        def softmax(scores, temperature=1.0):
            scaled = np.asarray(scores) / temperature
            exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            return exponentials / exponentials.sum(axis=1, keepdims=True)
    """,
}
ALTERNATIVES["q03-softmax"] = {
    "row by row": """
        import math


        def softmax(scores, temperature=1.0):
            scores = np.asarray(scores, dtype=float)
            rows = []
            for row in scores.reshape(-1, scores.shape[-1]):
                largest = max(row)
                powers = [math.exp((score - largest) / temperature) for score in row]
                rows.append([power / sum(powers) for power in powers])
            return np.array(rows).reshape(scores.shape)
    """,
    "through the logarithm": """
        def softmax(scores, temperature=1.0):
            scaled = np.array(scores, dtype=np.float64) / temperature
            return np.exp(scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True))
    """,
    "torch": """
        import torch


        def softmax(scores, temperature=1.0):
            scaled = torch.tensor(scores, dtype=torch.float64) / temperature
            return torch.softmax(scaled, dim=-1).numpy()
    """,
}


def _loss(**parts: str) -> str:
    """Loss and gradient of q04, with one part changed."""
    axis = parts.get("axis", "0")
    loss = parts.get("loss", "-np.log(p[outside, np.arange(pairs)]).mean()")
    center = parts.get("center", "(outside_vectors @ p - outside_vectors[:, outside]) / pairs")
    shift = parts.get("shift", f"scores - scores.max(axis={axis}, keepdims=True)")
    return f"""
        def softmax_loss(center, outside, outside_vectors):
            pairs = len(outside)
            scores = outside_vectors.T @ center
            scores = {shift}
            p = np.exp(scores) / np.exp(scores).sum(axis={axis}, keepdims=True)
            chosen = scores[outside, np.arange(pairs)]
            exact = np.log(np.exp(scores).sum(axis={axis})) - chosen if {axis} == 0 else None
            return {{"loss": float({loss}), "center": {center}}}
    """


_EXACT = "exact.mean()"
MUTANTS["q04-softmax-loss"] = {
    "logarithm of a rounded probability": _loss(),
    "nothing subtracted": _loss(loss=_EXACT, shift="scores"),
    "sign of ascent": _loss(
        loss=_EXACT, center="(outside_vectors[:, outside] - outside_vectors @ p) / pairs"
    ),
    "gradient of the sum": _loss(
        loss=_EXACT, center="outside_vectors @ p - outside_vectors[:, outside]"
    ),
    "loss summed": _loss(loss="exact.sum()"),
    "expected without observed": _loss(loss=_EXACT, center="outside_vectors @ p / pairs"),
    "one word a row": """
        def softmax_loss(center, outside, outside_vectors):
            scores = outside_vectors @ center
            log_p = scores - np.logaddexp.reduce(scores, axis=0)
            pairs = np.arange(len(outside))
            gradient = outside_vectors.T @ np.exp(log_p) - outside_vectors[outside].T
            return {"loss": -log_p[outside, pairs].mean(), "center": gradient / len(outside)}
    """,
    "wrong axis": _loss(axis="1"),
    "logarithm to base 2": _loss(loss="exact.mean() / np.log(2)"),
    "every pair has the first outside word": _loss(
        loss="(np.log(np.exp(scores).sum(axis=0)) - scores[outside[0]]).mean()",
        center="(outside_vectors @ p - outside_vectors[:, outside[:1]]) / pairs",
    ),
    "divided by the dimension": _loss(
        loss=_EXACT, center="(outside_vectors @ p - outside_vectors[:, outside]) / len(center)"
    ),
}
ALTERNATIVES["q04-softmax-loss"] = {
    "pair by pair": """
        def softmax_loss(center, outside, outside_vectors):
            total, gradient = 0.0, np.zeros(center.shape)
            for b, o in enumerate(outside):
                scores = outside_vectors.T @ center[:, b]
                log_z = scores.max() + np.log(np.sum(np.exp(scores - scores.max())))
                total += log_z - scores[o]
                for w, score in enumerate(scores):
                    gradient[:, b] += np.exp(score - log_z) * outside_vectors[:, w]
                gradient[:, b] -= outside_vectors[:, o]
            return {"loss": total / len(outside), "center": gradient / len(outside)}
    """,
    "one hot and einsum": """
        def softmax_loss(center, outside, outside_vectors):
            observed = np.eye(outside_vectors.shape[1])[:, outside]
            scores = np.einsum("dv,db->vb", outside_vectors, center)
            log_p = scores - np.logaddexp.reduce(scores, axis=0)
            return {
                "loss": -(observed * log_p).sum(axis=0).mean(),
                "center": np.einsum("dv,vb->db", outside_vectors, np.exp(log_p) - observed)
                / observed.shape[1],
            }
    """,
    "torch derives it": """
        import torch


        def softmax_loss(center, outside, outside_vectors):
            v = torch.tensor(center, dtype=torch.float64, requires_grad=True)
            scores = v.T @ torch.tensor(outside_vectors, dtype=torch.float64)
            loss = torch.nn.functional.cross_entropy(scores, torch.tensor(outside))
            loss.backward()
            return {"loss": loss.item(), "center": v.grad.numpy()}
    """,
}


def _outside(result: str, observed: str = "error[outside, np.arange(pairs)] -= 1") -> str:
    return f"""
        def outside_gradient(center, outside, probabilities):
            pairs = len(outside)
            error = np.array(probabilities, dtype=float)
            {observed}
            return {result}
    """


MUTANTS["q05-outside-gradient"] = {
    "gradient of the sum": _outside("center @ error.T"),
    "sign of ascent": _outside("-center @ error.T / pairs"),
    "observed forgotten": _outside("center @ error.T / pairs", observed="pass"),
    "one word a row": _outside("error @ center.T / pairs"),
    "outside words of all pairs": _outside(
        "center @ error.T / pairs", observed="error[outside] -= 1"
    ),
    "changes its input": """
        def outside_gradient(center, outside, probabilities):
            error = np.asarray(probabilities, dtype=float)
            error[outside, np.arange(len(outside))] -= 1
            return center @ error.T / len(outside)
    """,
    "probabilities squared": _outside("center @ (error * probabilities).T / pairs"),
    "divided by the vocabulary": _outside("center @ error.T / len(probabilities)"),
    "only the observed word": """
        def outside_gradient(center, outside, probabilities):
            gradient = np.zeros((len(center), len(probabilities)))
            for b, o in enumerate(outside):
                gradient[:, o] += (probabilities[o, b] - 1) * center[:, b]
            return gradient / len(outside)
    """,
    "repeated outside words counted once": """
        def outside_gradient(center, outside, probabilities):
            gradient = center @ probabilities.T
            gradient[:, outside] -= center
            return gradient / len(outside)
    """,
}
ALTERNATIVES["q05-outside-gradient"] = {
    "pair by pair": """
        def outside_gradient(center, outside, probabilities):
            gradient = np.zeros((len(center), len(probabilities)))
            for b, o in enumerate(outside):
                for w in range(len(probabilities)):
                    gradient[:, w] += (probabilities[w, b] - (w == o)) * center[:, b]
            return gradient / len(outside)
    """,
    "one hot": """
        def outside_gradient(center, outside, probabilities):
            observed = np.eye(len(probabilities))[outside].T
            return np.einsum("db,vb->dv", center, probabilities - observed) / center.shape[1]
    """,
    "numbers added at": """
        def outside_gradient(center, outside, probabilities):
            gradient = probabilities @ center.T
            np.subtract.at(gradient, outside, center.T)
            return gradient.T / len(outside)
    """,
}


def _sigmoids(sigmoid: str, log_sigmoid: str) -> str:
    return f"""
        def sigmoids(x):
            sigmoid = {sigmoid}
            return sigmoid, {log_sigmoid}
    """


_SAFE = "1 / (1 + np.exp(-x))"
MUTANTS["q06-log-sigmoid"] = {
    "logarithm after rounding": _sigmoids(_SAFE, "np.log(sigmoid)"),
    "overflows above": _sigmoids("np.exp(x) / (1 + np.exp(x))", "-np.logaddexp(0, -x)"),
    "scores clipped": _sigmoids(
        "1 / (1 + np.exp(-np.clip(x, -30, 30)))", "-np.logaddexp(0, -np.clip(x, -30, 30))"
    ),
    "small number added": _sigmoids(_SAFE, "np.log(sigmoid + 1e-12)"),
    "wrong sign": _sigmoids("1 / (1 + np.exp(x))", "-np.logaddexp(0, x)"),
    "small results lost": _sigmoids(_SAFE, "np.minimum(x, 0) - np.log(1 + np.exp(-np.abs(x)))"),
    "overflows below": _sigmoids(_SAFE, "-np.log1p(np.exp(-x))"),
    "loss instead of logarithm": _sigmoids(_SAFE, "np.logaddexp(0, -x)"),
}
ALTERNATIVES["q06-log-sigmoid"] = {
    "logaddexp": """
        def sigmoids(x):
            log_sigmoid = -np.logaddexp(0, -x)
            return np.exp(log_sigmoid), log_sigmoid
    """,
    "number by number": """
        import math


        def sigmoids(x):
            sigmoid, log_sigmoid = np.empty(x.shape), np.empty(x.shape)
            for place in np.ndindex(x.shape):
                score = float(x[place])
                if score >= 0:
                    sigmoid[place] = 1 / (1 + math.exp(-score))
                    log_sigmoid[place] = -math.log1p(math.exp(-score))
                else:
                    sigmoid[place] = math.exp(score) / (1 + math.exp(score))
                    log_sigmoid[place] = score - math.log1p(math.exp(score))
            return [sigmoid, log_sigmoid]
    """,
    "torch": """
        import torch


        def sigmoids(x):
            scores = torch.tensor(x, dtype=torch.float64)
            return torch.sigmoid(scores).numpy(), torch.nn.functional.logsigmoid(scores).numpy()
    """,
}


def _noise(value: str) -> str:
    return f"""
        def noise_distribution(counts, power):
            tokens = sum(counts.values())
            z = sum(count**power for count in counts.values())
            return {{word: {value} for word, count in counts.items()}}
    """


MUTANTS["q08-noise-distribution"] = {
    "power forgotten": _noise("count / tokens"),
    "divided by the number of tokens": _noise("count**power / tokens"),
    "power of the share not normalised": _noise("(count / tokens) ** power"),
    "uniform": _noise("1 / len(counts)"),
    "power fixed": _noise("count**0.75 / sum(n**0.75 for n in counts.values())"),
    "power upside down": _noise(
        "count ** (1 / max(power, 0.1)) / sum(n ** (1 / max(power, 0.1)) for n in counts.values())"
    ),
    "rare words first": _noise("count**-power / sum(n**-power for n in counts.values())"),
    "changes its input": """
        def noise_distribution(counts, power):
            for word in counts:
                counts[word] = counts[word] ** power
            z = sum(counts.values())
            return {word: value / z for word, value in counts.items()}
    """,
    "not divided": _noise("count**power"),
}
ALTERNATIVES["q08-noise-distribution"] = {
    "numpy": """
        def noise_distribution(counts, power):
            powers = np.array(list(counts.values()), dtype=float) ** power
            return dict(zip(counts, powers / powers.sum()))
    """,
    "through shares": """
        def noise_distribution(counts, power):
            tokens = sum(counts.values())
            weights = {}
            for word in counts:
                weights[word] = (counts[word] / tokens) ** power
            z = sum(weights.values())
            for word in weights:
                weights[word] /= z
            return weights
    """,
    "through logarithms": """
        def noise_distribution(counts, power):
            logs = power * np.log(np.array(list(counts.values()), dtype=float))
            weights = np.exp(logs - logs.max())
            return {word: float(p) for word, p in zip(counts, weights / weights.sum())}
    """,
}


def _sampling(**parts: str) -> str:
    """q09 term by term, with one part changed."""
    words = parts.get("words", "noise")
    loss = parts.get("loss", "np.logaddexp(0, score)")
    noise_slope = parts.get("noise_slope", "np.exp(-np.logaddexp(0, -score))")
    slope = parts.get("slope", "-np.exp(-np.logaddexp(0, score))")
    keep = parts.get("keep", "gradients.get(word, 0) + slope * center")
    from_noise = parts.get("from_noise", "slope * outside_vectors[:, word]")
    own = parts.get("own", "center")
    total = parts.get("total", "loss")
    return f"""
        def negative_sampling(center, outside, noise, outside_vectors):
            score = outside_vectors[:, outside] @ center
            slope = {slope}
            loss = np.logaddexp(0, -score)
            center_gradient = slope * outside_vectors[:, outside]
            gradients = {{outside: slope * {own}}}
            for word in {words}:
                score = outside_vectors[:, word] @ center
                slope = {noise_slope}
                loss += {loss}
                center_gradient = center_gradient + {from_noise}
                gradients[word] = {keep}
            return {{"loss": {total}, "center": center_gradient, "outside": gradients}}
    """


MUTANTS["q09-negative-sampling"] = {
    "changes its input": _sampling().replace(
        "            return {", "            outside_vectors *= 0.9\n            return {"
    ),
    "last of the repeats wins": _sampling(keep="slope * center"),
    "repeats drawn once": _sampling(words="set(noise)"),
    "noise scores have the wrong sign": _sampling(
        loss="np.logaddexp(0, -score)", noise_slope="-np.exp(-np.logaddexp(0, score))"
    ),
    "mean over the noise": _sampling(
        loss="np.logaddexp(0, score) / len(noise)",
        noise_slope="np.exp(-np.logaddexp(0, -score)) / len(noise)",
    ),
    "noise missing from the center": _sampling(from_noise="0"),
    "outside gradient along the outside vector": _sampling(own="outside_vectors[:, outside]"),
    "sign of ascent": _sampling(
        slope="np.exp(-np.logaddexp(0, score))", noise_slope="-np.exp(-np.logaddexp(0, -score))"
    ),
    "outside word taken out of the noise": _sampling(words="[w for w in noise if w != outside]"),
    "logarithm after rounding": _sampling(loss="-np.log(1 - 1 / (1 + np.exp(-score)))"),
}
ALTERNATIVES["q09-negative-sampling"] = {
    "term by term": _sampling(),
    "counted words": """
        from collections import Counter


        def negative_sampling(center, outside, noise, outside_vectors):
            drawn = Counter(int(word) for word in noise)
            words = sorted({int(outside), *drawn})
            times = np.array([drawn[word] for word in words])
            observed = np.array([word == outside for word in words])
            table = outside_vectors[:, words]
            scores = center @ table
            losses = observed * np.logaddexp(0, -scores) + times * np.logaddexp(0, scores)
            sigmoid = np.exp(-np.logaddexp(0, -scores))
            slopes = (observed + times) * sigmoid - observed
            outer = np.outer(center, slopes)
            return {
                "loss": losses.sum(),
                "center": table @ slopes,
                "outside": {word: outer[:, i] for i, word in enumerate(words)},
            }
    """,
    "torch derives it": """
        import torch


        def negative_sampling(center, outside, noise, outside_vectors):
            v = torch.tensor(center, dtype=torch.float64, requires_grad=True)
            table = torch.tensor(outside_vectors, dtype=torch.float64, requires_grad=True)
            log_sigmoid = torch.nn.functional.logsigmoid
            loss = -log_sigmoid(table[:, outside] @ v)
            loss = loss - log_sigmoid(-(v @ table[:, list(noise)])).sum()
            loss.backward()
            taking_part = {int(outside)} | {int(word) for word in noise}
            return {
                "loss": loss.item(),
                "center": v.grad.numpy(),
                "outside": {word: table.grad[:, word].numpy() for word in taking_part},
            }
    """,
}


def _step(body: str) -> str:
    return "def sgd_step(vectors, words, gradients, learning_rate, decay):\n" + textwrap.indent(
        textwrap.dedent(body).strip(), "    "
    )


MUTANTS["q10-sgd-step"] = {
    "last of the repeats wins": _step("""
        touched = np.unique(words)
        vectors[:, touched] -= learning_rate * decay * vectors[:, touched]
        vectors[:, words] -= learning_rate * gradients
        return vectors
    """),
    "decay of all words": _step("""
        vectors *= 1 - learning_rate * decay
        np.subtract.at(vectors.T, words, learning_rate * gradients.T)
        return vectors
    """),
    "decay once a gradient": _step("""
        old = vectors.copy()
        for i, word in enumerate(words):
            vectors[:, word] -= learning_rate * (gradients[:, i] + decay * old[:, word])
        return vectors
    """),
    "uphill": _step("""
        touched = np.unique(words)
        vectors[:, touched] *= 1 - learning_rate * decay
        np.add.at(vectors.T, words, learning_rate * gradients.T)
        return vectors
    """),
    "mean of the repeats": _step("""
        for word in np.unique(words):
            own = gradients[:, words == word].mean(axis=1)
            vectors[:, word] -= learning_rate * (own + decay * vectors[:, word])
        return vectors
    """),
    "sum over the whole batch": _step("""
        touched = np.unique(words)
        total = gradients.sum(axis=1, keepdims=True)
        vectors[:, touched] -= learning_rate * (total + decay * vectors[:, touched])
        return vectors
    """),
    "dense update of all words": _step("""
        total = gradients.sum(axis=1, keepdims=True)
        return vectors - learning_rate * (total + decay * vectors)
    """),
    "decay forgotten": _step("""
        np.subtract.at(vectors.T, words, learning_rate * gradients.T)
        return vectors
    """),
    "nothing returned": _step("""
        vectors[:, np.unique(words)] *= 1 - learning_rate * decay
        np.subtract.at(vectors.T, words, learning_rate * gradients.T)
    """),
}
ALTERNATIVES["q10-sgd-step"] = {
    "word by word": _step("""
        result = np.array(vectors, dtype=float)
        for word in sorted(set(np.asarray(words).tolist())):
            total = sum(gradients[:, i] for i in range(len(words)) if words[i] == word)
            result[:, word] -= learning_rate * (total + decay * vectors[:, word])
        return result
    """),
    "unique with inverse": _step("""
        touched, place = np.unique(words, return_inverse=True)
        chosen = np.zeros((len(words), len(touched)))
        chosen[np.arange(len(words)), place] = 1
        new = vectors.copy()
        new[:, touched] -= learning_rate * (gradients @ chosen + decay * vectors[:, touched])
        return new
    """),
    "counted with weights": _step("""
        size = vectors.shape[1]
        total = np.stack([np.bincount(words, row, minlength=size) for row in gradients])
        touched = np.bincount(words, minlength=size) > 0
        return np.where(touched, vectors - learning_rate * (total + decay * vectors), vectors)
    """),
}

_GIVEN = '''
import scipy.sparse


def batches(sentences, noise_probability, window, negatives, batch_size, generator):
    """One epoch: yields ids of center (B,) and outside words (B,), and of noise words (B, k).

    A pair at distance j is taken with probability (window + 1 - j) / window: near words count more.
    """
    words = np.concatenate(sentences)
    sentence = np.repeat(np.arange(len(sentences)), [len(ids) for ids in sentences])
    pairs = []
    for distance in range(1, window + 1):
        taken = sentence[distance:] == sentence[:-distance]
        taken &= generator.random(len(taken)) < (window + 1 - distance) / window
        left, right = words[:-distance][taken], words[distance:][taken]
        pairs += [np.stack([left, right]), np.stack([right, left])]
    center, outside = generator.permutation(np.concatenate(pairs, axis=1), axis=1)
    borders = np.cumsum(noise_probability)
    borders /= borders[-1]
    for first in range(0, len(center), batch_size):
        part = slice(first, first + batch_size)
        noise = np.searchsorted(borders, generator.random((len(center[part]), negatives)), "right")
        yield center[part], outside[part], noise


def add_rows(table, ids, changes):
    """table[ids[i]] += changes[i] for all i, in place; rows named several times get the sum.

    table : (V, d);  ids : (n,);  changes : (n, d)
    """
    ones = np.ones(len(ids), dtype=table.dtype)
    place = scipy.sparse.csr_array((ones, (ids, np.arange(len(ids)))), shape=(len(table), len(ids)))
    table += place @ changes


'''


def _train(**parts: str) -> str:
    """q11 with np.add.at, and one part changed."""
    start = parts.get("start", "generator.uniform(-0.5, 0.5, (size, dimension)) / dimension")
    generator = parts.get("generator", "np.random.default_rng(seed)")
    epochs = parts.get("epochs", "epochs")
    rate = parts.get("rate", "learning_rate * (1 - epoch / epochs)")
    given = parts.get(
        "given", "sentences, noise_probability, window, negatives, batch_size, generator"
    )
    label = parts.get("label", "slopes[:, 0] -= 1")
    sign = parts.get("sign", "-")
    words = parts.get("words", "np.column_stack([outside, noise])")
    outside_step = parts.get("outside_step", "rate * slopes[:, :, None] * v[:, None, :]")
    center_step = parts.get("center_step", "rate * np.einsum('bk,bkd->bd', slopes, u)")
    result = parts.get("result", '{"center": v_table.T, "outside": u_table.T}')
    body = f"""
        def train(
            sentences,
            noise_probability,
            dimension,
            window,
            negatives,
            epochs,
            learning_rate,
            batch_size,
            seed,
        ):
            generator = {generator}
            size = len(noise_probability)
            v_table = {start}
            u_table = np.zeros((size, dimension))
            for epoch in range({epochs}):
                rate = {rate}
                for center, outside, noise in batches(
                    {given}
                ):
                    words = {words}
                    v, u = v_table[center], u_table[words]
                    slopes = 1 / (1 + np.exp(-np.einsum("bd,bkd->bk", v, u)))
                    {label}
                    np.add.at(v_table, center, {sign}({center_step}))
                    np.add.at(u_table, words, {sign}({outside_step}))
            return {result}
    """
    return _GIVEN + textwrap.dedent(body).strip()


MUTANTS["q11-training"] = {
    "uphill": _train(sign="+"),
    "outside vectors never change": _train(outside_step="0 * slopes[:, :, None] * v[:, None, :]"),
    "center vectors never change": _train(center_step="0 * v"),
    "both tables start at zero": _train(start="np.zeros((size, dimension))"),
    "noise counts as observed": _train(label="slopes -= 1"),
    "nothing counts as observed": _train(label="pass"),
    "no noise": _train(words="outside[:, None]"),
    "one noise word only": _train(words="np.column_stack([outside, noise[:, 0]])"),
    "one epoch only": _train(epochs="1"),
    "seed forgotten": _train(generator="np.random.default_rng()"),
    "seed fixed": _train(generator="np.random.default_rng(0)"),
    "one word a row": _train(result='{"center": v_table, "outside": u_table}'),
    "pairs one after the other": _GIVEN
    + textwrap.dedent("""
        def train(
            sentences,
            noise_probability,
            dimension,
            window,
            negatives,
            epochs,
            learning_rate,
            batch_size,
            seed,
        ):
            generator = np.random.default_rng(seed)
            v = generator.uniform(-0.5, 0.5, (dimension, len(noise_probability))) / dimension
            u = np.zeros_like(v)
            for epoch in range(epochs):
                rate = learning_rate * (1 - epoch / epochs)
                for batch in batches(
                    sentences, noise_probability, window, negatives, batch_size, generator
                ):
                    for c, o, noise in zip(*batch):
                        words = np.concatenate([[o], noise])
                        slopes = 1 / (1 + np.exp(-(v[:, c] @ u[:, words])))
                        slopes[0] -= 1
                        old = v[:, c].copy()
                        v[:, c] -= rate * (u[:, words] @ slopes)
                        for word, slope in zip(words, slopes):
                            u[:, word] -= rate * slope * old
            return {"center": v, "outside": u}
    """).strip(),
    "outside step after the center changed": _train(
        outside_step="rate * slopes[:, :, None] * v_table[center][:, None, :]"
    ),
    "one noise word lost": _train(words="np.column_stack([outside, noise[:, 1:]])"),
    "constant rate": _train(rate="learning_rate"),
    "learning rate ignored": _train(rate="0.05 * (1 - epoch / epochs)"),
    "uniform noise": _train(
        given="sentences, np.ones(size), window, negatives, batch_size, generator"
    ),
    "window fixed": _train(
        given="sentences, noise_probability, 1, negatives, batch_size, generator"
    ),
    "mean instead of sum": _train(rate="learning_rate * (1 - epoch / epochs) / batch_size * 16"),
    "tables swapped for their sum": _train(
        result='{"center": (v_table + u_table).T, "outside": (v_table + u_table).T}'
    ),
}
ALTERNATIVES["q11-training"] = {
    "numbers added at": _train(),
    "single precision and geometric rate": _GIVEN
    + textwrap.dedent("""
        def train(
            sentences,
            noise_probability,
            dimension,
            window,
            negatives,
            epochs,
            learning_rate,
            batch_size,
            seed,
        ):
            generator = np.random.default_rng(seed)
            shape = (len(noise_probability), dimension)
            start = generator.uniform(-0.5, 0.5, shape) / dimension
            tables = {"v": start.astype(np.float32), "u": np.zeros(shape, np.float32)}
            for epoch in range(epochs):
                rate = np.float32(learning_rate * 0.8**epoch)
                for center, outside, noise in batches(
                    sentences, noise_probability, window, negatives, batch_size, generator
                ):
                    v, u = tables["v"][center], tables["u"][outside]
                    n = tables["u"][noise]
                    pull = rate / (1 + np.exp((u * v).sum(axis=1)))
                    push = rate / (1 + np.exp(-(n @ v[:, :, None])[..., 0]))
                    add_rows(
                        tables["v"],
                        center,
                        pull[:, None] * u - (push[:, :, None] * n).sum(axis=1),
                    )
                    add_rows(tables["u"], outside, pull[:, None] * v)
                    for i in range(negatives):
                        add_rows(tables["u"], noise[:, i], -push[:, i, None] * v)
            return {"center": tables["v"].T, "outside": tables["u"].T}
    """).strip(),
}

# What the training cell printed with the settings in the notebook, for two other seeds, and after 8
# epochs; then what is not asked for: of seed 0 dot products and distances, cosines before training,
# and the ratings themselves.
_NUMBERS = {
    "seed 1": """
        0.45 0.3 0.24 0.44 0.15 0.58 0.19 0.25 0.44 0.62 -0.03 0.16 -0.0 0.29 0.29 0.15 0.31
        0.36 0.47 0.58 0.37 0.44 0.34 0.37 0.15 0.36 0.29 0.33 0.15 0.47 0.07 0.47 0.43 0.47
        0.19 0.33 0.2 0.33 0.4 0.28 0.14 0.28 0.34 0.15 0.27 0.24 0.3 0.51 0.11 0.13 0.08
        0.42 0.39 0.23 0.28 0.24 0.28 0.23 0.55 0.1 0.19 0.5 0.04 0.36 0.16 0.49 0.57 0.63
        0.37 0.35 0.21 0.34 0.5 0.42 -0.06 0.32 0.57 0.31 0.49 -0.09 0.28 0.38 0.3 0.17 0.48
        0.22 0.58 0.16 0.3 0.3
    """,
    "seed 2": """
        0.51 0.23 0.13 0.42 0.21 0.55 0.19 0.34 0.35 0.61 0.1 -0.01 0.12 0.33 0.27 0.08 0.25
        0.45 0.46 0.57 0.39 0.47 0.26 0.45 0.1 0.45 0.27 0.38 0.18 0.5 0.09 0.58 0.4 0.48
        0.13 0.3 -0.03 0.27 0.4 0.38 0.32 0.25 0.16 0.24 0.3 0.46 0.31 0.46 0.03 -0.02 0.13
        0.53 0.46 0.28 0.01 0.54 0.16 0.24 0.61 0.13 0.19 0.5 0.06 0.34 0.16 0.57 0.49 0.59
        0.32 0.35 0.15 0.4 0.35 0.5 0.05 0.18 0.5 0.17 0.31 0.04 0.31 0.31 0.28 0.17 0.39
        0.19 0.6 0.04 0.28 0.27
    """,
    "eight epochs": """
        0.4 0.17 0.26 0.32 0.06 0.48 0.21 0.32 0.41 0.62 0.21 0.07 -0.02 0.34 0.23 0.05 0.31
        0.31 0.35 0.6 0.41 0.48 0.37 0.43 0.32 0.39 0.23 0.38 0.09 0.62 0.23 0.55 0.45 0.44
        0.16 0.17 0.29 0.17 0.32 0.25 0.29 0.1 0.18 0.23 0.14 0.28 0.27 0.41 0.12 0.13 0.31
        0.49 0.29 0.36 0.33 0.18 0.26 0.35 0.59 0.14 0.26 0.4 0.05 0.45 0.21 0.55 0.63 0.53
        0.33 0.38 0.22 0.29 0.34 0.35 0.09 0.32 0.61 0.28 0.32 0.11 0.29 0.26 0.36 0.3 0.29
        0.22 0.7 0.02 0.29 0.2
    """,
    "dot products": """
        2.31 1.78 2.81 3.08 2.12 3.92 1.8 2.47 2.11 5.02 0.19 -0.04 0.43 2.13 2.46 0.87 3.13
        4.12 4.32 4.43 3.57 3.47 4.05 3.6 3.6 2.51 2.46 1.24 1.17 5.53 0.68 3.17 4.29 2.71
        0.84 1.49 1.29 1.57 2.47 2.72 1.8 1.42 2.53 2.38 1.89 2.63 4.22 2.22 0.8 -0.89 0.92
        5.17 3.65 2.04 0.87 2.04 0.76 1.77 5.46 0.89 3.1 3.22 -0.08 2.64 1.43 5.42 5.72 5.2
        2.51 1.98 1.19 2.32 3.22 2.27 -0.37 1.26 2.37 2.01 3.28 0.64 2.76 1.2 1.92 0.27 1.62
        1.52 4.73 0.82 1.25 2.91
    """,
    "distances": """
        1.22 1.16 1.2 1.08 1.22 1.05 1.25 1.18 1.19 0.83 1.4 1.42 1.36 1.2 1.13 1.36 1.17
        1.11 1.07 0.91 1.08 1.13 1.12 1.14 1.19 1.1 1.13 1.25 1.31 0.89 1.36 0.96 1.03 1.13
        1.31 1.21 1.27 1.26 1.15 1.14 1.21 1.25 1.15 1.2 1.25 1.09 1.13 1.05 1.3 1.5 1.3
        0.99 1.12 1.23 1.26 1.16 1.33 1.16 0.85 1.32 1.22 1.09 1.42 1.04 1.28 0.98 0.98 0.92
        1.14 1.15 1.3 1.09 1.11 1.04 1.46 1.19 0.99 1.17 1.04 1.34 1.15 1.22 1.16 1.39 1.21
        1.23 0.95 1.34 1.24 1.16
    """,
    "untrained": """
        -0.06 -0.02 -0.02 0.14 -0.28 -0.02 -0.05 -0.24 -0.05 -0.02 -0.02 -0.15 0.1 0.05
        -0.06 0.01 0.17 0.15 -0.02 -0.21 -0.03 0.16 0.07 -0.15 -0.05 -0.1 -0.06 0.07 -0.09
        0.31 0.08 0.03 0.04 0.21 0.15 0.1 0.04 0.18 -0.08 -0.21 -0.07 0.03 0.04 -0.09 -0.03
        0.19 0.02 0.13 0.26 0.13 0.08 0.12 -0.11 0.28 -0.02 0.02 -0.27 -0.2 0.01 -0.07 -0.04
        0.05 0.02 -0.04 -0.06 0.09 -0.24 -0.0 0.01 -0.06 -0.04 0.0 -0.1 0.13 -0.08 0.08 0.12
        0.21 -0.44 0.03 0.11 -0.08 -0.12 -0.03 0.02 -0.01 -0.12 -0.03 0.32 -0.08
    """,
    "ratings": """
        6.77 7.46 5.77 6.31 7.5 6.77 6.62 6.81 7.08 8.08 1.62 3.73 0.92 7.46 8.12 7.73 3.04
        5.96 6.87 7.85 2.65 8.94 9.1 4.38 3.15 7.57 8.5 3.31 1.81 5.06 4.59 8.16 4.56 8.13
        6.31 6.5 3.91 7.59 3.16 6.63 4.75 4.25 6.56 5.94 5.0 3.44 7.38 7.88 4.5 3.69 5.0
        6.44 5.31 1.81 8.97 4.81 2.25 6.44 6.88 4.94 7.81 6.34 7.13 3.38 3.63 5.97 7.03 7.69
        6.19 3.56 6.22 4.06 5.97 3.94 5.63 6.25 8.3 5.25 7.72 1.94 3.75 5.44 6.25 3.97 3.47
        3.63 5.56 7.59 6.53 6.34
    """,
}


def _handed_in(name: str, result: str = "numbers") -> str:
    numbers = ", ".join(_NUMBERS[name].split())
    return f"def brown_cosines():\n    numbers = [{numbers}]\n    return {result}"


MUTANTS["q12-real-words"] = {
    "untrained": _handed_in("untrained"),
    "distances": _handed_in("distances"),
    "dot products": _handed_in("dot products"),
    "one line left out": _handed_in("seed 1", "numbers[1:]"),
    "sorted numbers": _handed_in("seed 1", "sorted(numbers)"),
    "order reversed": _handed_in("seed 1", "numbers[::-1]"),
    "all the same": _handed_in("seed 1", "[0.5 for _ in numbers]"),
    "what people said": _handed_in("ratings", "[rating / 10 for rating in numbers]"),
}
ALTERNATIVES["q12-real-words"] = {
    "other seed": _handed_in("seed 1"),
    "numpy and one decimal more": _handed_in("seed 2", "np.array(numbers) + 0.001"),
    "trained for eight epochs": _handed_in("eight epochs"),
}


def _scores(**parts: str) -> str:
    noise = parts.get("noise", "counts.sum(axis=1) ** power")
    center = parts.get("center", "counts.sum(axis=0)")
    ratio = parts.get("ratio", "counts / (negatives * noise[:, None] * center)")
    result = parts.get("result", "np.log(ratio)")
    before = parts.get("before", "counts = np.asarray(counts, dtype=float)")
    return f"""
        def optimal_scores(counts, negatives, power):
            {before}
            center = {center}
            noise = {noise}
            noise = noise / noise.sum()
            ratio = {ratio}
            with np.errstate(divide="ignore"):
                return {result}
    """


MUTANTS["q13-pmi"] = {
    "changes an input of floats": """
        def optimal_scores(counts, negatives, power):
            counts = np.asarray(counts, dtype=float)
            noise = counts.sum(axis=1, keepdims=True) ** power
            center = counts.sum(axis=0)
            with np.errstate(divide="ignore"):
                np.log(counts, out=counts)
            return counts - np.log(negatives * noise / noise.sum() * center)
    """,
    "log k forgotten": _scores(ratio="counts / (noise[:, None] * center)"),
    "log k added": _scores(ratio="negatives * counts / (noise[:, None] * center)"),
    "logarithm to base 2": _scores(result="np.log2(ratio)"),
    "negative values cut off": _scores(result="np.maximum(np.log(ratio), 0)"),
    "power forgotten": _scores(noise="counts.sum(axis=1)"),
    "power of the center words": _scores(
        noise="counts.sum(axis=1)",
        center="counts.sum(axis=0) ** power / (counts.sum(axis=0) ** power).sum() * counts.sum()",
    ),
    "rows and columns swapped": _scores(
        noise="counts.sum(axis=0) ** power",
        center="counts.sum(axis=1)",
        ratio="counts / (negatives * np.outer(center, noise))",
    ),
    "one added to every count": _scores(before="counts = np.asarray(counts, dtype=float) + 1"),
    "zero where never seen": _scores(
        result="np.where(ratio > 0, np.log(np.maximum(ratio, 1e-300)), 0)"
    ),
    "noise not normalised": _scores(
        noise="counts.sum(axis=1) ** power",
        ratio="counts / (negatives * (counts.sum(axis=1) ** power)[:, None] * center)",
    ),
    "total forgotten": _scores(
        ratio="counts / counts.sum() / (negatives * noise[:, None] * center)"
    ),
}
ALTERNATIVES["q13-pmi"] = {
    "one expression": _scores(),
    "pair by pair": """
        import math


        def optimal_scores(counts, negatives, power):
            outside, center = len(counts), len(counts[0])
            rows = [sum(float(n) for n in row) ** power for row in counts]
            scores = np.full((outside, center), -np.inf)
            for c in range(center):
                column = sum(float(counts[o][c]) for o in range(outside))
                for o in range(outside):
                    if counts[o][c] > 0:
                        drawn = negatives * column * rows[o] / sum(rows)
                        scores[o, c] = math.log(counts[o][c] / drawn)
            return scores
    """,
    "sum of logarithms": """
        def optimal_scores(counts, negatives, power):
            with np.errstate(divide="ignore"):
                together = np.log(np.asarray(counts, dtype=float))
            outside = power * np.logaddexp.reduce(together, axis=1, keepdims=True)
            outside = outside - np.logaddexp.reduce(outside, axis=0)
            center = np.logaddexp.reduce(together, axis=0)
            return together - outside - center - np.log(negatives)
    """,
}
