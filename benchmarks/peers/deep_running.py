"""Time another library's SASRec in training; runs in that library's own environment.

    python deep_running.py LIBRARY GIVEN.npz SETTINGS

The last line printed is JSON: real tokens (events foreseen, padding left out), steps and seconds.
"""

import json
import sys
import time

import numpy as np

BATCH = 128
WARM_UP = 3
"""Steps that are not counted."""


class Stopwatch:
    """Counts what lies between the steps after the warm-up until the time is over."""

    def __init__(self, seconds):
        self.seconds, self.steps, self.tokens = seconds, -WARM_UP, 0
        self.begun = None

    def step(self, tokens):
        """Count a step; return whether the time is over."""
        self.steps += 1
        if self.steps == 0:
            self.begun = time.perf_counter(), time.process_time()
            return False
        if self.steps < 0:
            return False
        self.tokens += int(tokens)
        return time.perf_counter() - self.begun[0] > self.seconds

    def figures(self):
        """Return what was counted."""
        wall, cpu = time.perf_counter() - self.begun[0], time.process_time() - self.begun[1]
        return {
            "tokens_per_s": self.tokens / wall,
            "tokens_per_cpu_s": self.tokens / cpu,
            "tokens": self.tokens,
            "steps": self.steps,
        }


def rectools(indptr, items, asked):
    """RecTools' SASRec with its full softmax, a batch of 128 padded sequences."""
    import pandas as pd
    from pytorch_lightning import Callback, Trainer
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    watch = Stopwatch(asked["seconds"])

    class Count(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, at):
            if watch.step((batch["yw"] != 0).sum()):
                trainer.should_stop = True

    def trainer():
        return Trainer(
            max_epochs=100, min_epochs=0, accelerator="cpu", logger=False, callbacks=[Count()],
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip

    users = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    frame = pd.DataFrame({Columns.User: users, Columns.Item: items, Columns.Weight: 1.0})
    frame[Columns.Datetime] = pd.to_datetime(np.arange(len(items)), unit="s")
    SASRecModel(
        n_blocks=asked["layers"], n_heads=asked["heads"], n_factors=asked["width"],
        session_max_len=asked["max_events"], dropout_rate=asked["dropout"], batch_size=BATCH,
        get_trainer_func=trainer,
    ).fit(Dataset.construct(frame))  # fmt: skip
    return watch.figures()


def recbole(indptr, items, asked):
    """RecBole's SASRec with cross entropy: a padded row for each prefix, one event foreseen each.

    Only the loss and its steps are timed, without RecBole's trainer around them.
    """
    from pathlib import Path

    import torch

    for gone, still in (("float_", "float64"), ("complex_", "complex128"), ("unicode_", "str_")):
        setattr(np, gone, getattr(np, still))  # NumPy 2 dropped these names
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.sequential_recommender import SASRec
    from recbole.utils import init_seed

    folder = Path("given")
    folder.mkdir()
    with (folder / "given.inter").open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for user in range(len(indptr) - 1):
            for at in range(indptr[user], indptr[user + 1]):
                file.write(f"{user}\t{items[at]}\t{at}\n")
    sys.argv = sys.argv[:1]
    config = Config(
        model="SASRec", dataset="given",
        config_dict={
            "data_path": ".", "seed": asked["seed"], "use_gpu": False, "gpu_id": "",
            "train_batch_size": 16 * BATCH, "train_neg_sample_args": None, "loss_type": "CE",
            "MAX_ITEM_LIST_LENGTH": asked["max_events"], "n_layers": asked["layers"],
            "n_heads": asked["heads"], "hidden_size": asked["width"],
            "inner_size": 4 * asked["width"], "hidden_dropout_prob": asked["dropout"],
            "attn_dropout_prob": asked["dropout"], "show_progress": False,
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "worker": 0,
        },
    )  # fmt: skip
    init_seed(config["seed"], True)
    data = create_dataset(config)
    train, _, _ = data_preparation(config, data)
    model = SASRec(config, train.dataset)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    watch = Stopwatch(asked["seconds"])
    while True:
        for rows in train:
            optimiser.zero_grad()
            model.calculate_loss(rows).backward()
            optimiser.step()
            if watch.step(len(rows)):
                return watch.figures()


if __name__ == "__main__":
    name, given, settings = sys.argv[1:]
    with np.load(given) as stored:
        columns = stored["indptr"], stored["items"]
    print(
        json.dumps({"rectools": rectools, "recbole": recbole}[name](*columns, json.loads(settings)))
    )
