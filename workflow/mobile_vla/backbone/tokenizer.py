"""A tokenizer for random backbones, trained on a few sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from transformers import XLMRobertaTokenizer

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # in the order of Kosmos-2's own vocabulary
PRINTABLE = tuple(map(chr, range(33, 127)))  # whatever is not a known word is spelt with these
SPELLING = -20.0  # log-probability of a letter: any known word is likelier than its spelling


def train_tokenizer(corpus: Sequence[str]) -> XLMRobertaTokenizer:
    """Train a unigram tokenizer, of the class that Kosmos-2 uses, on a corpus of sentences.

    Its pieces are the corpus's words, with the logarithm of their share as score, and single
    characters. (The trainer of `tokenizers` gives other scores and pieces from call to call on so
    small a corpus, and cuts its words into letters: prompts four times as long.)
    """
    counts = Counter("▁" + word for sentence in corpus for word in sentence.split())
    total = sum(counts.values())
    characters = sorted({*PRINTABLE, *(letter for word in counts for letter in word)} - {"▁"})
    words = [(word, math.log(count / total)) for word, count in sorted(counts.items())]
    return XLMRobertaTokenizer(
        vocab=[
            *((piece, 0.0) for piece in SPECIAL),
            *words,
            ("▁", SPELLING),
            *((character, SPELLING) for character in characters if character not in counts),
        ]
    )
