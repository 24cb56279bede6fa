"""The towers against open_clip's stored answers, in float64: blocks, maps, variants, positions, windows, embeddings."""

import numpy as np
import pytest

import refclip
from refclip import attention, parallel, vit
from refclip.autograd import Tape
from refclip.text import embed_tokens, end_of_text, text_tower
from refclip.tokenizer import tokenize
from refclip.transformer import Dual, stack
from refclip.vit import sliding_windows
from tests import randomclip
from tests.parity_texts import TEXTS

EXACT = {"rtol": 1e-10, "atol": 1e-10}  # float64 on both sides: what is left is the order of summation


@pytest.fixture(scope="module")
def pixels():
    return randomclip.pixels((2, 3, 40, 40), seed=2).astype(np.float64)


@pytest.fixture(scope="module")
def answers(golden):
    return golden("towers")


def test_every_intermediate_of_the_image_tower(small, pixels, answers):
    out = refclip.encode_tokens(small, pixels, layers=[4], trace=True)
    np.testing.assert_allclose(out.trace[0].input, answers["gelu.input"], **EXACT)
    for i in (0, 3):
        seen = out.trace[i]
        np.testing.assert_allclose(seen.attention_map, answers[f"gelu.map{i}"], **EXACT)
        np.testing.assert_allclose(seen.attention, answers[f"gelu.attention{i}"], **EXACT)
        np.testing.assert_allclose(seen.mlp, answers[f"gelu.mlp{i}"], **EXACT)
        np.testing.assert_allclose(seen.output, answers[f"gelu.output{i}"], **EXACT)
    np.testing.assert_allclose(out.patches[4], answers["gelu.patches"], **EXACT)
    np.testing.assert_allclose(out.embedding, answers["gelu.embedding"], **EXACT)


def test_the_class_token_alone_is_the_class_token(small, pixels, answers):
    np.testing.assert_allclose(refclip.encode_image(small, pixels), answers["gelu.embedding"], **EXACT)


def test_quick_gelu(small_folder, pixels, answers):
    clip = refclip.load(small_folder, dtype="float64", activation="quick_gelu")
    np.testing.assert_allclose(refclip.encode_image(clip, pixels), answers["quickgelu.embedding"], **EXACT)
    np.testing.assert_allclose(refclip.encode_text(clip, TEXTS), answers["quickgelu.text_embedding"], **EXACT)


def test_text_tower(small, answers):
    np.testing.assert_allclose(refclip.encode_text(small, TEXTS), answers["gelu.text_embedding"], **EXACT)
    for i, text in enumerate(TEXTS):  # alone, each is cut at its own length
        alone = refclip.encode_text(small, text)
        np.testing.assert_allclose(alone[0], answers["gelu.text_embedding"][i], **EXACT)
    ids = tokenize(TEXTS)
    embedding, trace = text_tower(small.text, embed_tokens(small.text, ids), end_of_text(ids), trace=True)
    np.testing.assert_allclose(embedding, answers["gelu.text_embedding"], **EXACT)
    np.testing.assert_allclose(trace[2].attention_map[:, :, :12, :12], answers["text_map2"], **EXACT)


@pytest.mark.parametrize("variant", attention.VARIANTS)
def test_dual_path(small, pixels, answers, variant):
    out = refclip.encode_tokens(small, pixels, layers=[4], dual=Dual(variant, start=1))
    np.testing.assert_allclose(out.taps[4], answers[f"{variant}.dual3"], **EXACT)
    np.testing.assert_allclose(out.patches[4], answers[f"{variant}.patches"], **EXACT)
    np.testing.assert_allclose(out.embedding, answers["gelu.embedding"], **EXACT)  # the original path is untouched


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(24, 72), (56, 32)])
def test_positions_of_other_sizes(small, answers, mode, antialias, size):
    x = randomclip.pixels((1, 3, *size), seed=3).astype(np.float64)
    tokens = vit.embed(small.vision, x, mode, antialias)
    np.testing.assert_allclose(tokens, answers[f"tokens.{mode}.{antialias}.{size[0]}x{size[1]}"], **EXACT)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("how", ["drop", "mask"])
