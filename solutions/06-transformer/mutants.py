"""Known answers to the questions of 06-transformer: usual mistakes, and other right answers.

Each is the source of a whole answer cell. A mistake must lose marks on its own question; another
right answer must keep all of them. `tests/assignments` runs both.
"""

MUTANTS: dict[str, dict[str, str]] = {}
ALTERNATIVES: dict[str, dict[str, str]] = {}


def _attention(**parts: str) -> str:
    """Attention of q01, with one part changed."""
    part = {
        "products": "query @ key.transpose(-2, -1)",
        "scores": "products / query.shape[-1] ** 0.5",
        "weights": "torch.softmax(scores, dim=-1)",
        "output": "weights @ value",
        "returned": '{"weights": weights, "output": output}',
    } | parts
    return f"""
        def attention(query, key, value):
            products = {part["products"]}
            scores = {part["scores"]}
            weights = {part["weights"]}
            output = {part["output"]}
            return {part["returned"]}
    """


MUTANTS["q01-attention"] = {
    "no scale": _attention(scores="products"),
    "divided by d": _attention(scores="products / query.shape[-1]"),
    "root of the number of keys": _attention(scores="products / key.shape[-2] ** 0.5"),
    "root of a value's size": _attention(scores="products / value.shape[-1] ** 0.5"),
    "multiplied by the root": _attention(scores="products * query.shape[-1] ** 0.5"),
    "softmax over the queries": _attention(weights="torch.softmax(scores, dim=-2)"),
    "softmax over all": _attention(
        weights="torch.softmax(scores.flatten(-2), dim=-1).reshape(scores.shape)"
    ),
    "softmax over axis 1": _attention(weights="torch.softmax(scores, dim=1)"),
    "softmax before the scale": _attention(
        scores="torch.softmax(products, dim=-1)", weights="scores / query.shape[-1] ** 0.5"
    ),
    "no softmax": _attention(weights="scores / scores.sum(dim=-1, keepdim=True)"),
    "overflows": _attention(
        weights="torch.exp(scores) / torch.exp(scores).sum(dim=-1, keepdim=True)"
    ),
    "one maximum for all": _attention(
        weights="(lambda e: e / (e.sum(dim=-1, keepdim=True) + 1e-30))"
        "(torch.exp(scores - scores.max()))"
    ),
    "hardest attention": _attention(
        weights="F.one_hot(scores.argmax(dim=-1), scores.shape[-1]).to(scores)"
    ),
    "mean in place of the sum": _attention(output="weights @ value / value.shape[-2]"),
    "weights turned round": _attention(
        returned='{"weights": weights.transpose(-2, -1), "output": output}'
    ),
    "two axes only": _attention(products="query @ key.T"),
    "output alone": _attention(returned="output"),
    "changes its query": _attention(
        products="query.div_(query.shape[-1] ** 0.5) @ key.transpose(-2, -1)", scores="products"
    ),
}
ALTERNATIVES["q01-attention"] = {
    "einsum": _attention(
        products='torch.einsum("...id,...jd->...ij", query, key)',
        scores="products * query.size(-1) ** -0.5",
        output='torch.einsum("...ij,...jv->...iv", weights, value)',
    ),
    "the maximum subtracted": """
        import math


        def attention(query, key, value):
            scores = torch.matmul(query, key.mT).div(math.sqrt(key.shape[-1]))
            exponentials = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
            weights = exponentials / exponentials.sum(dim=-1, keepdim=True)
            return {"weights": weights, "output": torch.matmul(weights, value)}
    """,
    "query by query": """
        def attention(query, key, value):
            n, d = query.shape[-2:]
            weights = query.new_zeros(*query.shape[:-1], key.shape[-2])
            output = query.new_zeros(*query.shape[:-1], value.shape[-1])
            for i in range(n):
                scores = (key * query[..., i : i + 1, :]).sum(dim=-1) / d**0.5
                weights[..., i, :] = scores.softmax(dim=-1)
                output[..., i, :] = (weights[..., i, :, None] * value).sum(dim=-2)
            return {"weights": weights, "output": output}
    """,
    "the fused kernel": """
        def attention(query, key, value):
            unit = torch.eye(key.shape[-2], dtype=key.dtype)
            unit = unit.expand(*key.shape[:-2], *unit.shape)
            return {
                "weights": F.scaled_dot_product_attention(query, key, unit),
                "output": F.scaled_dot_product_attention(query, key, value),
            }
    """,
}


def _saturation(**parts: str) -> str:
    """The measurements of q02, with one part changed."""
    part = {
        "scores": 'scale * torch.einsum("nd,nkd->nk", query, key)',
        "logs": "torch.log_softmax(scores, dim=1)",
        "variance": "scores.var(correction=0)",
        "entropy": "-(weights * logs).sum(dim=1).mean()",
        "slope": "(weights * (1 - weights)).sum(dim=1).mean()",
    } | parts
    return f"""
        def saturation(query, key, scale):
            scores = {part["scores"]}
            logs = {part["logs"]}
            weights = logs.exp()
            return {{
                "variance": float({part["variance"]}),
                "entropy": float({part["entropy"]}),
                "slope": float({part["slope"]}),
            }}
    """


MUTANTS["q02-saturation"] = {
    "scale not used": _saturation(scores='torch.einsum("nd,nkd->nk", query, key)'),
    "divided by the scale": _saturation(
        scores='torch.einsum("nd,nkd->nk", query, key) / (scale or 1e-9)'
    ),
    "the root as well": _saturation(
        scores='scale * torch.einsum("nd,nkd->nk", query, key) / query.shape[1] ** 0.5'
    ),
    "all queries meet the first one's keys": _saturation(scores="scale * query @ key[0].T"),
    "one query for all": _saturation(scores="scale * key @ query[0]"),
    "sample variance": _saturation(variance="scores.var() if scores.numel() > 1 else 0.0"),
    "standard deviation": _saturation(variance="scores.std(correction=0)"),
    "mean square": _saturation(variance="scores.square().mean()"),
    "variance of each query": _saturation(variance="scores.var(dim=1, correction=0).mean()"),
    "variance of the weights": _saturation(variance="weights.var(correction=0)"),
    "entropy in bits": _saturation(entropy="-(weights * logs).sum(dim=1).mean() / 0.6931471805"),
    "entropy turned round": _saturation(entropy="(weights * logs).sum(dim=1).mean()"),
    "entropy: mean over keys": _saturation(entropy="-(weights * logs).mean()"),
    "entropy: sum over queries": _saturation(entropy="-(weights * logs).sum()"),
    "entropy: 0 log 0": _saturation(entropy="-(weights * weights.log()).sum(dim=1).mean()"),
    "slope: sum of squares": _saturation(slope="weights.square().sum(dim=1).mean()"),
    "slope: largest weight": _saturation(slope="weights.amax(dim=1).mean()"),
    "slope: mean over keys": _saturation(slope="(weights * (1 - weights)).mean()"),
    "slope: whole Jacobian": _saturation(slope="(weights.sum(dim=1) - 1).mean()"),
    "softmax over the queries": _saturation(logs="torch.log_softmax(scores, dim=0)"),
}
ALTERNATIVES["q02-saturation"] = {
    "query by query": """
        import math


        def saturation(query, key, scale):
            scores, entropies, slopes = [], [], []
            for q, keys in zip(query, key):
                e = [scale * float(torch.dot(q, k)) for k in keys]
                top = max(e)
                total = sum(math.exp(x - top) for x in e)
                alpha = [math.exp(x - top) / total for x in e]
                scores += e
                entropies.append(-sum(a * math.log(a) for a in alpha if a > 0))
                slopes.append(sum(a * (1 - a) for a in alpha))
            mean = sum(scores) / len(scores)
            return {
                "variance": sum((e - mean) ** 2 for e in scores) / len(scores),
                "entropy": sum(entropies) / len(entropies),
                "slope": sum(slopes) / len(slopes),
            }
    """,
    "xlogy, and tensors of one number": """
        def saturation(query, key, scale):
            scores = torch.bmm(key, query.unsqueeze(2)).squeeze(2) * scale
            weights = scores.softmax(dim=-1)
            return {
                "variance": (scores - scores.mean()).square().mean(),
                "entropy": -torch.special.xlogy(weights, weights).sum(-1).mean(),
                "slope": 1 - weights.square().sum(-1).mean(),
            }
    """,
    "torch's own entropy": """
        def saturation(query, key, scale):
            scores = ((key * query[:, None]).sum(2) * scale).double()
            of = torch.distributions.Categorical(logits=scores)
            p = of.probs
            return {
                "variance": torch.var(scores, unbiased=False).item(),
                "entropy": -torch.xlogy(p, p).sum(1).mean().item(),
                "slope": (p - p * p).sum(1).mean().item(),
            }
    """,
}


def _masks(**parts: str) -> str:
    """Both functions of q03, with one part changed."""
    part = {
        "present": "places < lengths[:, None, None, None]",
        "causal": "places <= places[keys - queries :, None]",
        "mask": "present & causal",
        "products": "query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5",
        "scores": "products.masked_fill(~mask, -torch.inf)",
        "weights": "torch.softmax(scores, dim=-1)",
        "filled": "weights.masked_fill(~mask, 0.0)",
    } | parts
    return f"""
        def build_mask(lengths, queries, keys):
            places = torch.arange(keys)
            present = {part["present"]}
            causal = {part["causal"]}
            return {part["mask"]}


        def masked_attention(query, key, value, mask):
            products = {part["products"]}
            scores = {part["scores"]}
            weights = {part["weights"]}
            weights = {part["filled"]}
            return {{"weights": weights, "output": weights @ value}}
    """


