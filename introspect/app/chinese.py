"""Chinese translations of the app, with its English texts as keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Each language by its own name.
LANGUAGES = ("English", "中文")


def word(text: str) -> str:
    """Return the text unchanged, marked as one that is translated where it is shown."""
    return text


def in_language(text: str, language: str) -> str:
    """Return a text of the app in a language; a text without a translation stays unchanged.

    Example:
        >>> in_language("Text", "中文"), in_language("Text", "English")
        ('文本', 'Text')
    """
    return CHINESE.get(text, text) if language == LANGUAGES[1] else text


CHINESE: Mapping[str, str] = MappingProxyType(
    {
        # The frame
        "One text": "一段文本",
        "A pronoun": "代词",
        "Compare": "比较",
        "A set of cases": "一批案例",
        "What every head attends to while the model reads a text.": (
            "模型读一段文本时，每个头在看什么。"
        ),
        "Where the heads look at a pronoun: at what it refers to, or at something else.": (
            "读到代词时各个头看向哪里：它指的东西，还是别的。"
        ),
        "Two texts that differ in a word, or two models on one text.": (
            "只差一个词的两段文本，或读同一段文本的两个模型。"
        ),
        "From a file of cases to a head’s accuracy, beside what position alone would give.": (
            "从一份案例文件到每个头的正确率，并与只看位置的做法对照。"
        ),
        "Attention shows where a head looks, not why the model decides. What is typed or uploaded "
        "stays on the machine that runs this app.": (
            "注意力说明一个头看向哪里，不说明模型为什么这样判断。输入和上传的内容只留在运行本应用的机器上。"
        ),
        "Language": "语言",
        # The form
        "Text": "文本",
        "Model": "模型",
        "minilm is the default; the next five are small models whose workings are known. "
        "“another …” takes the id of a model on the hub, or a folder.": (
            "默认是 minilm；后面五个是机制已知的小模型。"
            "选“another …”可以填 hub 上的模型名或本地文件夹。"
        ),
        "Hub id or folder": "hub 上的模型名或文件夹",
        "Show its example": "用它的例子",
        "A second text, or a text that is too long": "第二段文本，或过长的文本",
        "Second text, for models that read pairs": "第二段文本（供读成对文本的模型）",
        "Target: what the model writes": "目标：模型写出的内容",
        "Attention": "注意力",
        "Cut a text that is too long": "截断过长的文本",
        "Otherwise it is refused. What is cut off is said.": "不勾选则拒绝；截掉了什么会写明。",
        # One text
        "What to show": "看什么",
        "Numbers": "数字",
        "Heat map": "热力图",
        "Head view": "头视图",
        "Model view": "模型视图",
        "Layer view": "层视图",
        "Steps view": "步骤视图",
        "Neuron view": "神经元视图",
        "Layer": "层",
        "Head": "头",
        "Tokens": "词元",
        "{layers} layers × {heads} heads, {queries} × {keys} tokens, captured from the running "
        "model.": "{layers} 层 × {heads} 个头，{queries} × {keys} 个词元，取自运行中的模型。",
        "The weights of a token sum to 1 within {error}.": (
            "每个词元的权重之和为 1，误差不超过 {error}。"
        ),
        "The text is long: this view holds layer {layer} alone. Choose another one above.": (
            "文本很长：这个视图只含第 {layer} 层。要看别的层，请在上面选择。"
        ),
        "By word: the sum over the pieces of a word attended to, the mean over those of one that "
        "attends": "按词：被看的词把各片段相加，看的词对各片段取平均",
        "The table is too large to be colored; the heat map shows it in colors.": (
            "表太大，不着色；热力图里有颜色。"
        ),
        "Download this view": "下载这个视图",
        "Download the report": "下载报告",
        "One HTML file with these findings, the views, and how they were had. It opens without a "
        "network.": "一个 HTML 文件，含这些结论、视图及其来历，不联网也能打开。",
        # A pronoun
        "Pronoun": "代词",
        "Refers to": "指的是",
        "Might refer to, but does not": "可能指、但不是",
        "Choose a word": "选一个词",
        "Choose words": "选词",
        "Neighboring words are one candidate: old, dog are “old dog”.": (
            "相邻的词算一个候选：狐、狸就是“狐狸”。"
        ),
        "Choose the pronoun and at least one candidate: then every head is scored.": (
            "请选代词和至少一个候选，然后给每个头打分。"
        ),
        "Direction": "方向",
        "From the pronoun to the candidates": "从代词到候选",
        "From the candidates to the pronoun": "从候选到代词",
        "No head can look in this direction: the model reads from left to right. That is neither "
        "right nor wrong.": "没有头能往这个方向看：模型从左往右读。这不算对，也不算错。",
        "head": "头",
        "Layer and head, from 0.": "层和头，从 0 数起。",
        "on the antecedent": "给先行词",
        "The share of the attention that it gets.": "它得到的注意力份额。",
        "on the best distractor": "给最强的干扰项",
        "The largest share that a distractor gets.": "干扰项得到的最大份额。",
        "credit": "得分",
        "1: the antecedent gets most; 0: a distractor does; shares for ties.": (
            "1：先行词得到最多；0：干扰项最多；并列则均分。"
        ),
        "margin": "差距",
        "From −0.5 to 0.5: the antecedent's part of what it and the best distractor get, minus a "
        "half.": "从 −0.5 到 0.5：先行词在它与最强干扰项所得之和中的份额，减去一半。",
        "Download the table": "下载表格",
        "Coreference view": "指代视图",
        # Ablate heads
        "Take heads out": "去掉一些头",
        "What a model attends to, and what it says, once some of its heads are taken out.": (
            "去掉一些头以后，模型看什么、说什么。"
        ),
        "How": "怎么去掉",
        "Zero": "置零",
        "Mean": "均值",
        "Uniform": "均匀",
        "Cut a word off": "切断一个词",
        "The heads give nothing on. The strongest change.": "这些头什么都不传下去。改动最大。",
        "The heads give on what they give in the mean over all tokens of some texts.": (
            "这些头传下去的，是它们在若干文本所有词元上的均值。"
        ),
        "The heads attend alike to all that they may see.": "这些头对能看到的一切一视同仁。",
        "The heads stay, but one word can no longer look at another.": (
            "头都留着，但一个词不再能看另一个词。"
        ),
        "Heads": "头",
        "{layer} (whole layer)": "{layer}（整层）",
        "Choose heads": "选头",
        "All heads": "所有头",
        "Type to find one: L3H1 is head 1 of layer 3; L3 is the whole layer.": (
            "可以输入来查找：L3H1 是第 3 层的第 1 个头；L3 是整层。"
        ),
        "Choose a head, such as L3H1, or a whole layer, such as L3.": (
            "请选一个头，如 L3H1，或整层，如 L3。"
        ),
        "Texts for the mean, one on each line": "用来求均值的文本，每行一段",
        "Word that looks": "看的词",
        "Word that it no longer sees": "它不再看到的词",
        "Choose the word that looks, and the word that it no longer sees.": (
            "请选看的词，以及它不再看到的词。"
        ),
        "Attention before and after": "前后的注意力",
        "The states of the tokens": "词元的状态",
        "What the model says": "模型说什么",
        "What each head does": "每个头的作用",
        "No attention changes: what was taken out is read by no later attention, or was never "
        "seen.": "注意力没有变化：去掉的东西后面没有注意力再读，或者本来就看不到。",
        "The attention of {head} changes most: {share} of it goes elsewhere.": (
            "{head} 的注意力变化最大：有 {share} 转向了别处。"
        ),
        "After the last layer the states of the tokens have moved by {mean} of their length on "
        "average, that of “{token}” most, by {most}.": (
            "最后一层之后，词元的状态平均偏离自身长度的 {mean}，其中“{token}”最多，为 {most}。"
        ),
        "position": "位置",
        "token": "词元",
        "moved by": "偏离",
        "The length of the difference, in lengths of the unchanged state.": (
            "差的长度，以未改动的状态的长度为单位。"
        ),
        "cosine": "余弦",
        "Between the two states; 1: one direction.": "前后两个状态之间；1 表示同方向。",
        "Word that is masked": "被遮住的词",
        "Word that the model is asked at": "在哪个词上问模型",
        "Word whose next one is asked for": "问哪个词的下一个词",
        "Word of the target in whose place the model writes": "问目标里哪个词的位置",
        "This model has no head for words: it only gives states. Models that say words are "
        "pronoun, pronoun-gated, induction, shortcut and reversal, masked models such as BERT, and "
        "all that write.": (
            "这个模型没有输出词的头，只给出状态。能说词的有 pronoun、pronoun-gated、induction、"
            "shortcut、reversal，BERT 这样的掩码模型，以及所有会写的模型。"
        ),
        "There is no word to ask at: give the model a target to write.": (
            "没有可以问的词：请给模型一个要写的目标。"
        ),
        "Before, the model says “{one}” ({share}); after, “{other}” ({less}).": (
            "去掉前模型说“{one}”（{share}），去掉后说“{other}”（{less}）。"
        ),
        "word": "词",
        "before": "之前",
        "after": "之后",
        "Effects are of heads that are taken out, not of words that are cut off.": (
            "作用是对去掉的头而言的，不是对切断的词。"
        ),
        "Choose the pronoun, what it refers to, and what it might refer to but does not.": (
            "请选代词、它指的词，以及它可能指、但不是的词。"
        ),
        ", a surrogate": "（替代指标）",
        "The model prefers what the pronoun refers to by {before} {unit}{surrogate}; without all "
        "chosen heads by {after}.": (
            "模型偏向代词所指的一方 {before} {unit}{surrogate}；去掉所选的全部头以后为 {after}。"
        ),
        "One sentence is an example, not evidence: there are no intervals.": (
            "一句话是例子，不是证据：没有区间。"
        ),
        "effect, in {unit}": "作用，单位 {unit}",
        "By how much the preference falls when this head is taken out alone.": (
            "单独去掉这个头，偏向下降多少。"
        ),
        "other heads of the layer": "同层其他头",
        "The mean effect of the other heads of the same layer.": "同层其他头的平均作用。",
        "Causal view": "因果视图",
        # Compare
        "Compare with": "与什么比较",
        "Another text": "另一段文本",
        "Another model": "另一个模型",
        "Other text": "另一段文本",
        "Other model: alias, hub id or folder": "另一个模型：别名、hub 上的模型名或文件夹",
        "Compare view": "比较视图",
        # A set of cases
        "One case a line: as **JSON lines** (`text`, `pronoun`, `candidates`), or a **table** "
        "(csv, tsv) with the columns `text`, `pronoun`, `antecedent` and `distractor`. At most "
        "{rows} lines and {size} MB; larger sets are for the command line, which can be stopped "
        "and goes on where it was: `introspect probe FILE --out DIR`.": (
            "每行一个案例：**JSON 行**（`text`、`pronoun`、`candidates`），或**表格**（csv、tsv），"
            "含 `text`、`pronoun`、`antecedent` 和 `distractor` 四列。至多 {rows} 行、{size} MB；"
            "更大的请用命令行，随时可停，之后接着跑：`introspect probe FILE --out DIR`。"
        ),
        "Cases": "案例",
        "Probe": "探测",
        "Download a small example": "下载一个小例子",
        "Rows without a result: {count}. The reasons:": "没有结果的行：{count}。原因：",
        "Figures": "数字一览",
        "**Heads**, on these very cases": "**各个头**，就在这些案例上",
        "**Without any head**, on the same cases": "**不用任何头**，在同样的案例上",
        "Download the table of heads": "下载各头的表格",
    }
)