def test_windows_dropped_and_masked_agree_with_open_clip(small, pixels, answers, k, how):
    out = refclip.encode_windows(small, pixels[:1], sliding_windows((5, 5), k), how=how)
    np.testing.assert_allclose(out, answers[f"windows{k}"], **EXACT)


def test_windows_of_a_batch_are_those_of_its_images(small, pixels):
    windows = sliding_windows((5, 5), 2)
    both = refclip.encode_windows(small, pixels, windows)
    for i in range(2):
        one = refclip.encode_windows(small, pixels[i : i + 1], windows, threads=1)
        np.testing.assert_allclose(both[i], one[0], **EXACT)


def test_single_path_variant_is_not_the_original(small, pixels):
    plain = refclip.encode_image(small, pixels)
    for variant in ("q-q", "k-k", "v-v"):
        other = refclip.encode_image(small, pixels, normalize=False)
        changed = refclip.encode_tokens(small, pixels, variant=variant).embedding
        np.testing.assert_array_equal(plain, other)
        assert np.abs(changed - plain).max() > 0.01


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batch_and_threads_change_nothing(small, threads):
    x = randomclip.pixels((7, 3, 40, 40), seed=5).astype(np.float64)
    together = refclip.encode_image(small, x, threads=threads)
    alone = np.concatenate([refclip.encode_image(small, x[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(together, alone, **EXACT)


@pytest.mark.parametrize("threads", [2, 3])
def test_one_image_shared_out_by_tokens(small, threads):
    """A single image of many tokens is split along them; nothing changes, the dual path and taps included."""
    x = randomclip.pixels((1, 3, 112, 128), seed=6).astype(np.float64)  # 1 + 14 x 16 tokens
    options = {"layers": [2, 4], "dual": Dual("v-v", 1)}
    alone = refclip.encode_tokens(small, x, threads=1, **options)
    shared = refclip.encode_tokens(small, x, threads=threads, **options)
    for layer in (2, 4):
        np.testing.assert_allclose(shared.taps[layer], alone.taps[layer], **EXACT)
        np.testing.assert_allclose(shared.patches[layer], alone.patches[layer], **EXACT)
    np.testing.assert_allclose(shared.embedding, alone.embedding, **EXACT)
    np.testing.assert_allclose(refclip.encode_image(small, x, threads=threads), alone.embedding, **EXACT)
    with parallel.token_threads(225, x, threads) as split:
        assert split is not parallel.whole  # the case is large enough to be split at all


def test_texts_come_back_in_their_order(small):
    texts = [" ".join(["word"] * n) for n in (9, 1, 30, 0, 5, 70, 2, 80)]  # the last is cut at 77 tokens
    together = refclip.encode_text(small, texts, threads=2)
    alone = np.concatenate([refclip.encode_text(small, t) for t in texts])
    np.testing.assert_allclose(together, alone, **EXACT)


def test_normalize_means_what_open_clip_means(small, pixels):
    for raw, unit in (
        (refclip.encode_image(small, pixels), refclip.encode_image(small, pixels, normalize=True)),
        (refclip.encode_text(small, TEXTS), refclip.encode_text(small, TEXTS, normalize=True)),
    ):
        assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.1
        np.testing.assert_allclose(unit, raw / np.linalg.norm(raw, axis=1, keepdims=True), **EXACT)


def test_similarity(small, pixels):
    a, b = refclip.encode_image(small, pixels), refclip.encode_text(small, TEXTS)
    cosine = (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(refclip.similarity(small, a, b), small.logit_scale * cosine, **EXACT)


def test_float32_stays_float32_and_near(small_folder, small, pixels):
    clip = refclip.load(small_folder)
    out = refclip.encode_tokens(clip, pixels.astype(np.float32), layers=[1, 4], dual=Dual(), trace=True)
    exact = refclip.encode_tokens(small, pixels, layers=[1, 4], dual=Dual(), trace=True)
    for a, b in [(out.embedding, exact.embedding), (out.patches[4], exact.patches[4])]:
        assert a.dtype == np.float32
        # four blocks of float32 rounding (6e-8 each operation) on values of order 1
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)
    assert all(x.dtype == np.float32 for seen in out.trace for x in seen)


def test_inputs_are_never_changed(small, pixels):
    before = pixels.copy()
    refclip.encode_tokens(small, pixels, layers=[2], dual=Dual(), trace=True)
    refclip.encode_windows(small, pixels, sliding_windows((5, 5), 2))
    np.testing.assert_array_equal(pixels, before)


def test_the_towers_record_themselves_on_a_tape(small, pixels):
    """The seam for learned prompts: the same text tower, on a Var, gives the same numbers and a tape."""
    ids = tokenize(TEXTS)
    x, ends = embed_tokens(small.text, ids), end_of_text(ids)
    plain, _ = text_tower(small.text, x, ends)
    tape = Tape()
    out, _ = text_tower(small.text, tape.var(x), ends)
    np.testing.assert_array_equal(out.value, plain)
    names = [record.name for record in tape]
    blocks = len(small.text.transformer.blocks)
    assert names.count("attend") == blocks
    assert names.count("gelu") == blocks
    assert names.count("linear") == 4 * blocks
    assert tape.records[-1].out == out.number
    assert "attend" in str(tape)
    whole = Tape()
    image = vit.image_tower(small.vision, whole.var(pixels), layers=[4], dual=Dual("v-v", 2))
    np.testing.assert_allclose(
        image.patches[4].value,
        refclip.encode_tokens(small, pixels, layers=[4], dual=Dual("v-v", 2)).patches[4],
        **EXACT,
    )


def test_tapes_do_not_mix(small):
    x = np.zeros((1, 2))
    with pytest.raises(ValueError, match="two tapes"):
        _ = Tape().var(x) + Tape().var(x)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda c, x: refclip.encode_image(c, x[0]), ValueError, "expected \\[batch, 3"),
        (lambda c, x: refclip.encode_image(c, x[:0]), ValueError, "expected \\[batch, 3"),
        (lambda c, x: refclip.encode_image(c, (x * 0).astype(np.uint8)), TypeError, "not raw bytes"),
        (lambda c, x: refclip.encode_image(c, x.tolist()), TypeError, "NumPy or CuPy"),
        (lambda c, x: refclip.encode_image(c, x[..., :7, :7]), ValueError, "smaller than one patch"),
        (lambda c, x: refclip.encode_tokens(c, x, layers=[5]), ValueError, "from 1 to 4"),
        (lambda c, x: refclip.encode_tokens(c, x, layers=[0]), ValueError, "from 1 to 4"),
        (lambda c, x: refclip.encode_tokens(c, x, dual=Dual("v-v", 4)), ValueError, "blocks 0 to 3"),
        (lambda c, x: refclip.encode_tokens(c, x, variant="v-k"), ValueError, "'q-k', 'q-q'"),
        (lambda c, x: refclip.encode_windows(c, x, sliding_windows((5, 5), 6)), ValueError, "do not fit"),
        (lambda c, x: refclip.encode_windows(c, x, [[0]], how="cut"), ValueError, "'drop' or 'mask'"),
        (lambda c, x: refclip.encode_text(c, np.zeros((1, 78), int)), ValueError, "positions for 77"),
        (lambda c, x: refclip.encode_text(c, np.full((1, 7), 49408)), ValueError, "vocabulary"),
        (lambda c, x: refclip.encode_text(c, [1, 2]), TypeError, "expected strings"),
        (
            lambda c, x: stack(x[:, 0], c.vision.transformer, rows=np.zeros((2, 1), int), trace=True),
            ValueError,
            "either",
        ),
    ],
)
def test_wrong_use_says_what_is_wrong(small, pixels, call, error, says):
    with pytest.raises(error, match=says):
        call(small, pixels)
