"""Seven ratings, a factorisation, every rating predicted, and a picture of it."""

import sys

from endcap.evaluate.block import block
from endcap.evaluate.heatmap import heatmap
from endcap.models.biased_mf import BiasedMF
from endcap.prepare.dataset import Dataset

RATINGS = "1,101,5 1,102,4 2,101,5 2,103,3 3,102,4 3,104,2 4,105,5"
users, items, stars = zip(*(rating.split(",") for rating in RATINGS.split()), strict=True)
data = Dataset.of(users, items, values=[float(s) for s in stars])
print(data.matrix("value").toarray())  # the user x item table; 0 is unknown


def show(done: int, total: int, note: str = "") -> None:
    print(f"epoch {done:4}: {note}\n" if done % 100 == 0 else "", end="")


model = BiasedMF(solver="adam", factors=3, learning_rate=0.01, epochs=1000).fit(data, 0, show)
said = block(model, data)
print(said.values.round(2))
picture = heatmap(said.values, said.users, said.items, "predicted ratings")
picture.savefig(sys.argv[1] if len(sys.argv) > 1 else "first_steps.png")