MUTANTS["q03-masks"] = {
    "mask: turned round": _masks(mask="~(present & causal)"),
    "mask: no causal part": _masks(mask="present.expand(-1, 1, queries, -1)"),
    "mask: no padding": _masks(mask="causal.expand(len(lengths), 1, -1, -1)"),
    "mask: either is enough": _masks(mask="present | causal"),
    "mask: the future alone": _masks(causal="places >= places[keys - queries :, None]"),
    "mask: not itself": _masks(causal="places < places[keys - queries :, None]"),
    "mask: queries stand first": _masks(causal="places <= places[:queries, None]"),
    "mask: one key too many": _masks(present="places <= lengths[:, None, None, None]"),
    "mask: padded queries see nothing": _masks(
        mask="present & causal & (places[keys - queries :, None] < lengths[:, None, None, None])"
    ),
    "mask: no axis for heads": _masks(mask="(present & causal)[:, 0]"),
    "mask: numbers": _masks(mask="(present & causal).float()"),
    "mask: what is added": _masks(
        mask="torch.zeros(()).masked_fill(~(present & causal), -torch.inf)"
    ),
    "not used": _masks(scores="products", filled="weights"),
    "after softmax": _masks(scores="products"),
    "after softmax, divided by the sum": _masks(
        scores="products",
        filled="(lambda w: (w / w.sum(dim=-1, keepdim=True)).nan_to_num(0.0))"
        "(weights.masked_fill(~mask, 0.0))",
    ),
    "zeros before softmax": _masks(scores="products.masked_fill(~mask, 0.0)", filled="weights"),
    "multiplied by the mask": _masks(scores="products * mask", filled="weights"),
    "0 times infinity": _masks(scores="products + (1 - mask.float()) * -torch.inf"),
    "0 times infinity, and nan made 0": _masks(
        scores="products + (1 - mask.float()) * -torch.inf", filled="weights.nan_to_num(0.0)"
    ),
    "turned round": _masks(
        scores="products.masked_fill(mask, -torch.inf)", filled="weights.masked_fill(mask, 0.0)"
    ),
    "nothing allowed: nan": _masks(filled="weights"),
    "nothing allowed: all alike": _masks(
        scores="products.masked_fill(~mask, -1e30)", filled="weights"
    ),
    "a low score, but not low enough": _masks(scores="products.masked_fill(~mask, -1000.0)"),
    "a small number added": _masks(scores="products + torch.where(mask, 0.0, -100.0)"),
    "no root": _masks(products="query @ key.transpose(-2, -1)"),
    "softmax over the queries": _masks(weights="torch.softmax(scores, dim=-2).nan_to_num(0.0)"),
    "shares of a small number": _masks(
        weights="(lambda e: e / (e.sum(dim=-1, keepdim=True) + 1e-2))"
        "(torch.exp(scores - products.amax(dim=-1, keepdim=True)))"
    ),
    "changes its mask": _masks(
        scores="products.masked_fill(mask.logical_not_(), -torch.inf)",
        filled="weights.masked_fill(mask, 0.0)",
    ),
}
ALTERNATIVES["q03-masks"] = {
    "the lowest number, times the mask": _masks(
        scores="torch.where(mask, products, torch.finfo(products.dtype).min)",
        filled="weights * mask",
    ),
    "loops": """
        def build_mask(lengths, queries, keys):
            mask = torch.zeros(len(lengths), 1, queries, keys, dtype=torch.bool)
            for b, length in enumerate(lengths.tolist()):
                for i in range(queries):
                    for j in range(keys):
                        mask[b, 0, i, j] = j < length and j <= keys - queries + i
            return mask


        def masked_attention(query, key, value, mask):
            B, h, n, d = query.shape
            m = key.shape[2]
            mask = torch.broadcast_to(mask, (B, h, n, m))
            weights = query.new_zeros(B, h, n, m)
            for place in np.ndindex(B, h, n):
                there = mask[place]
                if there.any():
                    scores = key[place[:2]][there] @ query[place] / d**0.5
                    weights[place][there] = scores.softmax(dim=0)
            return {"weights": weights, "output": weights @ value}
    """,
    "tril, log-sum-exp": """
        def build_mask(lengths, queries, keys):
            causal = torch.ones(queries, keys).tril(keys - queries).bool()
            present = torch.arange(keys).repeat(len(lengths), 1) < lengths.unsqueeze(1)
            return torch.logical_and(causal, present[:, None, None, :])


        def masked_attention(query, key, value, mask):
            scores = torch.einsum("bhid,bhjd->bhij", query, key) * query.shape[-1] ** -0.5
            scores = scores.masked_fill(mask.logical_not(), float("-inf"))
            weights = torch.exp(scores - scores.logsumexp(dim=-1, keepdim=True)).nan_to_num(0.0)
            return {"weights": weights, "output": torch.einsum("bhij,bhjv->bhiv", weights, value)}
    """,
    "torch's softmax and the fused kernel": """
        def build_mask(lengths, queries, keys):
            after = torch.full((queries, keys), True).triu(keys - queries + 1)
            padding = torch.arange(keys)[None] >= lengths[:, None]
            return ~(after[None] | padding[:, None])[:, None]


        def masked_attention(query, key, value, mask):
            bias = torch.zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, -torch.inf)
            scores = query @ key.mT / query.shape[-1] ** 0.5 + bias
            weights = torch.nan_to_num(F.softmax(scores, dim=-1))
            some = mask.any(dim=-1, keepdim=True)
            output = F.scaled_dot_product_attention(query, key, value, attn_mask=mask | ~some)
            return {"weights": weights, "output": output * some}
    """,
}


def _heads(**parts: str) -> str:
    """The three functions of q04, with one part changed."""
    part = {
        "mask": "mask",
        "check": "if d % heads:\n                raise ValueError('heads must divide d')",
        "split": "x.reshape(B, T, heads, d // heads).transpose(1, 2)",
        "merge": "x.transpose(1, 2).flatten(2)",
        "query": 'x @ parameters["W_q"]',
        "key": 'memory @ parameters["W_k"]',
        "value": 'memory @ parameters["W_v"]',
        "attended": "F.scaled_dot_product_attention(query, key, value, attn_mask=mask)",
        "output": 'merge_heads(output) @ parameters["W_o"]',
    } | parts
    return f"""
        def split_heads(x, heads):
            B, T, d = x.shape
            {part["check"]}
            return {part["split"]}


        def merge_heads(x):
            return {part["merge"]}


        def multi_head(parameters, x, memory, mask, heads):
            query = split_heads({part["query"]}, heads)
            key = split_heads({part["key"]}, heads)
            value = split_heads({part["value"]}, heads)
            mask = {part["mask"]}
            output = {part["attended"]}
            return {part["output"]}
    """


_SDPA = "F.scaled_dot_product_attention"
_WRITTEN_OUT = (  # a low score takes all weight where there is no other
    "(query @ key.mT / query.shape[-1] ** 0.5).masked_fill("
    "torch.tensor(False) if mask is None else ~mask, {score}).softmax(-1) @ value"
)
MUTANTS["q04-heads"] = {
    "split: reshape alone": _heads(split="x.reshape(B, heads, T, d // heads)"),
    "split: heads after tokens": _heads(split="x.reshape(B, T, heads, d // heads)"),
    "split: every second number": _heads(
        split="x.reshape(B, T, d // heads, heads).permute(0, 3, 1, 2)"
    ),
    "split: what is left over is lost": _heads(
        check="",
        split="x[..., : d // heads * heads].reshape(B, T, heads, d // heads).transpose(1, 2)",
    ),
    "split: another error": _heads(check="assert d % heads == 0, 'heads must divide d'"),
    "split: torch's own error": _heads(check=""),
    "merge: reshape alone": _heads(merge="x.reshape(x.shape[0], x.shape[2], -1)"),
    "merge: heads added up": _heads(merge="x.sum(dim=1)"),
    "queries from the memory": _heads(query='memory @ parameters["W_q"]'),
    "keys from x": _heads(key='x @ parameters["W_k"]'),
    "values from x": _heads(value='x @ parameters["W_v"]'),
    "keys and values from x": _heads(key='x @ parameters["W_k"]', value='x @ parameters["W_v"]'),
    "x answers and the memory asks": _heads(
        query='memory @ parameters["W_q"]',
        key='x @ parameters["W_k"]',
        value='x @ parameters["W_v"]',
    ),
    "values without their matrix": _heads(value="memory"),
    "values by the keys' matrix": _heads(value='memory @ parameters["W_k"]'),
    "W_q turned round": _heads(query='x @ parameters["W_q"].T'),
    "W_v turned round": _heads(value='memory @ parameters["W_v"].T'),
    "W_o turned round": _heads(output='merge_heads(output) @ parameters["W_o"].T'),
    "W_o missing": _heads(output="merge_heads(output)"),
    "root of d": _heads(
        attended=f"{_SDPA}(query, key, value, attn_mask=mask, scale=x.shape[2] ** -0.5)"
    ),
    "no scale": _heads(attended=f"{_SDPA}(query, key, value, attn_mask=mask, scale=1.0)"),
    "mask not used": _heads(attended=f"{_SDPA}(query, key, value)"),
    "mask turned round": _heads(
        attended=f"{_SDPA}(query, key, value, attn_mask=None if mask is None else ~mask)"
    ),
    "nothing allowed: nan": _heads(attended=_WRITTEN_OUT.format(score="-torch.inf")),
    "nothing allowed: all alike": _heads(attended=_WRITTEN_OUT.format(score="-1e9")),
    "nothing allowed: sees all": _heads(
        mask="None if mask is None else mask | ~mask.any(dim=-1, keepdim=True)"
    ),
    "mask: two axes more, whatever it has": _heads(
        mask="None if mask is None else mask[None, None]"
    ),
    "mask: an axis for heads, whatever it has": _heads(
        mask="None if mask is None else mask.unsqueeze(1)"
    ),
    "mask: the first text's for all": _heads(
        mask="mask[:1] if mask is not None and mask.ndim == 4 else mask"
    ),
    "mask: the first head's for all": _heads(
        mask="mask[:, :1] if mask is not None and mask.ndim == 4 else mask"
    ),
    "mask: the first query's for all": _heads(mask="None if mask is None else mask[..., :1, :]"),
    "always causal": _heads(
        attended=f"{_SDPA}(query, key, value, is_causal=True) if mask is None "
        f"else {_SDPA}(query, key, value, attn_mask=mask)"
    ),
    "one head": _heads(
        output='F.scaled_dot_product_attention(x @ parameters["W_q"], memory @ parameters["W_k"], '
        'memory @ parameters["W_v"]) @ parameters["W_o"]'
    ),
    "heads' weights averaged": _heads(
        attended="torch.softmax((query @ key.mT / query.shape[-1] ** 0.5).masked_fill("
        "torch.tensor(False) if mask is None else ~mask, -1e9), -1).mean(1, keepdim=True) @ value"
    ),
}
ALTERNATIVES["q04-heads"] = {
    "written out": _heads(
        attended="torch.softmax((query @ key.mT / query.shape[-1] ** 0.5) if mask is None else "
        "(query @ key.mT / query.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf), dim=-1)"
        ".nan_to_num(0.0) @ value"
    ),
    "head by head": """
        def split_heads(x, heads):
            if x.shape[-1] % heads != 0:
                raise ValueError(f"{heads} does not divide {x.shape[-1]}")
            return torch.stack(x.chunk(heads, dim=-1), dim=1)


        def merge_heads(x):
            return torch.cat([x[:, head] for head in range(x.shape[1])], dim=-1)


        def multi_head(parameters, x, memory, mask, heads):
            size, outputs = x.shape[2] // heads, []
            for head in range(heads):
                columns = slice(head * size, (head + 1) * size)
                q, k, v = (
                    of @ parameters[name][:, columns]
                    for of, name in ((x, "W_q"), (memory, "W_k"), (memory, "W_v"))
                )
                scores = q @ k.transpose(1, 2) / size**0.5
                if mask is not None:
                    whole = torch.broadcast_to(
                        mask, (len(x), heads, x.shape[1], memory.shape[1])
                    )
                    scores = scores.masked_fill(~whole[:, head], -torch.inf)
                weights = scores.softmax(dim=-1)
                if mask is not None:
                    weights = weights.masked_fill(~whole[:, head], 0.0)
                outputs.append(weights @ v)
            return torch.cat(outputs, dim=2) @ parameters["W_o"]
    """,
    "einsum and unflatten": """
        def split_heads(x, heads):
            if x.size(2) % heads:
                raise ValueError("uneven heads")
            return x.unflatten(2, (heads, -1)).permute(0, 2, 1, 3)


        def merge_heads(x):
            B, h, T, size = x.shape
            return x.permute(0, 2, 1, 3).reshape(B, T, h * size)


        def multi_head(parameters, x, memory, mask, heads):
            q, k, v = (
                split_heads(torch.einsum("btd,de->bte", of, parameters[name]), heads)
                for of, name in ((x, "W_q"), (memory, "W_k"), (memory, "W_v"))
            )
            scores = torch.einsum("bhid,bhjd->bhij", q, k) * q.shape[3] ** -0.5
            if mask is not None:
                scores = scores + torch.where(mask, 0.0, -1e30).to(scores.dtype)
            weights = F.softmax(scores, -1) * (1 if mask is None else mask)
            output = torch.einsum("bhij,bhjd->bhid", weights, v)
            return F.linear(merge_heads(output), parameters["W_o"].T)
    """,
}


