"""The answers that notebooks 01 and 02 read are still open_clip's."""

from __future__ import annotations

import numpy as np

from notebooks import answers


def test_the_kept_answers_are_open_clips():
    now = answers.build()
    with np.load(answers.PATH) as kept:
        assert set(kept.files) == set(now)
        for name, value in now.items():
            if name in ("image", "text"):
                # float64 on both sides: what is left is the order of summation
                np.testing.assert_allclose(kept[name], value, rtol=0, atol=1e-12)
            else:
                np.testing.assert_array_equal(kept[name], value)


def test_the_answers_hang_on_what_they_should():
    """Random numbers that open_clip did not use would make an answer that proves nothing."""
    with np.load(answers.PATH) as kept:
        # entries are about 0.7 in size; two pictures differ by 0.4 in some, two texts by 1.8
        assert not np.allclose(kept["image"][0], kept["image"][1], atol=0.1)
        assert not np.allclose(kept["text"][0], kept["text"][3], atol=0.1)
        biases = [kept[name] for name in kept.files if name.endswith("bias")]
        assert biases
        assert all(np.abs(b).max() > 0.05 for b in biases)
