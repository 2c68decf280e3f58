"""Chinese translations of what a reader must know first, with the English sentences as keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from introspect.app.chinese import LANGUAGES

#: Notices of records and pages; ``{}`` stands for what is kept.
NOTICES: Mapping[str, str] = MappingProxyType(
    {
        "The text is longer than the model reads. Its last {} characters were truncated and count "
        "in no figure: “{}”": "文本超出模型的读取长度。末尾 {} 个字符被截断，不计入任何数值：“{}”",
        "The text is longer than the model reads. Its first {} characters were truncated and count "
        "in no figure: “{}”": "文本超出模型的读取长度。开头 {} 个字符被截断，不计入任何数值：“{}”",
        "Part of this text is unknown to the model: it reads {} of the {} characters as {} ({}), "
        "and so cannot tell them apart. What the views show of them says nothing about their "
        "meaning. Choose a model whose vocabulary has them.": (
            "模型不认识这段文本的一部分：{} / {} 个字符被读作 {}（{}），因而无法区分。"
            "视图中关于它们的内容并不反映其含义。请选择词表中包含这些字符的模型。"
        ),
        "Most of this text is unknown to the model: it reads {} of the {} characters as {} ({}), "
        "and so cannot tell them apart. What the views show of them says nothing about their "
        "meaning. Choose a model whose vocabulary has them.": (
            "模型不认识这段文本的大部分：{} / {} 个字符被读作 {}（{}），因而无法区分。"
            "视图中关于它们的内容并不反映其含义。请选择词表中包含这些字符的模型。"
        ),
        "{} attention is not finite (NaN or infinite), as where float16 overflows. Run the model "
        "in float32 or bfloat16.": (
            "部分注意力不是有限值（NaN 或无穷），例如 float16 溢出时：{}。"
            "请以 float32 或 bfloat16 运行模型。"
        ),
        "The model wrote {} tokens: “{}”. The row of a token shows what the model attended to "
        "while it read that token, to write the next one. The last token, “{}”, was read by "
        "nobody and has no row.": (
            "模型写出了 {} 个词元：“{}”。一个词元的行显示模型读取它以写出下一个词元时关注什么。"
            "最后一个词元“{}”未被读取，因而没有行。"
        ),
        "The model was trained on pictures of {} × {} pixels and was given {} × {} (height × "
        "width): its positions are interpolated.": (
            "模型以 {} × {} 像素的图片训练，而给它的图片为 {} × {}（高 × 宽）：位置经过插值。"
        ),
        "Effects are on {}.": "效应针对：{}。",
    }
)


def notice_in(notice: str, language: str) -> str:
    """Return a notice in a language; one without a translation stays as it is.

    Example:
        >>> notice_in("Effects are on the logits.", "中文")
        '效应针对：the logits。'
    """
    if language != LANGUAGES[1]:
        return notice
    for english, chinese in NOTICES.items():
        pattern = re.escape(english).replace(r"\{\}", "(.+?)")
        if match := re.fullmatch(pattern, notice, re.DOTALL):
            return chinese.format(*match.groups())
    return notice