def _waves(**parts: str) -> str:
    """Both functions of q05, with one part changed."""
    part = {
        "check": "if d % 2:\n                raise ValueError('d must be even')",
        "exponents": "-torch.arange(0, d, 2, dtype=torch.float64) / d",
        "places": "torch.arange(length)",
        "waves": "torch.cat([angles.sin(), angles.cos()], dim=1)",
        "type": ".float()",
        "angle": "k * 10000.0 ** (-2 * i / d)",
        "block": "[[cosine, -sine], [sine, cosine]]",
        "pair": "[i, i + d // 2]",
    } | parts
    return f"""
        import math


        def sinusoids(length, d):
            {part["check"]}
            angles = {part["places"]}[:, None] * 10000.0 ** ({part["exponents"]})
            return {part["waves"]}{part["type"]}


        def shift(k, d):
            M = torch.zeros(d, d)
            for i in range(d // 2):
                angle = {part["angle"]}
                sine, cosine = math.sin(angle), math.cos(angle)
                pair = torch.tensor({part["pair"]})
                M[pair[:, None], pair] = torch.tensor({part["block"]})
            return M
    """


_SIDE_BY_SIDE = "torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)"
MUTANTS["q05-sinusoid"] = {
    "cosines first": _waves(waves="torch.cat([angles.cos(), angles.sin()], dim=1)"),
    "side by side, as in the chapter": _waves(waves=_SIDE_BY_SIDE),
    "side by side, cosine first": _waves(
        waves="torch.stack([angles.cos(), angles.sin()], dim=2).flatten(1)"
    ),
    "both side by side": _waves(waves=_SIDE_BY_SIDE, pair="[2 * i, 2 * i + 1]"),
    "places from 1": _waves(places="torch.arange(1, length + 1)"),
    "half the exponent": _waves(exponents="-torch.arange(0, d, 2, dtype=torch.float64) / d / 2"),
    "twice the exponent": _waves(exponents="-torch.arange(0, d, 2, dtype=torch.float64) * 2 / d"),
    "exponent without sign": _waves(exponents="torch.arange(0, d, 2, dtype=torch.float64) / d"),
    "a frequency for each number": """
        def sinusoids(length, d):
            if d % 2:
                raise ValueError("d must be even")
            angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(d) / d)
            return torch.cat([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=1)


        def shift(k, d):
            a = k * 10000.0 ** (-torch.arange(0, d, 2) / d)
            sines, cosines = torch.diag(a.sin()), torch.diag(a.cos())
            return torch.cat([torch.cat([cosines, -sines], 1), torch.cat([sines, cosines], 1)])
    """,
    "float64": _waves(type=""),
    "odd d goes through": _waves(check="pass"),
    "shift: side by side, as in the chapter": _waves(pair="[2 * i, 2 * i + 1]"),
    "shift: the chapter's matrix, for columns": _waves(
        pair="[2 * i, 2 * i + 1]", block="[[cosine, sine], [-sine, cosine]]"
    ),
    "shift: halves in, side by side out": """
        def sinusoids(length, d):
            if d % 2:
                raise ValueError("d must be even")
            angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, d, 2) / d)
            return torch.cat([angles.sin(), angles.cos()], dim=1)


        def shift(k, d):
            a = k * 10000.0 ** (-torch.arange(0, d, 2) / d)
            sines, cosines = torch.diag(a.sin()), torch.diag(a.cos())
            to_sines, to_cosines = torch.cat([cosines, sines]), torch.cat([-sines, cosines])
            return torch.stack([to_sines, to_cosines], dim=2).flatten(1)
    """,
    "shift: goes back": _waves(block="[[cosine, sine], [-sine, cosine]]"),
    "shift: a reflection": _waves(block="[[cosine, sine], [sine, -cosine]]"),
    "shift: cosines alone": _waves(block="[[cosine, 0.0], [0.0, cosine]]"),
    "shift: one angle for all pairs": _waves(angle="k"),
    "shift: one place always": _waves(angle="10000.0 ** (-2 * i / d)"),
    "shift: half the exponent": _waves(angle="k * 10000.0 ** (-i / d)"),
    "shift: fitted to few places": """
        def sinusoids(length, d):
            if d % 2:
                raise ValueError("d must be even")
            angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, d, 2) / d)
            return torch.cat([angles.sin(), angles.cos()], dim=1)


        def shift(k, d):
            P = sinusoids(max(1, k) + 1, d)
            here, there = P[0], P[max(0, k)]
            return torch.outer(here, there) / here.dot(here)
    """,
}
ALTERNATIVES["q05-sinusoid"] = {
    "number by number": """
        import math


        def sinusoids(length, d):
            if d % 2 == 1:
                raise ValueError("an odd d has no pairs")
            P = torch.empty(length, d)
            for p in range(length):
                for i in range(d // 2):
                    P[p, i] = math.sin(p / 10000 ** (2 * i / d))
                    P[p, i + d // 2] = math.cos(p / 10000 ** (2 * i / d))
            return P


        def shift(k, d):
            M = torch.zeros(d, d)
            for i in range(d // 2):
                j, a = i + d // 2, k / 10000 ** (2 * i / d)
                M[i, i] = M[j, j] = math.cos(a)
                M[j, i], M[i, j] = math.sin(a), -math.sin(a)
            return M
    """,
    "float32, and the chapter's matrix reordered": """
        import math


        def sinusoids(length, d):
            if d % 2 != 0:
                raise ValueError("d must be even")
            angles = torch.arange(length).float()[:, None] * torch.exp(
                torch.arange(0, d, 2).float() * (-np.log(10000.0) / d)
            )
            P = torch.zeros(length, d)
            P[:, : d // 2] = torch.sin(angles)
            P[:, d // 2 :] = torch.cos(angles)
            return P


        def shift(k, d):
            blocks = []
            for a in (k * 10000.0 ** (-torch.arange(0, d, 2).float() / d)).tolist():
                rows = [[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]
                blocks.append(torch.tensor(rows))
            order = torch.cat([torch.arange(0, d, 2), torch.arange(1, d, 2)])
            return torch.block_diag(*blocks)[order][:, order]
    """,
    "solved for": """
        def sinusoids(length, d):
            if d % 2:
                raise ValueError("d must be even")
            p, i = np.arange(length)[:, None], np.arange(d)[None]
            angles = p * 10000.0 ** (-2 * (i % (d // 2)) / d)
            return torch.tensor(np.where(i < d // 2, np.sin(angles), np.cos(angles))).float()


        def shift(k, d):
            M, half = np.zeros((d, d)), d // 2
            for i in range(half):
                w = 10000.0 ** (-2 * i / d)
                # Two places, a quarter of a wave apart, are all that a pair needs.
                at = np.array([0.0, np.pi / 2 / w])
                here = np.stack([np.sin(at * w), np.cos(at * w)], 1)
                there = np.stack([np.sin((at + k) * w), np.cos((at + k) * w)], 1)
                M[i::half, i::half] = np.linalg.solve(here, there)
            return torch.tensor(M).float()
    """,
}


def _rotary(**parts: str) -> str:
    """The rotation of q06, with one part changed."""
    part = {
        "check": "if turned % 2 or turned > d:\n                raise ValueError('no pairs')",
        "exponents": "-torch.arange(0, turned, 2, dtype=torch.float64) / turned",
        "places": "torch.arange(start, start + T)",
        "sine": "angles.sin().to(x.dtype)",
        "head": "x[..., :turned]",
        "rest": "x[..., turned:]",
        "pairs": "first, second = head[..., ::2], head[..., 1::2]",
        "y": "first * cosines - second * sines",
        "z": "first * sines + second * cosines",
        "moved": "torch.stack([y, z], dim=-1).flatten(-2)",
        "returned": "torch.cat([moved, rest], dim=-1)",
    } | parts
    return f"""
        def rotate(x, turned, start=0):
            T, d = x.shape[-2:]
            {part["check"]}
            angles = {part["places"]}[:, None] * 10000.0 ** ({part["exponents"]})
            cosines, sines = angles.cos().to(x.dtype), {part["sine"]}
            head, rest = {part["head"]}, {part["rest"]}
            {part["pairs"]}
            y = {part["y"]}
            z = {part["z"]}
            moved = {part["moved"]}
            return {part["returned"]}
    """


