"""The training recipe's batches: what a caption says is true of what is visible, and held-out words stay out."""

import numpy as np
import pytest
from recipe import camera, captions, defects, pairs, scenes, state_words
from recipe.pairs import GRID, LEAST_DAMAGED, MOST_FLAWLESS, PART, PATCH, WINDOWS
from threadpoolctl import threadpool_limits

from refclip.prompts import STATES, TEMPLATES
from refclip.tokenizer import decode


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Products this small are slower when BLAS shares them out."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def pictures():
    """Two cut-outs, a disc and a square, and one photograph, of noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    things = rng.integers(60, 200, (2, 128, 128, 4), dtype=np.uint8)
    things[0, ..., 3] = 255 * (np.hypot(y - 64, x - 64) < 60)
    things[1, ..., 3] = 255 * (np.maximum(abs(y - 64), abs(x - 64)) < 50)
    photo = rng.integers(0, 255, (1, 256, 256, 3), dtype=np.uint8)
    return scenes.Pictures(things, np.array(["disc", "square"]), np.array(["", "flat"]), photo, np.array(["gravel"]))


@pytest.fixture(scope="module")
def batch(pictures):
    return pairs.batch(np.random.default_rng(5), pictures, 12, extra=7)


def said(ids):
    return [decode(row[1 : row.argmax()].tolist()).strip() for row in ids]


def test_shapes(batch):
    assert batch.images.shape == (24, 120, 120, 3)
    assert batch.images.dtype == np.uint8
    assert batch.captions.shape == (31, 77)
    assert batch.same.shape == (24, 31)
    assert batch.prompts.shape == (13 * 2 * pairs.PROMPTS, 77)
    for side, m in (*WINDOWS.items(), (PART, 1), (GRID, 1)):
        assert batch.truth[side].shape == (24, m)
        assert batch.corners[side].shape == (24, m, 2)
        assert batch.corners[side].min() >= 0
        assert batch.corners[side].max() <= GRID - side


def test_truth_is_what_the_window_shows(batch):
    check_truth(batch)


def check_truth(batch):
    for side in (*WINDOWS, PART, GRID):
        for i in range(24):
            for truth, (y, x) in zip(batch.truth[side][i], batch.corners[side][i], strict=True):
                visible = batch.cover[i, y : y + side, x : x + side].sum()
                if visible >= LEAST_DAMAGED[side] * (side * PATCH) ** 2:
                    assert truth == 1
                else:
                    assert truth == (0 if visible < MOST_FLAWLESS else -1)


def test_cells_and_patches_tell_the_same(batch):
    """A cell has four pixels: a patch with a damaged cell has two damaged pixels or more, a patch without has few."""
    damaged = (batch.fine == 1).sum(-1)
    cover = batch.cover.reshape(24, -1)
    assert (cover >= 2 * damaged).all()
    assert (cover <= 4 * damaged + (batch.fine == -1).sum(-1)).all()
    assert batch.thing.min() >= 0
    assert batch.thing.max() <= 1


def test_cells_lie_patch_by_patch():
    x = np.arange(2 * 60 * 60, dtype=np.float32).reshape(2, 60, 60)
    cells = pairs._cells(x)
    for row, column in ((0, 0), (3, 14), (14, 2)):
        at = x[1, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        np.testing.assert_array_equal(cells[1, row * GRID + column], at.ravel())


def test_plain_defects_are_large_and_strong(pictures):
    rng, found = np.random.default_rng(8), 0
    for _ in range(6):
        shot = scenes.draw(rng, pictures, pairs.IMAGE)
        scene = defects.Scene(shot.image, shot.inside, shot.ground, shot.other)
        damage = pairs._damage(rng, scene, plain=True)
        if damage is not None:
            found += 1
            assert damage.mask.sum() >= pairs.PLAIN_AREA * pairs.IMAGE**2
            assert np.abs(damage.image - shot.image).max(-1)[damage.mask].mean() >= pairs.PLAIN_CHANGE
    assert found >= 2


def test_flawless_first_and_the_same_places(batch):
    assert not batch.cover[:12].any()
    assert all((batch.truth[side][:12] == 0).all() for side in batch.truth)
    for side in WINDOWS:
        np.testing.assert_array_equal(batch.corners[side][:12], batch.corners[side][12:])


def test_windows_of_both_kinds(batch):
    for side in WINDOWS:
        assert (batch.truth[side] == 1).sum() >= 3
        assert (batch.truth[side][12:] == 0).sum() >= (3 if side < 6 else 0)


def test_a_caption_is_true_of_its_own_picture(batch):
    assert batch.same.diagonal().all()
    assert not batch.same[:12, 12:24].diagonal().any() or (batch.truth[GRID][12:, 0] != 1).any()


def test_prompts_are_flawless_then_damaged(pictures, monkeypatch):
    """With the papers' words alone, whose two lists share none: every prompt speaks of the state of its place."""
    monkeypatch.setattr(captions, "MORE_WORDS", 0)
    monkeypatch.setattr(captions, "NOTHING_SAID", 0)
    batch = pairs.batch(np.random.default_rng(5), pictures, 12, extra=0)
    words = [w.replace("{}", "").strip() for w in captions.STATES.abnormal]
    for i, text in enumerate(said(batch.prompts)):
        damaged = (i // pairs.PROMPTS) % 2 == 1
        speaks = any(f" {w}" in f" {text}" for w in [*words, "anomalous"])
        assert speaks == damaged, text


def test_same_rng_same_batch(pictures):
    one, two = (pairs.batch(np.random.default_rng([3, 1]), pictures, 2, extra=2) for _ in range(2))
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.captions, two.captions)
    np.testing.assert_array_equal(one.cover, two.cover)
    other = pairs.batch(np.random.default_rng([3, 2]), pictures, 2, extra=2)
    assert (one.images != other.images).any()


