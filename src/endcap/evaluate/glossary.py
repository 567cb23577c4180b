"""What each measure means, in words a shopkeeper can use; English and Chinese."""

from typing import Final, NamedTuple


class Entry(NamedTuple):
    """One measure: its headings, what it says, and which way is better (1, -1, 0: a balance)."""

    en: str
    zh: str
    text: str
    text_zh: str
    better: int = 1


GLOSSARY: Final[dict[str, Entry]] = {
    "ndcg": Entry(
        "NDCG",
        "归一化折损累计增益",
        "How well the list is ordered: a hit counts more the higher it stands. 1 is a perfect "
        "list. Models are ranked by it.",
        "衡量排序质量：命中越靠前得分越高，1 为完美列表。模型按此排名。",
    ),
    "recall": Entry(
        "Recall",
        "召回率",
        "Of what the shopper went on to take, the share that stood in the list.",
        "顾客之后实际选择的商品中，出现在列表里的比例。",
    ),
    "precision": Entry(
        "Precision",
        "精确率",
        "Share of the list's places that the shopper went on to take.",
        "列表位置中被顾客实际选择的比例。",
    ),
    "map": Entry(
        "MAP",
        "平均精确率均值",
        "Precision at each hit, averaged over all the shopper took; strict about late hits.",
        "在每次命中处计算精确率，再对全部目标取平均；对靠后的命中较严格。",
    ),
    "mrr": Entry(
        "MRR",
        "平均倒数排名",
        "One over the place of the first hit: how far a shopper reads before something fits.",
        "首个命中位置的倒数：顾客要看多远才遇到合适的商品。",
    ),
    "hit": Entry(
        "Hit rate",
        "命中率",
        "Share of shoppers with at least one hit in their list.",
        "列表中至少命中一件的顾客比例。",
    ),
    "coverage": Entry(
        "Coverage",
        "覆盖率",
        "Share of the catalogue that is shown to anybody at all.",
        "至少向一位顾客展示过的商品占全部商品的比例。",
    ),
    "gini": Entry(
        "Gini of exposure",
        "曝光基尼系数",
        "How unequally exposure is shared out: 0 is every item alike, 1 is one item for everyone.",
        "曝光分配的不均程度：0 为完全平均，1 为只展示同一件商品。",
        -1,
    ),
    "novelty": Entry(
        "Novelty",
        "新颖度",
        "How little known the items are, in bits: each bit more is half as many owners.",
        "商品的冷门程度（比特）：每多 1 比特，拥有者减半。",
        0,
    ),
    "popular_share": Entry(
        "Share of bestsellers",
        "热门占比",
        "Share of the places taken by the best selling fifth of the items.",
        "列表中由最畅销的五分之一商品占据的比例。",
        0,
    ),
    "diversity": Entry(
        "Diversity",
        "列表多样性",
        "How unlike each other the items of one list are, by title, brand and category: 0 the "
        "same, 1 nothing in common.",
        "同一列表中商品（标题、品牌、类目）彼此的差异：0 为相同，1 为毫无共同点。",
        0,
    ),
    "miscalibration": Entry(
        "Miscalibration",
        "校准偏差",
        "How far the list's mix of categories (or price classes) is from the shopper's own past: "
        "0 is the same mix.",
        "列表的类目（或价位）构成与顾客历史的差距：0 为完全一致。",
        -1,
    ),
    "rmse": Entry(
        "RMSE",
        "均方根误差",
        "Typical error of a predicted rating, in stars; large errors weigh more.",
        "预测评分的典型误差（星），大误差权重更高。",
        -1,
    ),
    "mae": Entry(
        "MAE",
        "平均绝对误差",
        "Average error of a predicted rating, in stars.",
        "预测评分的平均误差（星）。",
        -1,
    ),
}
"""Every measure by the name it has before the ``@``, in the order of reports."""