_HALVES = "first, second = head.chunk(2, dim=-1)"
MUTANTS["q06-rotary"] = {
    "the other way": _rotary(
        y="first * cosines + second * sines", z="second * cosines - first * sines"
    ),
    "both signs plus": _rotary(y="first * cosines + second * sines"),
    "second from the turned first": _rotary(z="y * sines + second * cosines"),
    "halves are pairs, as in the package": _rotary(
        pairs=_HALVES, moved="torch.cat([y, z], dim=-1)"
    ),
    "halves in, neighbours out": _rotary(pairs=_HALVES),
    "neighbours in, halves out": _rotary(moved="torch.cat([y, z], dim=-1)"),
    "the package's, all numbers": """
        def rotate(x, turned, start=0):
            T, d = x.shape[-2:]
            if turned % 2 or turned > d:
                raise ValueError("no pairs")
            angles = torch.arange(start, start + T)[:, None] * 10000.0 ** (
                -torch.arange(0, d, 2, dtype=torch.float64) / d
            )
            cosines, sines = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
            first, second = x.chunk(2, dim=-1)
            return torch.cat(
                [first * cosines - second * sines, first * sines + second * cosines], dim=-1
            )
    """,
    "all numbers are turned": """
        def rotate(x, turned, start=0):
            T, d = x.shape[-2:]
            if turned % 2 or turned > d:
                raise ValueError("no pairs")
            even = d - d % 2
            angles = torch.arange(start, start + T)[:, None] * 10000.0 ** (
                -torch.arange(0, even, 2, dtype=torch.float64) / even
            )
            cosines, sines = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
            y = x.clone()
            first, second = x[..., 0:even:2], x[..., 1:even:2]
            y[..., 0:even:2] = first * cosines - second * sines
            y[..., 1:even:2] = first * sines + second * cosines
            return y
    """,
    "the last numbers are turned": _rotary(
        head="x[..., d - turned :]",
        rest="x[..., : d - turned]",
        returned="torch.cat([rest, moved], dim=-1)",
    ),
    "the rest in front": _rotary(returned="torch.cat([rest, moved], dim=-1)"),
    "the rest is lost": _rotary(returned="moved"),
    "the rest is zeros": _rotary(rest="torch.zeros_like(x[..., turned:])"),
    "frequencies of all d": _rotary(
        exponents="-torch.arange(0, turned, 2, dtype=torch.float64) / d"
    ),
    "start not used": _rotary(places="torch.arange(T)"),
    "places from 1": _rotary(places="torch.arange(start + 1, start + T + 1)"),
    "one place for all": _rotary(places="torch.full((T,), start)"),
    "half the exponent": _rotary(
        exponents="-torch.arange(0, turned, 2, dtype=torch.float64) / turned / 2"
    ),
    "twice the exponent": _rotary(
        exponents="-torch.arange(0, turned, 2, dtype=torch.float64) * 2 / turned"
    ),
    "one frequency": _rotary(exponents="torch.zeros(turned // 2)"),
    "a wave added": _rotary(y="first + cosines", z="second + sines"),
    "length not kept": _rotary(y="first * cosines", z="second * cosines"),
    "pairs swapped in the result": _rotary(moved="torch.stack([z, y], dim=-1).flatten(-2)"),
    "odd: torch's own error": _rotary(check="pass"),
    "more than there are: torch's own error": _rotary(
        check="if turned % 2:\n                raise ValueError('no pairs')",
    ),
    "odd d is refused": _rotary(
        check="if d % 2 or turned % 2 or turned > d:\n                raise ValueError('no pairs')",
    ),
    "always float32": _rotary(returned="torch.cat([moved, rest], dim=-1).float()"),
    "places in the type of x": _rotary(places="torch.arange(start, start + T).to(x.dtype)"),
    "the batch is turned": _rotary(
        y="first * cosines[:1] - second * sines[:1]", z="first * sines[:1] + second * cosines[:1]"
    ),
    "changes its x": """
        def rotate(x, turned, start=0):
            T, d = x.shape[-2:]
            if turned % 2 or turned > d:
                raise ValueError("no pairs")
            angles = torch.arange(start, start + T)[:, None] * 10000.0 ** (
                -torch.arange(0, turned, 2, dtype=torch.float64) / turned
            )
            cosines, sines = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
            first, second = x[..., 0:turned:2].clone(), x[..., 1:turned:2].clone()
            x[..., 0:turned:2] = first * cosines - second * sines
            x[..., 1:turned:2] = first * sines + second * cosines
            return x
    """,
}
ALTERNATIVES["q06-rotary"] = {
    "rotate every two, as GPT-J": """
        def rotate(x, turned, start=0):
            if turned % 2 or turned > x.shape[-1]:
                raise ValueError("odd, or too many")
            w = 1.0 / 10000 ** (torch.arange(0, turned, 2).float() / turned)
            angles = torch.outer(torch.arange(start, start + x.shape[-2]).float(), w)
            angles = angles.repeat_interleave(2, dim=-1)
            head = x[..., :turned].float()
            other = torch.stack([-head[..., 1::2], head[..., ::2]], dim=-1).flatten(-2)
            moved = (head * angles.cos() + other * angles.sin()).to(x.dtype)
            return torch.cat([moved, x[..., turned:]], dim=-1)
    """,
    "complex numbers": """
        def rotate(x, turned, start=0):
            T, d = x.shape[-2], x.shape[-1]
            if turned % 2 != 0 or d < turned:
                raise ValueError(f"{turned} of {d}")
            pairs = x[..., :turned].double().unflatten(-1, (-1, 2)).contiguous()
            places = torch.arange(T, dtype=torch.float64) + start
            w = 10000.0 ** (-2 * torch.arange(turned // 2).double() / turned)
            angles = places[:, None] * w
            moved = torch.view_as_complex(pairs) * torch.polar(torch.ones_like(angles), angles)
            y = x.clone()
            y[..., :turned] = torch.view_as_real(moved).flatten(-2).to(x.dtype)
            return y
    """,
    "pair by pair": """
        import math


        def rotate(x, turned, start=0):
            T, d = x.shape[-2:]
            if turned % 2 or turned > d:
                raise ValueError("the numbers go in pairs")
            y = x.clone()
            for t in range(T):
                for i in range(0, turned, 2):
                    angle = (start + t) * 10000 ** (-i / turned)
                    c, s = math.cos(angle), math.sin(angle)
                    a, b = x[..., t, i], x[..., t, i + 1]
                    y[..., t, i], y[..., t, i + 1] = a * c - b * s, a * s + b * c
            return y
    """,
}


def _norm(**parts: str) -> str:
    """Both functions of q07, with one part changed."""
    part = {
        "mean": "x.mean(dim=-1, keepdim=True)",
        "root": "(c.square().mean(dim=-1, keepdim=True) + epsilon).sqrt()",
        "y": "c / s",
        "output": "gain * y + bias",
        "kept": '"y": y, "s": s',
        "w": "gain * upstream",
        "x": "(w - w.mean(dim=-1, keepdim=True) - y * (w * y).mean(dim=-1, keepdim=True)) / s",
        "gain": "(upstream * y).reshape(-1, y.shape[-1]).sum(dim=0)",
        "bias": "upstream.reshape(-1, y.shape[-1]).sum(dim=0)",
    } | parts
    return f"""
        def layer_norm(x, gain, bias, epsilon):
            c = x - {part["mean"]}
            s = {part["root"]}
            y = {part["y"]}
            return {{"output": {part["output"]}, {part["kept"]}}}


        def layer_norm_backward(y, s, gain, upstream):
            w = {part["w"]}
            return {{"x": {part["x"]}, "gain": {part["gain"]}, "bias": {part["bias"]}}}
    """


MUTANTS["q07-layer-norm"] = {
    "divides by d - 1": _norm(root="(x.var(dim=-1, keepdim=True) + epsilon).sqrt()"),
    "ε outside the root": _norm(root="c.square().mean(dim=-1, keepdim=True).sqrt() + epsilon"),
    "ε outside, d - 1": _norm(root="x.std(dim=-1, keepdim=True) + epsilon"),
    "ε forgotten": _norm(root="c.square().mean(dim=-1, keepdim=True).sqrt()"),
    "no root": _norm(root="c.square().mean(dim=-1, keepdim=True) + epsilon"),
    "mean stays": _norm(mean="0", root="(x.var(-1, correction=0, keepdim=True) + epsilon).sqrt()"),
    "RMS": _norm(mean="0"),
    "over the tokens": _norm(
        mean="x.mean(dim=0, keepdim=True)",
        root="(c.square().mean(dim=0, keepdim=True) + epsilon).sqrt()",
        kept='"y": y, "s": s.mean(-1, keepdim=True).expand(*x.shape[:-1], 1)',
    ),
    "over axis 1": _norm(
        mean="x.mean(dim=1, keepdim=True)",
        root="(c.square().mean(dim=1, keepdim=True) + epsilon).sqrt()",
    ),
    "over the whole batch": _norm(
        mean="x.mean()",
        root="(c.square().mean() + epsilon).sqrt()",
        kept='"y": y, "s": s.expand(*x.shape[:-1], 1)',
    ),
    "gain after bias": _norm(output="gain * (y + bias)"),
    "no gain": _norm(output="y + bias"),
    "no bias": _norm(output="gain * y"),
    "output alone": _norm(kept=""),
    "y is the output": _norm(kept='"y": gain * y + bias, "s": s'),
    "y is not divided": _norm(kept='"y": c, "s": s'),
    "s is the variance": _norm(kept='"y": y, "s": s.square()'),
    "s is 1/s": _norm(kept='"y": y, "s": 1 / s'),
    "s without its axis": _norm(kept='"y": y, "s": s.squeeze(-1)'),
    "∂x: as if μ and s were fixed": _norm(x="w / s"),
    "∂x: torch derives what it sees": _norm(
        x="torch.autograd.grad(gain.detach() * (leaf := y.clone().requires_grad_()) / s, leaf, "
        "upstream)[0]"
    ),
    "∂x: s fixed": _norm(x="(w - w.mean(dim=-1, keepdim=True)) / s"),
    "∂x: μ fixed": _norm(x="(w - y * (w * y).mean(dim=-1, keepdim=True)) / s"),
    "∂x: sign of one part": _norm(
        x="(w - w.mean(dim=-1, keepdim=True) + y * (w * y).mean(dim=-1, keepdim=True)) / s"
    ),
    "∂x: sums in place of means": _norm(
        x="(w - w.sum(dim=-1, keepdim=True) - y * (w * y).sum(dim=-1, keepdim=True)) / s"
    ),
    "∂x: one sum": _norm(
        x="(w - w.mean(dim=-1, keepdim=True) - y * (w * y).sum(dim=-1, keepdim=True)) / s"
    ),
    "∂x: the other sum": _norm(
        x="(w - w.sum(dim=-1, keepdim=True) - y * (w * y).mean(dim=-1, keepdim=True)) / s"
    ),
    "∂x: a mean of all tokens": _norm(
        x="(w - w.mean() - y * (w * y).mean(dim=-1, keepdim=True)) / s"
    ),
    "∂x: the other mean of all tokens": _norm(
        x="(w - w.mean(dim=-1, keepdim=True) - y * (w * y).mean()) / s"
    ),
    "∂x: both means of all tokens": _norm(x="(w - w.mean() - y * (w * y).mean()) / s"),
    "∂x: means over the tokens": _norm(x="(w - w.mean(dim=0) - y * (w * y).mean(dim=0)) / s"),
    "∂x: means over axis 1": _norm(
        x="(w - w.mean(dim=1, keepdim=True) - y * (w * y).mean(dim=1, keepdim=True)) / s"
    ),
    "∂x: 1/s missing": _norm(
        x="w - w.mean(dim=-1, keepdim=True) - y * (w * y).mean(dim=-1, keepdim=True)"
    ),
    "∂x: gain missing": _norm(w="upstream"),
    "∂x: gain outside": _norm(
        w="upstream",
        x="gain * (w - w.mean(dim=-1, keepdim=True) - y * (w * y).mean(dim=-1, keepdim=True)) / s",
    ),
    "∂x: as if ε were 0": _norm(
        x="(w - w.mean(dim=-1, keepdim=True) - y * (w * y).mean(dim=-1, keepdim=True) / "
        "y.square().mean(dim=-1, keepdim=True)) / s"
    ),
    "∂gain: y missing": _norm(gain="upstream.reshape(-1, y.shape[-1]).sum(dim=0)"),
    "∂gain: gain in it": _norm(gain="(w * y).reshape(-1, y.shape[-1]).sum(dim=0)"),
    "∂gain: mean": _norm(gain="(upstream * y).reshape(-1, y.shape[-1]).mean(dim=0)"),
    "∂gain: not added up": _norm(gain="upstream * y"),
    "∂gain: first axis alone": _norm(gain="(upstream * y).sum(dim=0)"),
    "∂bias: gain in it": _norm(bias="w.reshape(-1, y.shape[-1]).sum(dim=0)"),
    "∂bias: mean": _norm(bias="upstream.reshape(-1, y.shape[-1]).mean(dim=0)"),
    "changes its x": _norm(mean="x.mean(dim=-1, keepdim=True); x -= x.mean(dim=-1, keepdim=True)"),
    "changes its y": _norm(w="gain * upstream; y *= 1 + 1e-3"),
}
ALTERNATIVES["q07-layer-norm"] = {
    "torch derives it, from an x that is made anew": """
        def layer_norm(x, gain, bias, epsilon):
            variance = x.var(dim=-1, correction=0, keepdim=True)
            zero, one = torch.zeros_like(bias), torch.ones_like(gain)
            return {
                "output": F.layer_norm(x, gain.shape, gain, bias, epsilon),
                "y": F.layer_norm(x, gain.shape, one, zero, epsilon),
                "s": (variance + epsilon).sqrt(),
            }


        def layer_norm_backward(y, s, gain, upstream):
            with torch.enable_grad():
                x, gain = (one.detach().clone().requires_grad_() for one in (y * s, gain))
                bias = torch.zeros_like(gain).requires_grad_()
                c = x - x.mean(dim=-1, keepdim=True)
                variance = c.square().mean(dim=-1, keepdim=True)
                epsilon = (s.square() - variance).detach()
                output = gain * c / (variance + epsilon).sqrt() + bias
                found = torch.autograd.grad(output, [x, gain, bias], upstream)
            return dict(zip(("x", "gain", "bias"), found))
    """,
    "token by token, by the Jacobian": """
        def layer_norm(x, gain, bias, epsilon):
            rows, roots = [], []
            for row in x.reshape(-1, x.shape[-1]):
                variance = ((row - row.mean()) ** 2).sum() / len(row)
                roots.append((variance + epsilon) ** 0.5)
                rows.append((row - row.mean()) / roots[-1])
            y = torch.stack(rows).reshape(x.shape)
            s = torch.stack(roots).reshape(x[..., :1].shape)
            return {"output": y * gain + bias, "y": y, "s": s}


        def layer_norm_backward(y, s, gain, upstream):
            d = y.shape[-1]
            eye, rows = torch.eye(d, dtype=y.dtype), []
            d_gain, d_bias = torch.zeros_like(gain), torch.zeros_like(gain)
            for row, root, u in zip(y.reshape(-1, d), s.reshape(-1), upstream.reshape(-1, d)):
                jacobian = (eye - 1 / d - torch.outer(row, row) / d) / root
                rows.append(jacobian @ (gain * u))
                d_gain = d_gain + u * row
                d_bias = d_bias + u
            return {"x": torch.stack(rows).reshape(y.shape), "gain": d_gain, "bias": d_bias}
    """,
    "part by part": """
        def layer_norm(x, gain, bias, epsilon):
            variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
            y, s = (x - mean) * torch.rsqrt(variance + epsilon), (variance + epsilon) ** 0.5
            return {"output": torch.addcmul(bias, gain, y), "y": y, "s": s}


        def layer_norm_backward(y, s, gain, upstream):
            d, axes = y.shape[-1], tuple(range(y.ndim - 1))
            w = upstream * gain
            by_s = -(w * y / s).sum(-1, keepdim=True) * y / d
            by_mean = -(w / s).sum(-1, keepdim=True) / d
            total = {"gain": upstream * y, "bias": upstream + 0}
            return {"x": w / s + by_mean + by_s} | {
                name: one.sum(axes) if axes else one for name, one in total.items()
            }
    """,
}