def test_the_damage_is_where_the_cover_says(pictures):
    """Unphotographed, the two copies differ inside the mask alone; photographed, most inside it."""
    rng = np.random.default_rng(2)
    inside, outside = [], []
    for _ in range(20):
        flawless, damaged = pairs.pair(rng, pictures, moved=0)
        change = np.abs(flawless.image.astype(float) - damaged.image).mean(-1)
        change = change.reshape(GRID, PATCH, GRID, PATCH).mean((1, 3))
        change -= np.median(change)  # light and white balance
        if (damaged.cover > 32).any():
            inside.append(change[damaged.cover > 32].mean())
            outside.append(change[damaged.cover == 0].mean())
    assert len(inside) > 8
    assert np.mean(inside) > np.mean(outside) + 5  # greys; sensor noise moves a patch's mean by less than 1


def test_the_flawless_copy_may_lie_otherwise(pictures):
    """Where it does, the thing covers other pixels, about as many of them; where it does not, the same ones."""
    shares = []
    for seed in range(12):
        flawless, damaged = pairs.pair(np.random.default_rng(seed), pictures, moved=0)
        np.testing.assert_array_equal(flawless.thing, damaged.thing)
        flawless, damaged = pairs.pair(np.random.default_rng(seed), pictures, moved=1)
        if damaged.thing.min() < 1:  # not a surface
            assert (flawless.thing != damaged.thing).any()
            shares.append((flawless.thing.mean(), damaged.thing.mean()))
    ours, theirs = np.array(shares).T
    assert len(shares) >= 4
    assert np.abs(ours - theirs).max() < 0.25  # of the picture; four tries come no nearer to a close-up
    assert abs(ours.mean() - theirs.mean()) < 0.06  # and neither copy shows more of the thing than the other


def test_a_surface_that_lies_otherwise_has_the_same_pixels(pictures):
    rng = np.random.default_rng(3)
    whole = slice(0, pairs.IMAGE), slice(0, pairs.IMAGE)
    shots = [shot for shot in (scenes.draw(rng, pictures, pairs.IMAGE) for _ in range(12)) if shot.surface]
    assert len(shots) >= 2
    for shot in shots:
        turned = scenes.again(rng, pictures, shot, whole)
        np.testing.assert_array_equal(np.sort(turned.image, axis=None), np.sort(shot.image, axis=None))


