"""The tokenizer: every known word is one token, every other word falls apart into bytes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

from transformers import CLIPTokenizer

from inference.mljobs.shapes.vocabulary import known_words

if TYPE_CHECKING:
    from pathlib import Path

WORD_END = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"


def _byte_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte: its own, or one from 256 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters, spare = [], 0x100
    for byte in range(256):
        if byte in printable:
            letters.append(chr(byte))
        else:
            letters.append(chr(spare))
            spare += 1
    return letters


def _split(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """The pieces that byte-pair encoding makes of a word, lowest rank first."""
    pieces = [*word[:-1], word[-1] + WORD_END]
    while len(pieces) > 1:
        pairs = list(pairwise(pieces))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        at = pairs.index(best)
        pieces[at : at + 2] = ["".join(best)]
    return pieces


def merges_for(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Merges, in order, that join each word into one piece.

    A merge added later ranks below all before it, so it cannot change how earlier words join.
    """
    ranks: dict[tuple[str, str], int] = {}
    for word in words:
        pieces = _split(word, ranks)
        while len(pieces) > 1:
            ranks[pieces[0], pieces[1]] = len(ranks)
            pieces[:2] = [pieces[0] + pieces[1]]
    return list(ranks)


def build_tokenizer(folder: Path, caption_tokens: int) -> CLIPTokenizer:
    """Write the tokenizer's files into the folder and load it from there."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = _byte_letters()
    merges = merges_for(known_words())
    tokens = [*letters, *(it + WORD_END for it in letters), *("".join(pair) for pair in merges)]
    tokens = [*dict.fromkeys(tokens), START, END]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        unk_token=END, bos_token=START, eos_token=END, pad_token=END,
        model_max_length=caption_tokens,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    return tokenizer