def _block(**parts: str) -> str:
    """The block of q08, with one part changed."""
    part = {
        "mask": "mask",
        "z": 'F.layer_norm(x, (d,), p["gain_1"], p["bias_1"], 1e-5)',
        "projected": 'z @ p["W_qkv"] + p["b_qkv"]',
        "order": "query, key, value",
        "cut": "one.reshape(B, T, heads, -1).transpose(1, 2)",
        "attended": "F.scaled_dot_product_attention(query, key, value, attn_mask=mask)",
        "added": 'attended.transpose(1, 2).flatten(2) @ p["W_o"] + p["b_o"]',
        "middle": "x + a",
        "z_2": 'F.layer_norm(x_2, (d,), p["gain_2"], p["bias_2"], 1e-5)',
        "hidden": 'F.gelu(z @ p["W_1"] + p["b_1"])',
        "ffn": 'hidden @ p["W_2"] + p["b_2"]',
        "end": "x_2 + f",
    } | parts
    return f"""
        def block(parameters, x, mask, heads):
            p, (B, T, d) = parameters, x.shape
            z = {part["z"]}
            projected = ({part["projected"]}).chunk(3, dim=2)
            {part["order"]} = ({part["cut"]} for one in projected)
            mask = {part["mask"]}
            attended = {part["attended"]}
            a = {part["added"]}
            x_2 = {part["middle"]}
            z = {part["z_2"]}
            hidden = {part["hidden"]}
            f = {part["ffn"]}
            return {part["end"]}
    """


MUTANTS["q08-block"] = {
    "norms after the sums": _block(
        z="x",
        middle='F.layer_norm(x + a, (d,), p["gain_1"], p["bias_1"], 1e-5)',
        z_2="x_2",
        end='F.layer_norm(x_2 + f, (d,), p["gain_2"], p["bias_2"], 1e-5)',
    ),
    "no shortcuts": _block(middle="a", end="f"),
    "no first shortcut": _block(middle="a"),
    "no second shortcut": _block(end="f"),
    "the first shortcut is normalized": _block(middle="z + a"),
    "the second shortcut is normalized": _block(end="z + f"),
    "the second shortcut begins at x": _block(end="x + f"),
    "side by side": _block(
        z_2='F.layer_norm(x, (d,), p["gain_2"], p["bias_2"], 1e-5)', end="x + a + f"
    ),
    "no first norm": _block(z="x"),
    "no second norm": _block(z_2="x_2"),
    "one norm for both": _block(z_2='F.layer_norm(x_2, (d,), p["gain_1"], p["bias_1"], 1e-5)'),
    "norms without gain and bias": _block(z="F.layer_norm(x, (d,))", z_2="F.layer_norm(x_2, (d,))"),
    "one more norm": _block(end='F.layer_norm(x_2 + f, (d,), p["gain_2"], p["bias_2"], 1e-5)'),
    "ReLU": _block(hidden='F.relu(z @ p["W_1"] + p["b_1"])'),
    "no nonlinearity": _block(hidden='z @ p["W_1"] + p["b_1"]'),
    "GELU after the second map": _block(
        hidden='z @ p["W_1"] + p["b_1"]', ffn='F.gelu(hidden @ p["W_2"] + p["b_2"])'
    ),
    "no feed-forward network": _block(end="x_2"),
    "no attention": _block(middle="x"),
    "b_o missing": _block(added='attended.transpose(1, 2).flatten(2) @ p["W_o"]'),
    "W_o missing": _block(added='attended.transpose(1, 2).flatten(2) + p["b_o"]'),
    "b_1 missing": _block(hidden='F.gelu(z @ p["W_1"])'),
    "b_qkv missing": _block(projected='z @ p["W_qkv"]'),
    "values first": _block(order="value, query, key"),
    "keys first": _block(order="key, query, value"),
    "one head": _block(cut="one.reshape(B, T, 1, -1).transpose(1, 2)"),
    "cut without turning": _block(cut="one.reshape(B, heads, T, -1)"),
    "merged without turning": _block(added='attended.reshape(B, T, d) @ p["W_o"] + p["b_o"]'),
    "cut and merged without turning": _block(
        cut="one.reshape(B, heads, T, -1)",
        added='attended.reshape(B, T, d) @ p["W_o"] + p["b_o"]',
    ),
    "cut into heads before queries, keys and values": _block(
        projected='(z @ p["W_qkv"] + p["b_qkv"]).unflatten(2, (heads, 3, -1)).transpose(2, 3)'
        ".flatten(2)"
    ),
    "mask not used": _block(attended="F.scaled_dot_product_attention(query, key, value)"),
    "mask turned round": _block(
        attended="F.scaled_dot_product_attention(query, key, value, "
        "attn_mask=None if mask is None else ~mask).nan_to_num(0.0)"
    ),
    "nothing allowed: nan": _block(attended=_WRITTEN_OUT.format(score="-torch.inf")),
    "nothing allowed: all alike": _block(attended=_WRITTEN_OUT.format(score="-1e9")),
    "nothing allowed: not even b_o": _block(
        added='(attended.transpose(1, 2).flatten(2) @ p["W_o"] + p["b_o"]) * '
        "(1 if mask is None else mask.expand(B, heads, T, T).any(3)[:, 0, :, None])"
    ),
    "mask: two axes more, whatever it has": _block(
        mask="None if mask is None else mask[None, None]"
    ),
    "mask: an axis for heads, whatever it has": _block(
        mask="None if mask is None else mask.unsqueeze(1)"
    ),
    "mask: the first text's for all": _block(
        mask="mask[:1] if mask is not None and mask.ndim == 4 else mask"
    ),
    "mask: the first token's for all": _block(mask="None if mask is None else mask[..., :1, :]"),
    "mask: hides queries": _block(
        mask="mask.mT if mask is not None and mask.shape[-2] == 1 < mask.shape[-1] else mask"
    ),
    "root of d": _block(
        attended="F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=d**-0.5)"
    ),
    "changes its x": """
        def block(parameters, x, mask, heads):
            p, (B, T, d) = parameters, x.shape
            z = F.layer_norm(x, (d,), p["gain_1"], p["bias_1"], 1e-5)
            projected = (z @ p["W_qkv"] + p["b_qkv"]).chunk(3, dim=2)
            query, key, value = (one.reshape(B, T, heads, -1).transpose(1, 2) for one in projected)
            a = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            x += a.transpose(1, 2).flatten(2) @ p["W_o"] + p["b_o"]
            z = F.layer_norm(x, (d,), p["gain_2"], p["bias_2"], 1e-5)
            x += F.gelu(z @ p["W_1"] + p["b_1"]) @ p["W_2"] + p["b_2"]
            return x
    """,
}
ALTERNATIVES["q08-block"] = {
    "written out": """
        import math


        def block(parameters, x, mask, heads):
            p, d = parameters, x.shape[-1]

            def norm(x, number):
                c = x - x.mean(-1, keepdim=True)
                y = c / (c.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
                return y * p[f"gain_{number}"] + p[f"bias_{number}"]

            q, k, v = torch.split(norm(x, 1) @ p["W_qkv"] + p["b_qkv"], d, dim=-1)
            outputs = []
            for head in range(heads):
                at = slice(head * (d // heads), (head + 1) * (d // heads))
                scores = q[..., at] @ k[..., at].mT / math.sqrt(d // heads)
                if mask is not None:
                    whole = mask.expand(len(x), heads, *scores.shape[1:])[:, head]
                    scores = torch.where(whole, scores, -torch.inf)
                outputs.append(torch.softmax(scores, -1).nan_to_num(0.0) @ v[..., at])
            x = x + torch.cat(outputs, -1) @ p["W_o"] + p["b_o"]
            n = norm(x, 2) @ p["W_1"] + p["b_1"]
            n = n * 0.5 * (1 + torch.erf(n / math.sqrt(2)))
            return x + n @ p["W_2"] + p["b_2"]
    """,
    "F.linear and einsum": """
        def block(parameters, x, mask, heads):
            p, size = parameters, x.shape[2] // heads
            z = F.layer_norm(x, x.shape[-1:], p["gain_1"], p["bias_1"])
            qkv = F.linear(z, p["W_qkv"].T, p["b_qkv"])
            q, k, v = qkv.view(len(x), x.shape[1], 3, heads, size).unbind(2)
            e = torch.einsum("bihd,bjhd->bhij", q, k) * size**-0.5
            if mask is not None:
                e = e.masked_fill(~mask, torch.finfo(e.dtype).min)
            weights = e.softmax(-1) * (1 if mask is None else mask)
            mixed = torch.einsum("bhij,bjhd->bihd", weights, v).reshape(x.shape)
            y = F.linear(mixed, p["W_o"].T, p["b_o"]).add(x)
            z = F.layer_norm(y, x.shape[-1:], p["gain_2"], p["bias_2"])
            return F.linear(F.gelu(F.linear(z, p["W_1"].T, p["b_1"])), p["W_2"].T, p["b_2"]) + y
    """,
    "torch's functional attention": """
        def block(parameters, x, mask, heads):
            p, d = parameters, x.shape[2]
            z = F.layer_norm(x, (d,), p["gain_1"], p["bias_1"]).transpose(0, 1)
            closed = None
            if mask is not None:
                whole = mask.expand(len(x), heads, x.shape[1], x.shape[1])
                closed = ~whole.reshape(-1, x.shape[1], x.shape[1])
            attended, _ = F.multi_head_attention_forward(
                z, z, z, d, heads, p["W_qkv"].T, p["b_qkv"], None, None, False, 0.0,
                p["W_o"].T, p["b_o"], attn_mask=closed, need_weights=False,
            )
            x = x + attended.transpose(0, 1)
            z = F.layer_norm(x, (d,), p["gain_2"], p["bias_2"])
            return x + torch.addmm(
                p["b_2"], F.gelu(z @ p["W_1"] + p["b_1"]).flatten(0, 1), p["W_2"]
            ).reshape(x.shape)
    """,
}