def test_held_out_words_are_the_papers_and_are_never_said():
    papers = [w for states in STATES.values() for part in states for w in part]
    held = [*captions.HELD_STATES.normal, *captions.HELD_STATES.abnormal]
    assert set(held) <= set(papers)
    assert set(captions.HELD_TEMPLATES) <= {t for templates in TEMPLATES.values() for t in templates}
    rng = np.random.default_rng(0)
    texts = [captions.caption(rng, "cup", bool(i % 2)) for i in range(4000)]
    texts += [captions.question(rng, "cup", bool(i % 2)) for i in range(8000)]
    texts += [captions.kind_caption(rng, "cup", (("cracked", "a crack"),)) for _ in range(1000)]
    stems = [t.split("{}") for t in captions.HELD_TEMPLATES]
    for text in texts:
        assert not any(w.replace("{}", "cup") in text for w in held), text
        assert not any(text.startswith(a) and text.endswith(b) for a, b in stems), text
        assert not {*state_words.HELD["flawless"], *state_words.HELD["damaged"]} & set(text.strip(".").split()), text


def test_the_two_states_share_no_words():
    flawless = {*state_words.FLAWLESS, *state_words.IN_FLAWLESS_STATE, *captions.STATES.normal}
    damaged = {*state_words.DAMAGED, *state_words.ONLY_ASKED, *state_words.IN_DAMAGED_STATE, *captions.STATES.abnormal}
    assert not flawless & damaged
    assert not {*state_words.ANY_DAMAGE} & {*state_words.KINDS_OF_DAMAGE}


def test_state_words_say_the_state_that_was_asked_for():
    """Said of a picture, no word for a kind of damage, which may be untrue of it; "without" and "not" turn round."""
    rng = np.random.default_rng(1)
    kinds = {*state_words.ONLY_ASKED, *state_words.KINDS_OF_DAMAGE}
    heard = {False: set(), True: set()}
    for i in range(6000):
        damaged, asked = bool(i % 2), i % 4 > 1
        text = state_words.state(rng, damaged, asked)
        assert text.count("{}") == 1
        phrase = text in (state_words.IN_DAMAGED_STATE if damaged else state_words.IN_FLAWLESS_STATE)
        before, _, behind = text.partition("{}")
        if phrase:
            continue
        if before.strip() or (behind.startswith(" that is") and "not" not in behind):
            word = before.strip() or behind.removeprefix(" that is ")
            of = (state_words.DAMAGED + state_words.ONLY_ASKED) if damaged else state_words.FLAWLESS
        elif " that is not " in behind:
            word = behind.removeprefix(" that is not ")
            of = state_words.NEGATED_FLAWLESS if damaged else state_words.NEGATED_DAMAGED
        else:
            lacking = behind.startswith((" without", " with no", " free"))
            assert lacking != damaged, text
            word = next(w for w in (*state_words.ANY_DAMAGE, *state_words.KINDS_OF_DAMAGE) if behind.endswith(f" {w}"))
            of = (*state_words.ANY_DAMAGE, *state_words.KINDS_OF_DAMAGE)
        assert word in of, text
        if damaged and not asked:
            assert word not in kinds, text
        heard[damaged].add(word)
    assert heard[True] >= {*state_words.DAMAGED, *state_words.ONLY_ASKED, *state_words.NEGATED_FLAWLESS}
    assert heard[False] >= {*state_words.FLAWLESS, *state_words.NEGATED_DAMAGED}


def test_words_that_say_nothing_are_of_no_list():
    rng = np.random.default_rng(2)
    for _ in range(2000):
        word = state_words.says_nothing(rng).removesuffix(" {}")
        assert word not in state_words.speaking()
    of_each_list = {"damaged", "normal", "flawless", "bent", "decay", "condition", "pristine", "cracked", "corrosion"}
    assert of_each_list <= state_words.speaking()


def test_camera_keeps_the_picture():
    rng = np.random.default_rng(1)
    image = np.linspace(0, 1, 120, dtype=np.float32)[:, None, None] * np.ones((1, 120, 3), np.float32)
    before = image.copy()
    for grey in (False, True):
        shots = [camera.shoot(rng, image, grey=grey) for _ in range(30)]
        assert all(s.shape == (120, 120, 3) and s.dtype == np.uint8 for s in shots)
        assert all(np.corrcoef(s.mean(-1).ravel(), image[..., 0].ravel())[0, 1] > 0.9 for s in shots)
        if grey:  # JPEG's colour transform may round a grey by one level
            assert max(int(np.ptp(s.astype(int), axis=-1).max()) for s in shots) <= 1
    np.testing.assert_array_equal(image, before)
