"""Predict folds of ratings with another library, in its own environment.

python ratings_running.py MODEL GIVEN.npz TAKEN.npz
"""

import json
import sys
import time

import numpy as np


def surprise(kind, settings):
    """Surprise's SVD or SVD++ with the settings found best on this data by their documentation."""

    def predict(user, item, value, train, test):
        import surprise as library

        reader = library.Reader(rating_scale=(value.min(), value.max()))
        columns = [column[train].tolist() for column in (user, item, value)]
        rows = [(*row, None) for row in zip(*columns, strict=True)]
        model = getattr(library, kind)(random_state=0, **settings)
        model.fit(library.Dataset(reader).construct_trainset(rows))
        pairs = zip(user[test].tolist(), item[test].tolist(), strict=True)
        return np.array([model.predict(u, i).est for u, i in pairs])

    return predict


def lenskit(user, item, value, train, test):
    """LensKit's biased matrix factorisation by ALS."""
    import pandas as pd
    from lenskit.als import BiasedMFScorer
    from lenskit.data import ItemList, from_interactions_df

    frame = pd.DataFrame({"user_id": user, "item_id": item, "rating": value})
    model = BiasedMFScorer(embedding_size=50, regularization=0.1, epochs=20)
    model.train(from_interactions_df(frame[train]))
    out = np.full(len(value), value[train].mean())
    for who, rows in frame[test].groupby("user_id"):
        out[rows.index] = model(who, ItemList(item_ids=rows["item_id"].to_numpy())).scores("numpy")
    return np.clip(np.nan_to_num(out[test], nan=value[train].mean()), value.min(), value.max())


MODELS = {
    "surprise-svd": surprise(
        "SVD", {"n_factors": 100, "n_epochs": 40, "lr_all": 0.01, "reg_all": 0.1}
    ),
    "surprise-svdpp": surprise("SVDpp", {}),
    "lenskit-biased-mf": lenskit,
}


def main(model, given, taken):
    """Predict every fold; the last line printed is JSON with the CPU seconds of one fold."""
    with np.load(given) as stored:
        tests = stored["tests"]
        columns = [stored[name] for name in ("user", "item", "value")]
    start = time.process_time()
    found = {f"fold{n}": MODELS[model](*columns, ~test, test) for n, test in enumerate(tests)}
    cpu_s = (time.process_time() - start) / len(tests)
    np.savez(taken, **found)
    print(json.dumps({"cpu_s": cpu_s}))


if __name__ == "__main__":
    main(*sys.argv[1:])