def _count(**parts: str) -> str:
    """The counts of q09, with one part changed."""
    part = {
        "embedding": "V * d",
        "positions": "length * d",
        "attention": "layers * (4 * d * d + 4 * d)",
        "feed_forward": "layers * (2 * d * hidden + hidden + d)",
        "norms": "2 * d * (2 * layers + 1)",
        "output": "0 if tied else V * d",
        "total": "sum(parts.values())",
        "approximate": "V * d + 12 * layers * d * d",
    } | parts
    keys = ("embedding", "positions", "attention", "feed_forward", "norms", "output")
    listed = ", ".join(f'"{key}": {part[key]}' for key in keys)
    return f"""
        def parameter_count(V, d, layers, hidden, length, tied):
            parts = {{{listed}}}
            total = {part["total"]}
            return parts | {{"total": total, "approximate": {part["approximate"]}}}
    """


MUTANTS["q09-parameters"] = {
    "attention without biases": _count(attention="layers * 4 * d * d"),
    "attention without W_o": _count(attention="layers * 3 * (d * d + d)"),
    "no bias of W_o": _count(attention="layers * (4 * d * d + 3 * d)"),
    "attention of one layer": _count(attention="4 * d * d + 4 * d"),
    "feed-forward without biases": _count(feed_forward="layers * 2 * d * hidden"),
    "hidden layer always 4 d": _count(feed_forward="layers * (8 * d * d + 5 * d)"),
    "both biases alike": _count(feed_forward="layers * (2 * d * hidden + 2 * d)"),
    "one map": _count(feed_forward="layers * (d * hidden + hidden)"),
    "norms without bias": _count(norms="d * (2 * layers + 1)"),
    "no last norm": _count(norms="4 * d * layers"),
    "one norm a block": _count(norms="2 * d * (layers + 1)"),
    "last norm in each layer": _count(norms="6 * d * layers"),
    "no positions": _count(positions="0"),
    "positions in each layer": _count(positions="layers * length * d"),
    "tied counts twice": _count(output="V * d"),
    "never an output layer": _count(output="0"),
    "tied turned round": _count(output="V * d if tied else 0"),
    "output layer with a bias": _count(output="0 if tied else V * d + V"),
    "rule without tokens": _count(approximate="12 * layers * d * d"),
    "rule with the true hidden layer": _count(
        approximate="V * d + layers * (4 * d * d + 2 * d * hidden)"
    ),
    "total is the rule": _count(total="V * d + 12 * layers * d * d"),
    "total without output": _count(total='sum(parts.values()) - parts["output"]'),
}
ALTERNATIVES["q09-parameters"] = {
    "layer by layer": """
        def parameter_count(V, d, layers, hidden, length, tied):
            found = dict.fromkeys(
                ["embedding", "positions", "attention", "feed_forward", "norms", "output"], 0
            )
            found["embedding"] += V * d
            found["positions"] += length * d
            for _ in range(layers):
                for rows, columns, part in (
                    (d, 3 * d, "attention"),
                    (d, d, "attention"),
                    (d, hidden, "feed_forward"),
                    (hidden, d, "feed_forward"),
                ):
                    found[part] += (rows + 1) * columns
                found["norms"] += d + d + d + d
            found["norms"] += 2 * d
            if not tied:
                found["output"] += d * V
            found["total"] = sum(found.values())
            found["approximate"] = d * (V + 12 * layers * d)
            return found
    """,
    "shapes": """
        import math


        def parameter_count(V, d, layers, hidden, length, tied):
            block = {
                "attention": [(d, d), (d,)] * 4,
                "feed_forward": [(d, hidden), (hidden,), (hidden, d), (d,)],
                "norms": [(d,)] * 4,
            }
            shapes = {"embedding": [(V, d)], "positions": [(length, d)]}
            shapes |= {part: of_one * layers for part, of_one in block.items()}
            shapes["norms"] = [*shapes["norms"], (d,), (d,)]
            shapes["output"] = [] if tied else [(d, V)]
            found = {part: sum(map(math.prod, of)) for part, of in shapes.items()}
            rule = V * d + 12 * layers * d**2
            return {**found, "total": sum(found.values()), "approximate": rule}
    """,
    "NumPy's numbers": """
        def parameter_count(V, d, layers, hidden, length, tied):
            V, d, layers, hidden, length = (np.int64(one) for one in (V, d, layers, hidden, length))
            parts = np.array(
                [
                    V * d,
                    length * d,
                    4 * layers * d * (d + 1),
                    layers * (hidden * (2 * d + 1) + d),
                    4 * layers * d + 2 * d,
                    (1 - int(tied)) * V * d,
                ]
            )
            names = "embedding positions attention feed_forward norms output total approximate"
            return dict(zip(names.split(), [*parts, parts.sum(), V * d + 12 * layers * d * d]))
    """,
}


def _windows(**parts: str) -> str:
    """Both functions of q10, with one part changed."""
    part = {
        "rows": "-(-(len(ids) - 1) // length)",
        "read": "ids[:-1]",
        "wanted": "ids[1:]",
        "fill": "0",
        "nothing": "-100",
        "type": ".long()",
        "length": "length",
        "logits": 'model(cut["inputs"])',
        "losses": "-logits.log_softmax(dim=2).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]",
        "loss": "losses[targets != -100].mean()",
    } | parts
    return f"""
        def windows(ids, length):
            rows = {part["rows"]}
            inputs = torch.full((rows * length,), {part["fill"]})
            targets = torch.full((rows * length,), {part["nothing"]})
            read, wanted = {part["read"]}, {part["wanted"]}
            read, wanted = read[: rows * length], wanted[: rows * length]
            inputs[: len(read)], targets[: len(wanted)] = read, wanted
            inputs, targets = inputs.reshape(rows, length), targets.reshape(rows, length)
            return {{"inputs": inputs{part["type"]}, "targets": targets{part["type"]}}}


        def lm_loss(model, ids, length):
            cut = windows(ids, {part["length"]})
            targets = cut["targets"]
            logits = {part["logits"]}
            losses = {part["losses"]}
            return {part["loss"]}
    """


