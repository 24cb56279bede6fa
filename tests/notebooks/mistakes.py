"""One plausible mistake for each exercise: what to replace in its solution, and by what."""

MISTAKES = {
    "00_the_whole_idea": [
        ("np.exp(cosines / temperature)", "np.exp(cosines * temperature)"),
        ("return mean / np.linalg.norm(mean)", "return mean"),
        (
            "p.reshape(side, side).repeat(patch, axis=0).repeat(patch, axis=1)",
            "np.tile(p.reshape(side, side), (patch, patch))",
        ),
    ],
    "01_clip_from_scratch": [
        ("x.transpose(0, 2, 4, 1, 3, 5)", "x.transpose(0, 2, 4, 3, 5, 1)"),  # colours last
        ("x.var(axis=-1, keepdims=True)", "x.var(axis=-1, keepdims=True, ddof=1)"),  # torch's variance
        ("np.sqrt(d // heads)", "np.sqrt(d)"),  # the tower's width in place of the head's
        ("norms = 2 * 2 * d", "norms = 2 * d"),  # gains without biases
        ("middle = x[:1] + heard", "middle = heard"),  # the stream forgotten
    ],
    "02_text": [
        ("best = min(pairs, key=rank.get)", "best = pairs[0]"),  # from left to right
        ("column <= row", "column < row"),  # a token that does not see itself
        ("x[np.arange(len(ids)), ids.argmax(axis=1)]", "x[:, -1]"),  # the last of the 77
        ("for state in states for template in templates", "for template in templates for state in states"),
        ("if normalize_first:", "if not normalize_first:"),
    ],
    "03_attention_variants": [
        (" / np.sqrt(left.shape[1])", ""),  # no scale
        ("(weights * apart).sum(axis=1)", "(weights * apart).sum(axis=0)"),  # who is read, in place of who reads
        ("heads, variant=variant)", 'heads, variant="q-k")'),
        ("depth * 5 / 24", "depth * 6 / 24"),  # the 6th, counted from 1
    ],
    "04_winclip": [
        ("range(gh - k + 1)", "range(gh - k)"),  # the last row of windows forgotten
        ("1 / np.mean(1 / np.maximum(scores, 1e-30))", "1 / np.mean(1 / (scores + 0.01))"),  # a floor that moves all
        ("return count / total", "return total / count"),  # the mean of one over each, not turned back
        (">= threshold:", "> threshold + 0.1:"),
        (".max(axis=1)) / 2", ".mean(axis=1)) / 2"),  # the mean reference, not the nearest
        ("together.max()", "together.mean()"),
    ],
    "05_gradients_by_hand": [
        ("g_rows.T @ x_rows", "x_rows.T @ g_rows"),  # the weight's transpose
        ("(g * y).sum(axis=-1, keepdims=True)", "g.sum(axis=-1, keepdims=True)"),
        ("phi(x) + x *", "phi(x) +"),  # the density without its factor
        ("/ (2 * h)", "/ h"),
        ("if n == 1), keepdims=True)", "if n == 1), keepdims=True) / g.size"),  # a mean, not a sum
        ("np.add.at(found, slots, g)", "found[slots] += g"),  # a slot that comes twice counts once
    ],
    "06_anomalyclip": [
        ("x[:, 1 + m :]", "x[:, m:]"),  # the start forgotten
        ("(cosine[..., 0] - cosine[..., 1]) / tau", "(cosine[..., 1] - cosine[..., 0]) / tau"),  # p(normal)
        ("np.where(mask > 0, p[:, 1], p[:, 0])", "p[:, 1]"),  # p(abnormal) of every pixel
        (
            "return float(1 - ratio.mean())",
            "return float(1 - (2 * (x * t).sum() + 1) / (x.sum() + t.sum() + 1))",  # the batch as one picture
        ),
        ("losses.dice(p[:, 0], 1 - mask)", "losses.dice(p[:, 0], mask)"),
    ],
    "07_clip_ada": [
        ("(1 - beta) * texture + beta * image", "beta * texture + (1 - beta) * image"),
        (".mean(axis=(1, 3))", ".any(axis=(1, 3)).astype(float)"),
        ("np.maximum(z, 0)", "z"),
        (
            'resize(s, x.shape[2:], "bilinear")[:, None]',
            "s.repeat(x.shape[2] // s.shape[1], 1).repeat(x.shape[3] // s.shape[2], 2)[:, None]",  # blocks
        ),
        ("flat[:, -count:].mean(axis=1)", "flat[:, -count]"),  # the lowest of the highest
    ],
    "08_dual_image_clip": [
        ("np.concatenate(references)", "references[0]"),  # the first reference alone
        (
            "cosines.max(axis=1) - cosines[:, ~damaged].max(axis=1)",
            "cosines[:, ~damaged].max(axis=1) - cosines.max(axis=1)",
        ),  # the sign of a distance
        (
            "of_visual * visual.max(axis=1) + of_language * language.max(axis=1)",
            "(of_visual * visual + of_language * language).max(axis=1)",
        ),  # one maximum of the sum
        ("(mask > 0).sum()", "len(mask)"),  # all patches in place of S_a
        ("(direction - along[:, None] * u)", "direction"),  # the length of z taken for a constant
        ("-(-length // tile)", "length // tile"),  # rounded down
    ],
    "09_metrics": [
        (" + 0.5 * (abnormal == normal)", ""),  # equal scores lose
        ("(np.diff(recall, prepend=0) * precision).sum()", "np.trapezoid(precision, recall)"),
        ("(called + truth.sum())", "(called + len(truth))"),
        ("np.mean(shares)", "np.median(shares)"),
        ("np.trapezoid(y, x) / limit", "np.trapezoid(y, x)"),  # not divided
    ],
    "10_fast_numpy": [
        ("2 * (2 * n * n * d)", "2 * n * n * d"),  # scores without the weighted values
        ("np.exp(-x * r)", "np.exp(x * r)"),
        ("q[some] @ k.T", "q[some] @ k[some].T"),  # keys cut, too
        (".astype(x.dtype)[:, None]", "[:, None]"),  # float64
        ("(1 / speedup - 1 / threads) / (1 - 1 / threads)", "1 / speedup - 1 / threads"),
    ],
    "11_your_own_images": [
        ("alpha * (len(scores) + 1)", "alpha * len(scores)"),
        ("range(k))", "range(k + 1))"),  # one term too many
        ("math.log(1 - confidence) / math.log(1 - rate)", "math.log(confidence) / math.log(1 - rate)"),
        ("d[every, every] = np.inf", "d[every, every] = 0"),  # each beside itself
        ("(1 - rare) * false", "false"),
    ],
}
