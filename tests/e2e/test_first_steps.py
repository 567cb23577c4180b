"""The article's example: seven ratings, reproduced within 0.1, and a picture with both ids."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from matplotlib.image import imread

EXAMPLE = Path(__file__).parents[2] / "examples" / "first_steps.py"
GIVEN = {
    (1, 101): 5, (1, 102): 4, (2, 101): 5, (2, 103): 3, (3, 102): 4, (3, 104): 2, (4, 105): 5,
}  # fmt: skip


def test_the_seven_ratings_come_back(tmp_path: Path) -> None:
    picture = tmp_path / "first_steps.png"
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(picture)], capture_output=True, text=True, check=True
    )
    losses = [float(x) for x in re.findall(r"epoch +\d+: loss ([\d.]+)", done.stdout)]
    assert len(losses) == 10
    assert losses[-1] < losses[0] < 0.1
    numbers = [[float(x) for x in row.split()] for row in re.findall(r"\[([\d. ]+)\]", done.stdout)]
    shown, predicted = np.array(numbers[:4]), np.array(numbers[4:])
    assert predicted.shape == (4, 5)
    for (user, item), stars in GIVEN.items():
        assert shown[user - 1, item - 101] == stars
        assert abs(predicted[user - 1, item - 101] - stars) < 0.1
    assert imread(picture).shape[1] > 400


def test_it_fits_on_a_page() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 25