MUTANTS["q10-windows"] = {
    "not shifted": _windows(wanted="ids[:-1]"),
    "shifted by two": _windows(wanted="ids[2:]"),
    "shifted back": _windows(read="ids[1:]", wanted="ids[:-1]"),
    "last window left out": _windows(rows="max(1, (len(ids) - 1) // length)"),
    "a window for the last token": _windows(rows="-(-len(ids) // length)", read="ids"),
    "last token read": _windows(read="ids"),
    "nothing is 0": _windows(nothing="0"),
    "nothing is 0, and 0 does not count": _windows(nothing="0", loss="losses[targets != 0].mean()"),
    "inputs filled with -100": _windows(fill="-100"),
    "last target of each window left out": """
        def windows(ids, length):
            rows = -(-(len(ids) - 1) // length)
            inputs = torch.zeros(rows * length, dtype=torch.long)
            inputs[: len(ids) - 1] = ids[:-1]
            inputs = inputs.reshape(rows, length)
            targets = torch.full_like(inputs, -100)
            targets[:, :-1] = inputs[:, 1:]
            return {"inputs": inputs, "targets": targets}


        def lm_loss(model, ids, length):
            cut = windows(ids, length)
            logits = model(cut["inputs"])
            return F.cross_entropy(logits.flatten(0, 1), cut["targets"].flatten())
    """,
    "windows overlap": """
        def windows(ids, length):
            starts = range(max(1, len(ids) - length))
            inputs = torch.stack([ids[i : i + length] for i in starts])
            targets = torch.stack([ids[i + 1 : i + length + 1] for i in starts])
            return {"inputs": inputs, "targets": targets}


        def lm_loss(model, ids, length):
            cut = windows(ids, length)
            logits = model(cut["inputs"])
            return F.cross_entropy(logits.flatten(0, 1), cut["targets"].flatten())
    """,
    "float": _windows(type=".float()"),
    "the sum": _windows(loss="losses[targets != -100].sum()"),
    "padding in the mean": _windows(loss="losses.masked_fill(targets == -100, 0.0).mean()"),
    "padding counts": _windows(loss="losses.mean()"),
    "padding times zero": _windows(
        loss="(losses * (targets != -100)).sum() / (targets != -100).sum()"
    ),
    "mean of windows": _windows(
        loss="(losses.masked_fill(targets == -100, 0).sum(1) / (targets != -100).sum(1)).mean()"
    ),
    "last place of a window alone": _windows(loss="losses[:, 0].mean()"),
    "bits": _windows(loss="losses[targets != -100].mean() / 0.6931471805599453"),
    "not one number": _windows(loss="losses[targets != -100]"),
    "softmax over the places": _windows(
        losses="-logits.log_softmax(dim=1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]"
    ),
    "probabilities into cross-entropy": _windows(
        loss="F.cross_entropy(logits.softmax(2).flatten(0, 1), targets.flatten())"
    ),
    "a call for each token": """
        def windows(ids, length):
            rows = -(-(len(ids) - 1) // length)
            inputs = torch.zeros(rows * length, dtype=torch.long)
            targets = torch.full((rows * length,), -100)
            inputs[: len(ids) - 1], targets[: len(ids) - 1] = ids[:-1], ids[1:]
            return {
                "inputs": inputs.reshape(rows, length),
                "targets": targets.reshape(rows, length),
            }


        def lm_loss(model, ids, length):
            cut = windows(ids, length)
            losses = []
            for row, targets in zip(cut["inputs"], cut["targets"]):
                for t, target in enumerate(targets.tolist()):
                    if target != -100:
                        logits = model(row[None, : t + 1])[0, t]
                        losses.append(logits.logsumexp(0) - logits[target])
            return torch.stack(losses).mean()
    """,
    "one window of all": _windows(length="len(ids) - 1"),
    "perplexity": _windows(loss="losses[targets != -100].mean().exp()"),
}
ALTERNATIVES["q10-windows"] = {
    "window by window": """
        def windows(ids, length):
            ids = ids.tolist()
            inputs, targets = [], []
            for start in range(0, len(ids) - 1, length):
                wanted = ids[start + 1 : start + length + 1]
                read = ids[start : start + len(wanted)]
                missing = length - len(wanted)
                inputs.append(read + [0] * missing)
                targets.append(wanted + [-100] * missing)
            return {"inputs": torch.tensor(inputs), "targets": torch.tensor(targets)}


        def lm_loss(model, ids, length):
            cut = windows(ids, length)
            logits, total, count = model(cut["inputs"]).double(), 0.0, 0
            for rows, targets in zip(logits, cut["targets"].tolist()):
                for scores, target in zip(rows, targets):
                    if target != -100:
                        total += float(torch.logsumexp(scores, 0) - scores[target])
                        count += 1
            return total / count
    """,
    "padded, and chosen by truth": """
        def windows(ids, length):
            missing = -(len(ids) - 1) % length
            inputs = F.pad(ids[:-1].long(), (0, missing)).view(-1, length)
            targets = F.pad(ids[1:].long(), (0, missing), value=-100).view(-1, length)
            return {"inputs": inputs, "targets": targets}


        def lm_loss(model, ids, length):
            inputs, targets = windows(ids, length).values()
            there = targets >= 0
            log_p = torch.log_softmax(model(inputs)[there], dim=-1)
            return -log_p[torch.arange(len(log_p)), targets[there]].mean()
    """,
    "summed cross-entropy": """
        def windows(ids, length):
            rows = (len(ids) - 2) // length + 1
            places = torch.arange(rows * length).reshape(rows, length)
            there = places < len(ids) - 1
            last = len(ids) - 1
            inputs = torch.where(there, ids[places.clamp(max=last)], 0)
            targets = torch.where(there, ids[(places + 1).clamp(max=last)], -100)
            return {"inputs": inputs.long(), "targets": targets.long()}


        def lm_loss(model, ids, length):
            cut = windows(ids, length)
            logits = model(cut["inputs"]).transpose(1, 2)
            return F.cross_entropy(logits, cut["targets"], reduction="sum") / (len(ids) - 1)
    """,
}


def _cache(**parts: str) -> str:
    """Both functions of q11, with one part changed."""
    part = {
        "keys": 'torch.cat([cache["keys"], key], dim=2)',
        "values": 'torch.cat([cache["values"], value], dim=2)',
        "mask": "torch.ones(n, m, dtype=torch.bool).tril(m - n)",
        "attended": "F.scaled_dot_product_attention(query, key, value, attn_mask=mask)",
        "output": 'output.transpose(1, 2).flatten(2) @ parameters["W_o"]',
        "cache": '{"keys": key, "values": value}',
        "read": "prompt + new - 1",
        "scores": "prompt**2 + sum(range(prompt + 1, prompt + new))",
        "kept": "2 * layers * d * tokens",
        "tokens_0": "sum(range(prompt, prompt + new))",
        "scores_0": "sum(m * m for m in range(prompt, prompt + new))",
        "kept_0": "0",
    } | parts
    return f"""
        def attend_cached(parameters, x, cache, heads):
            B, n, d = x.shape
            query, key, value = (
                (x @ parameters[name]).reshape(B, n, heads, -1).transpose(1, 2)
                for name in ("W_q", "W_k", "W_v")
            )
            if cache is not None:
                key = {part["keys"]}
                value = {part["values"]}
            m = key.shape[2]
            mask = {part["mask"]}
            output = {part["attended"]}
            output = {part["output"]}
            return {{"output": output, "cache": {part["cache"]}}}


        def generation_cost(prompt, new, layers, d, cached):
            if cached:
                tokens = {part["read"]}
                return {{"tokens": tokens, "scores": {part["scores"]}, "kept": {part["kept"]}}}
            return {{
                "tokens": {part["tokens_0"]}, "scores": {part["scores_0"]}, "kept": {part["kept_0"]}
            }}
    """


MUTANTS["q11-cache"] = {
    "cache not used": _cache(keys="key", values="value"),
    "new keys first": _cache(
        keys='torch.cat([key, cache["keys"]], dim=2)',
        values='torch.cat([value, cache["values"]], dim=2)',
    ),
    "keys added up": _cache(keys='cache["keys"] + key', values='cache["values"] + value'),
    "values new alone": _cache(
        values='torch.cat([value.new_zeros(cache["values"].shape), value], dim=2)'
    ),
    "no mask": _cache(mask="None"),
    "mask from the upper left": _cache(mask="torch.ones(n, m, dtype=torch.bool).tril()"),
    "is_causal, which begins at the upper left": _cache(
        attended="F.scaled_dot_product_attention(query, key, value, is_causal=True)"
    ),
    "mask by one too narrow": _cache(
        mask="torch.ones(n, m, dtype=torch.bool).tril(max(m - n - 1, 0))"
    ),
    "mask by one too wide": _cache(mask="torch.ones(n, m, dtype=torch.bool).tril(m - n + 1)"),
    "mask turned round": _cache(mask="torch.ones(n, m, dtype=torch.bool).triu(m - n)"),
    "mask among the new alone, the cache not seen": _cache(
        mask="torch.cat([torch.zeros(n, m - n), torch.ones(n, n).tril()], dim=1).bool()"
    ),
    "new tokens see all": _cache(
        attended="F.scaled_dot_product_attention(query, key, value, attn_mask=mask) "
        "if cache is None else F.scaled_dot_product_attention(query, key, value)"
    ),
    "cache as it was": _cache(cache='{"keys": key, "values": value} if cache is None else cache'),
    "the new alone are kept": _cache(cache='{"keys": key[:, :, -n:], "values": value[:, :, -n:]}'),
    "keys and values swapped": _cache(cache='{"keys": value, "values": key}'),
    "kept without heads": _cache(
        cache='{"keys": key.transpose(1, 2).flatten(2), '
        '"values": value.transpose(1, 2).flatten(2)}',
    ),
    "W_o missing": _cache(output="output.transpose(1, 2).flatten(2)"),
    "merged without turning": _cache(output='output.reshape(B, n, d) @ parameters["W_o"]'),
    "no scale": _cache(
        attended="F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)"
    ),
    "writes into the old cache": """
        def attend_cached(parameters, x, cache, heads):
            B, n, d = x.shape
            query, key, value = (
                (x @ parameters[name]).reshape(B, n, heads, -1).transpose(1, 2)
                for name in ("W_q", "W_k", "W_v")
            )
            if cache is None:
                cache = {"keys": key, "values": value}
            else:
                cache["keys"] = torch.cat([cache["keys"], key], dim=2)
                cache["values"] = torch.cat([cache["values"], value], dim=2)
            key, value = cache["keys"], cache["values"]
            mask = torch.ones(n, key.shape[2], dtype=torch.bool).tril(key.shape[2] - n)
            output = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            output = output.transpose(1, 2).flatten(2) @ parameters["W_o"]
            return {"output": output, "cache": cache}


        def generation_cost(prompt, new, layers, d, cached):
            lengths = range(prompt, prompt + new)
            if not cached:
                return {"tokens": sum(lengths), "scores": sum(m * m for m in lengths), "kept": 0}
            tokens = prompt + new - 1
            scores = prompt**2 + sum(lengths[1:])
            return {"tokens": tokens, "scores": scores, "kept": 2 * layers * d * tokens}
    """,
    "the last token is read": _cache(read="prompt + new"),
    "tokens in all layers": _cache(read="layers * (prompt + new - 1)"),
    "prompt not counted": _cache(read="new - 1"),
    "half of the prompt's scores": _cache(scores="sum(range(1, prompt + new))"),
    "scores of all layers": _cache(
        scores="layers * (prompt**2 + sum(range(prompt + 1, prompt + new)))"
    ),
    "the prompt has one query": _cache(scores="sum(range(prompt, prompt + new))"),
    "one more call": _cache(scores="prompt**2 + sum(range(prompt + 1, prompt + new + 1))"),
    "the last token is kept, too": _cache(kept="2 * layers * d * (prompt + new)"),
    "keys alone are kept": _cache(kept="layers * d * tokens"),
    "one token is kept": _cache(kept="2 * layers * d"),
    "one layer is kept": _cache(kept="2 * d * tokens"),
    "tokens once without a cache": _cache(tokens_0="prompt + new - 1"),
    "one row without a cache": _cache(scores_0="sum(range(prompt, prompt + new))"),
    "kept without a cache": _cache(kept_0="2 * layers * d * (prompt + new - 1)"),
}
ALTERNATIVES["q11-cache"] = {
    "one token after another": """
        def attend_cached(parameters, x, cache, heads):
            B, n, d = x.shape

            def cut(x, name):
                return torch.stack((x @ parameters[name]).chunk(heads, dim=2), dim=1)

            keys, values, outputs = None, None, []
            if cache is not None:
                keys, values = cache["keys"], cache["values"]
            for t in range(n):
                one = x[:, t : t + 1]
                k, v = cut(one, "W_k"), cut(one, "W_v")
                keys = k if keys is None else torch.cat((keys, k), 2)
                values = v if values is None else torch.cat((values, v), 2)
                weights = torch.softmax(cut(one, "W_q") @ keys.mT * (d // heads) ** -0.5, -1)
                outputs.append(torch.cat((weights @ values).unbind(1), dim=-1))
            output = torch.cat(outputs, 1) @ parameters["W_o"]
            return {"output": output, "cache": {"keys": keys, "values": values}}


        def generation_cost(prompt, new, layers, d, cached):
            tokens = scores = kept = 0
            for call in range(new):
                text = prompt + call
                n = text if not cached or call == 0 else 1
                tokens += n
                scores += n * text
                kept = 2 * layers * d * text if cached else 0
            return {"tokens": tokens, "scores": scores, "kept": kept}
    """,
    "an empty cache": """
        def attend_cached(parameters, x, cache, heads):
            B, n, d = x.shape
            if cache is None:
                empty = x.new_zeros(B, heads, 0, d // heads)
                cache = {"keys": empty, "values": empty}
            q, k, v = (
                torch.einsum("bnd,dhk->bhnk", x, parameters[name].view(d, heads, d // heads))
                for name in ("W_q", "W_k", "W_v")
            )
            k = torch.cat([cache["keys"], k], dim=-2)
            v = torch.cat([cache["values"], v], dim=-2)
            m = k.shape[-2]
            e = torch.einsum("bhik,bhjk->bhij", q, k) / (d / heads) ** 0.5
            later = torch.arange(m) > torch.arange(m - n, m)[:, None]
            alpha = e.masked_fill(later, -torch.inf).softmax(-1)
            mixed = torch.einsum("bhij,bhjk->bihk", alpha, v).reshape(B, n, d)
            return {"output": mixed @ parameters["W_o"], "cache": {"keys": k, "values": v}}


        def generation_cost(prompt, new, layers, d, cached):
            m = np.arange(prompt, prompt + new)
            if cached:
                read = int(m[-1])
                scores = int(m.sum()) - prompt + prompt * prompt
                return {"tokens": read, "scores": scores, "kept": read * d * layers * 2}
            return {"tokens": int(m.sum()), "scores": int((m**2).sum()), "kept": 0}
    """,
    "closed formulas": """
        def attend_cached(parameters, x, cache, heads):
            cut = [
                (x @ parameters[name]).unflatten(2, (heads, -1)).movedim(2, 1)
                for name in ("W_q", "W_k", "W_v")
            ]
            if cache is not None:
                cut[1] = torch.cat([cache["keys"], cut[1]], 2)
                cut[2] = torch.cat([cache["values"], cut[2]], 2)
            query, key, value = cut
            n, m = query.shape[2], key.shape[2]
            bias = query.new_full((n, m), -torch.inf).triu(m - n + 1)
            output = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            output = output.movedim(1, 2).flatten(2) @ parameters["W_o"]
            return {"output": output, "cache": {"keys": key, "values": value}}


        def generation_cost(prompt, new, layers, d, cached):
            def squares(n):
                return n * (n + 1) * (2 * n + 1) // 6

            last = prompt + new - 1
            between = last * (last + 1) // 2 - prompt * (prompt - 1) // 2
            if cached:
                scores = prompt**2 + between - prompt
                return {"tokens": last, "scores": scores, "kept": 2 * layers * last * d}
            return {"tokens": between, "scores": squares(last) - squares(prompt - 1), "kept": 0}
    """,
}


def _gpt(**parts: str) -> str:
    """Model and training of q12, with one part changed."""
    part = {
        "layers": "layers",
        "x": "self.tokens(ids) + self.places(torch.arange(ids.shape[1]))",
        "mask": "torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(1)",
        "dropout": "0.0",
        "output": "nn.Linear(d, vocabulary_size)",
        "logits": "self.output(self.blocks(x, mask=mask))",
        "seed": "torch.manual_seed(seed)",
        "optimizer": "torch.optim.Adam(model.parameters(), learning_rate)",
        "starts": "torch.randint(len(ids) - length, (batch_size, 1))",
        "read": "window[:, :-1]",
        "wanted": "window[:, 1:]",
        "loss": "F.cross_entropy(logits.flatten(0, 1), wanted.flatten())",
        "zero": "optimizer.zero_grad()",
        "backward": "loss.backward()",
        "step": "optimizer.step()",
        "steps": "steps",
        "said": "loss.item()",
        "model": "model.eval()",
        "returned": "losses",
    } | parts
    return f"""
        class GPT(nn.Module):
            def __init__(self, vocabulary_size, d, heads, layers, length):
                super().__init__()
                self.tokens, self.places = nn.Embedding(vocabulary_size, d), nn.Embedding(length, d)
                layer = nn.TransformerEncoderLayer(
                    d, heads, 4 * d, {part["dropout"]}, "gelu", batch_first=True, norm_first=True
                )
                self.blocks = nn.TransformerEncoder(
                    layer, {part["layers"]}, nn.LayerNorm(d), enable_nested_tensor=False
                )
                self.output = {part["output"]}

            def forward(self, ids):
                x = {part["x"]}
                mask = {part["mask"]}
                return {part["logits"]}


        def train_gpt(
            ids, vocabulary_size, d, heads, layers, length, steps, batch_size, learning_rate, seed
        ):
            {part["seed"]}
            model = GPT(vocabulary_size, d, heads, layers, length)
            optimizer = {part["optimizer"]}
            losses = []
            for step in range({part["steps"]}):
                starts = {part["starts"]}
                window = ids[starts + torch.arange(length + 1)]
                read, wanted = {part["read"]}, {part["wanted"]}
                logits = model(read)
                loss = {part["loss"]}
                {part["zero"]}
                {part["backward"]}
                {part["step"]}
                losses.append({part["said"]})
            return {{"model": {part["model"]}, "losses": {part["returned"]}}}
    """


MUTANTS["q12-gpt"] = {
    "not causal": _gpt(mask="None"),
    "mask turned round": _gpt(
        mask="torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril(-1)"
    ),
    "mask lets the next token through": _gpt(
        mask="torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(2)"
    ),
    "no places": _gpt(x="self.tokens(ids)"),
    "always one layer": _gpt(layers="1"),
    "one block for all layers": _gpt(
        output="nn.Linear(d, vocabulary_size); "
        "self.blocks.layers = nn.ModuleList([self.blocks.layers[0]] * layers)"
    ),
    "sees one token": _gpt(
        mask="~torch.eye(ids.shape[1], dtype=torch.bool)",
    ),
    "logits of the last token": _gpt(logits="self.output(self.blocks(x, mask=mask))[:, -1:]"),
    "probabilities": _gpt(logits="self.output(self.blocks(x, mask=mask)).softmax(dim=2)"),
    "softmax over places": _gpt(logits="self.output(self.blocks(x, mask=mask)).log_softmax(dim=1)"),
    "targets not shifted": _gpt(wanted="window[:, :-1]"),
    "targets shifted back": _gpt(read="window[:, 1:]", wanted="window[:, :-1]"),
    "no zero_grad": _gpt(zero="pass"),
    "zero_grad before the step": _gpt(zero="pass", step="optimizer.zero_grad(); optimizer.step()"),
    "no backward": _gpt(backward="pass"),
    "no step": _gpt(step="pass"),
    "gradient ascent": _gpt(backward="(-loss).backward()"),
    "steps too small": _gpt(optimizer="torch.optim.SGD(model.parameters(), learning_rate / 100)"),
    "steps far too large": _gpt(
        optimizer="torch.optim.Adam(model.parameters(), 30 * learning_rate)"
    ),
    "one window for ever": _gpt(starts="torch.zeros(batch_size, 1, dtype=torch.long)"),
    "another seed each time": _gpt(seed="torch.seed()"),
    "one seed for all": _gpt(seed="torch.manual_seed(0)"),
    "training mode with dropout": _gpt(dropout="0.2", model="model.train()"),
    "a new model is returned": _gpt(model="GPT(vocabulary_size, d, heads, layers, length).eval()"),
    "losses in bits": _gpt(said="loss.item() / 0.6931471805599453"),
    "summed losses": _gpt(said="loss.item() * wanted.numel()"),
    "the last loss alone": _gpt(returned="losses[-1:]"),
    "half of the steps": _gpt(steps="steps // 2"),
}
ALTERNATIVES["q12-gpt"] = {
    "torch's encoder, plain Adam": _gpt(),
    "norms last, dropout, a smaller rate": """
        class GPT(nn.Module):
            def __init__(self, vocabulary_size, d, heads, layers, length):
                super().__init__()
                self.embedding = nn.Embedding(vocabulary_size, d)
                self.position = nn.Parameter(0.02 * torch.randn(length, d))
                self.layers = nn.ModuleList(
                    nn.TransformerEncoderLayer(d, heads, 4 * d, 0.05, batch_first=True)
                    for _ in range(layers)
                )
                self.head = nn.Linear(d, vocabulary_size, bias=False)

            def forward(self, ids):
                T = ids.size(1)
                x = self.embedding(ids) + self.position[:T]
                mask = nn.Transformer.generate_square_subsequent_mask(T)
                for layer in self.layers:
                    x = layer(x, src_mask=mask, is_causal=True)
                return self.head(x)


        def train_gpt(
            ids, vocabulary_size, d, heads, layers, length, steps, batch_size, learning_rate, seed
        ):
            generator = torch.Generator().manual_seed(seed)
            torch.manual_seed(seed)
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            model = GPT(vocabulary_size, d, heads, layers, length).to(device)
            optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95))
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, learning_rate, total_steps=steps, pct_start=0.2
            )
            losses = []
            for _ in range(steps):
                starts = torch.randint(len(ids) - length, (batch_size,), generator=generator)
                x = torch.stack([ids[i : i + length] for i in starts]).to(device)
                y = torch.stack([ids[i + 1 : i + length + 1] for i in starts]).to(device)
                loss = F.cross_entropy(model(x).transpose(1, 2), y)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
            model.to("cpu").eval()
            return {"model": model, "losses": losses}
    """,
    "written out, no dropout, tied": """
        class Block(nn.Module):
            def __init__(self, d, heads):
                super().__init__()
                self.heads = heads
                self.norms = nn.ModuleList([nn.LayerNorm(d), nn.LayerNorm(d)])
                self.q, self.k, self.v, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))
                self.ffn = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d))

            def forward(self, x):
                z, T = self.norms[0](x), x.shape[1]
                q, k, v = (
                    one(z).unflatten(2, (self.heads, -1)).transpose(1, 2)
                    for one in (self.q, self.k, self.v)
                )
                scores = q @ k.mT / q.shape[-1] ** 0.5
                scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)
                x = x + self.o((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
                return x + self.ffn(self.norms[1](x))


        class GPT(nn.Module):
            def __init__(self, vocabulary_size, d, heads, layers, length):
                super().__init__()
                self.E = nn.Parameter(torch.randn(vocabulary_size, d) / d**0.5)
                self.P = nn.Parameter(torch.randn(length, d) / d**0.5)
                self.blocks = nn.Sequential(*(Block(d, heads) for _ in range(layers)))
                self.norm = nn.LayerNorm(d)

            def forward(self, ids):
                x = self.blocks(self.E[ids] + self.P[: ids.shape[1]])
                return self.norm(x) @ self.E.T


        def train_gpt(
            ids, vocabulary_size, d, heads, layers, length, steps, batch_size, learning_rate, seed
        ):
            torch.manual_seed(seed)
            rng = np.random.default_rng(seed)
            model = GPT(vocabulary_size, d, heads, layers, length)
            optimizer, losses = torch.optim.Adam(model.parameters(), learning_rate), []
            for _ in range(steps):
                starts = rng.integers(0, len(ids) - length, size=batch_size)
                windows = torch.stack([ids[i : i + length + 1] for i in starts])
                log_p = model(windows[:, :-1]).log_softmax(dim=-1)
                loss = -log_p.gather(2, windows[:, 1:, None]).mean()
                for parameter in model.parameters():
                    parameter.grad = None
                loss.backward()
                optimizer.step()
                losses.append(loss.detach().item())
            return {"model": model.eval(), "losses": losses}
    """,
}
