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
        "Findings, and what they do not show, are in English.": "结论及其局限为英文。",
        "The files of the model have changed. It was loaded again.": "模型文件已更改，已重新加载。",
        "One text": "单段文本",
        "A pronoun": "代词",
        "Compare": "比较",
        "A set of cases": "案例集",
        "What every head attends to while the model reads a text.": (
            "查看模型读取一段文本时每个注意力头关注什么。"
        ),
        "What the heads attend to from a pronoun: its antecedent, or something else.": (
            "查看各注意力头在代词处关注什么：先行词，还是其他词。"
        ),
        "Two texts that differ in a word, or two models on one text.": (
            "比较只差一个词的两段文本，或读取同一段文本的两个模型。"
        ),
        "The accuracy of every head on a file of cases, beside that of position alone.": (
            "计算每个头在一份案例文件上的准确率，并与仅依据位置的基线对照。"
        ),
        "Attention shows what a head attends to, not why the model decides. What is "
        "typed or uploaded stays on the machine that runs this app.": (
            "注意力表明一个头关注什么，而不是模型为何如此判断。输入和上传的内容只保留在运行本"
            "应用的机器上。"
        ),
        "Language": "语言",
        # The form
        "Text": "文本",
        "Model": "模型",
        "minilm is the default; the next five are small models whose mechanisms are "
        "known. Choose “another …” to enter a hub id or a local folder.": (
            "默认为 minilm；其后五个是机制已知的小模型。选择“another …”可输入 hub 模型名或"
            "本地文件夹。"
        ),
        "Hub id or folder": "hub 模型名或文件夹",
        "Second text and truncation": "第二段文本与截断",
        "Second text, for models that read pairs": "第二段文本（用于成对输入的模型）",
        "Target: the text that the model writes": "目标文本：模型的输出",
        "Attention": "注意力",
        "Truncate a text that is too long": "截断过长的文本",
        "Otherwise it is rejected. A notice shows what was truncated.": (
            "不勾选时，过长的文本会被拒绝；勾选时，会注明截断的内容。"
        ),
        # One text
        "What to show": "显示内容",
        "Numbers": "数值",
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
        "model.": "{layers} 层 × {heads} 头，{queries} × {keys} 个词元，取自运行中的模型。",
        "The weights of a token sum to 1 within {error}.": (
            "每个词元的权重之和为 1，误差不超过 {error}。"
        ),
        "The text is long, so this view shows layer {layer} only.": (
            "文本较长，此视图仅显示第 {layer} 层。"
        ),
        "By word: summed over the tokens of the word attended to, averaged over those "
        "of the word that attends": "按词：对被关注词的各词元求和，对关注词的各词元取平均",
        "The table is too large to color; the heat map shows the weights in color.": (
            "表格过大，不着色；热力图以颜色显示权重。"
        ),
        "Download this view": "下载此视图",
        "Download the report": "下载报告",
        "One HTML file with these findings, the views and their provenance. It opens "
        "offline.": "一个 HTML 文件，包含上述结论、视图及其来源，可离线打开。",
        "Examples": "示例",
        "Loading {name} …": "正在加载 {name} …",
        "Load this model": "加载此模型",
        "Flow view": "信息流视图",
        # Playback and pictures
        "Playback": "回放",
        "A picture": "图片",
        "The text as a model reads or writes it, one token after the other.": (
            "逐个词元回放模型读取或生成文本的过程。"
        ),
        "What every head attends to in a picture.": "查看每个注意力头在图片中关注什么。",
        "Tokens that the model writes": "由模型生成的词元数",
        "0 plays the text alone, or the target of an encoder-decoder.": (
            "0 表示只回放文本本身；对编码器-解码器，则回放目标文本。"
        ),
        "Only a text that is read from left to right can be played. Models that do so are "
        "induction, shortcut and reversal with a target, and all that write.": (
            "只有从左到右读取的文本才能回放。这样的模型有 induction、shortcut、带目标文本的 "
            "reversal，以及所有生成模型。"
        ),
        "Model of pictures: hub id or folder": "图片模型：hub 模型名或文件夹",
        "Picture": "图片",
        "Choose a picture, and name a model that reads pictures, such as "
        "google/vit-base-patch16-224 or a folder of this machine.": (
            "请选择一张图片，并填写读取图片的模型，例如 google/vit-base-patch16-224 或本机的"
            "文件夹。"
        ),
        "Image view": "图片视图",
        # The logit lens and the roles of heads
        "Own texts, one per line": "自己的文本，每行一段",
        "Also says what shapes the patterns of the heads have on these texts, and how fast "
        "a loss changes with each head, where the model predicts words.": (
            "还会给出各头在这些文本上的注意力模式形状；若模型能预测词，还给出损失随各头变化的快慢。"
        ),
        "Logit lens": "Logit 透镜",
        "Roles of heads": "头的角色",
        "What the model would predict after each layer, and which heads contribute to it.": (
            "查看模型在每一层之后会预测什么，以及哪些头对此有贡献。"
        ),
        "Which heads have a known role, measured on random tokens.": (
            "用随机词元测量哪些头具有已知的角色。"
        ),
        "Token to read at": "读取位置（词元）",
        "The mask, or the last token": "掩码处，或最后一个词元",
        "Report": "报告",
        "Try the example": "试用示例",
        # A pronoun
        "Click the words:": "点击选词：",
        "Pronoun": "代词",
        "Refers to": "指代",
        "Might refer to, but does not": "可能指代但并非",
        "Choose a word": "选择一个词",
        "Adjacent words form one candidate: old and dog become “old dog”.": (
            "相邻的词合为一个候选：狐、狸合为“狐狸”。"
        ),
        "Choose the pronoun and at least one candidate to score every head.": (
            "请选择代词和至少一个候选，以便为每个头评分。"
        ),
        "Direction": "方向",
        "From the pronoun to the candidates": "从代词到候选",
        "From the candidates to the pronoun": "从候选到代词",
        "No head can attend in this direction: the model reads from left to right. "
        "This counts as neither right nor wrong.": (
            "没有头能沿此方向关注，因为模型从左到右读取文本。这既不算对，也不算错。"
        ),
        "head": "头",
        "Layer and head, counted from 0.": "层号与头号，均从 0 开始。",
        "on the antecedent": "对先行词",
        "Its share of the attention.": "先行词所得的注意力份额。",
        "by other words": "其他词给出",
        "What the other words of the text give the antecedent, in the mean.": (
            "文本中其他词平均给先行词的注意力份额。"
        ),
        "points": "指向",
        "The share is over 0.5 and at least twice what the other words give the antecedent.": (
            "份额超过 0.5，且至少为其他词所给份额的两倍。"
        ),
        "antecedent, per word": "先行词（每词）",
        "The mean over its words, by which candidates are compared.": (
            "按词取平均，候选之间以此比较。"
        ),
        "distractor, per word": "干扰项（每词）",
        "The largest mean over the words of a distractor.": "各干扰项按词平均的最大值。",
        "credit": "得分",
        "1: the antecedent has the largest mean; 0: a distractor does; ties are split.": (
            "1：先行词按词平均最大；0：某个干扰项最大；并列时均分。"
        ),
        "margin": "差距",
        "From −0.5 to 0.5: the antecedent’s part of the attention to it and the best "
        "distractor, minus one half.": (
            "取值 −0.5 到 0.5：先行词与最强干扰项所得注意力之和中先行词所占的比例，减去 0.5。"
        ),
        "Download the table": "下载表格",
        "Coreference view": "指代视图",
        # Ablate heads
        "Ablate heads": "消融注意力头",
        "What a model attends to and predicts after some of its heads are ablated.": (
            "查看消融部分注意力头之后，模型关注什么、预测什么。"
        ),
        "Method": "方法",
        "Zero": "置零",
        "Mean": "均值",
        "Uniform": "均匀",
        "Cut an edge": "切断注意力边",
        "The heads output zeros. This is the strongest change.": (
            "将这些头的输出置零。这是最强的改动。"
        ),
        "The heads output their mean over all tokens of some texts.": (
            "将这些头的输出替换为其在若干文本所有词元上的均值。"
        ),
        "The heads attend equally to all tokens that the mask allows.": (
            "这些头对掩码允许的所有词元给予相同的注意力。"
        ),
        "The heads are kept, but one word can no longer attend to another.": (
            "保留这些头，但一个词不能再关注另一个词。"
        ),
        "Heads": "头",
        "{layer} (whole layer)": "{layer}（整层）",
        "Choose heads": "选择头",
        "All heads": "所有头",
        "Type to search: L3H1 is head 1 of layer 3; L3 is the whole layer.": (
            "可输入以搜索：L3H1 表示第 3 层的 1 号头，L3 表示整层。"
        ),
        "Choose a head, such as L3H1, or a whole layer, such as L3.": (
            "请选择一个头（如 L3H1）或整层（如 L3）。"
        ),
        "Texts to average over, one per line": "用于求均值的文本，每行一段",
        "Word that attends": "关注词",
        "Word that it can no longer attend to": "不能再关注的词",
        "Choose the word that attends and the word that it can no longer attend to.": (
            "请选择关注词，以及它不能再关注的词。"
        ),
        "Attention before and after": "改动前后的注意力",
        "Hidden states": "隐藏状态",
        "Predictions": "预测",
        "Effect of each head": "各头的效应",
        "No attention changes: no later attention reads what was removed, or the mask "
        "hid it before.": "注意力没有变化：后面没有注意力读取被移除的内容，或它原本就被掩码遮住。",
        "The attention of {head} changes most: {share} of it goes elsewhere.": (
            "{head} 的注意力变化最大：其中 {share} 转移到别处。"
        ),
        "After the last layer, the hidden states of the tokens have moved by {mean} of "
        "their norm on average, that of “{token}” most, by {most}.": (
            "最后一层之后，各词元的隐藏状态平均偏移其范数的 {mean}，其中“{token}”偏移最大，"
            "为 {most}。"
        ),
        "position": "位置",
        "token": "词元",
        "moved by": "偏移",
        "The norm of the difference, divided by the norm of the unchanged state.": (
            "差的范数与未改动状态的范数之比。"
        ),
        "cosine": "余弦",
        "Between the two states; 1 means the same direction.": (
            "改动前后两个状态之间；1 表示方向相同。"
        ),
        "Masked word": "被掩盖的词",
        "Word at which the model predicts": "在哪个词处预测",
        "Word after which the model predicts": "预测哪个词之后的词",
        "Word of the target that the model predicts": "预测目标文本中的哪个词",
        "This model has no language-modeling head: it outputs hidden states only. "
        "Models that predict words are pronoun, pronoun-gated, induction, shortcut and "
        "reversal, masked models such as BERT, and all that write.": (
            "此模型没有语言模型头，只输出隐藏状态。能预测词的模型有 pronoun、pronoun-gated、"
            "induction、shortcut、reversal，BERT 等掩码模型，以及所有生成模型。"
        ),
        "There is no word to predict: enter a target for the model to write.": (
            "没有可预测的词：请输入目标文本。"
        ),
        "Before, the model predicts “{one}” ({share}); after, “{other}” ({less}).": (
            "改动前模型预测“{one}”（{share}），改动后预测“{other}”（{less}）。"
        ),
        "word": "词",
        "before": "改动前",
        "after": "改动后",
        "Effects are measured for ablated heads, not for a cut edge.": (
            "效应针对被消融的头，不针对被切断的注意力边。"
        ),
        "Choose the pronoun, what it refers to, and what it might refer to but does not.": (
            "请选择代词、它指代的词，以及可能指代但并非的词。"
        ),
        ", a surrogate": "（替代指标）",
        "The model prefers the antecedent by {before} {unit}{surrogate}; with all "
        "chosen heads ablated, by {after}.": (
            "模型对先行词的偏好为 {before} {unit}{surrogate}；消融所选的全部头之后为 {after}。"
        ),
        "One sentence is an example, not evidence: there are no confidence intervals.": (
            "单个句子只是示例，不是证据，因此没有置信区间。"
        ),
        "effect, in {unit}": "效应（{unit}）",
        "How far the preference falls when this head alone is ablated.": (
            "单独消融此头时，偏好下降多少。"
        ),
        "other heads of the layer": "同层其他头",
        "The mean effect of the other heads of the same layer.": "同层其他头的平均效应。",
        "Causal view": "因果视图",
        # Compare
        "Compare with": "比较对象",
        "Another text": "另一段文本",
        "Another model": "另一个模型",
        "Other text": "另一段文本",
        "Other model: alias, hub id or folder": "另一个模型：别名、hub 模型名或文件夹",
        "Compare view": "比较视图",
        # An atlas
        "An atlas": "图谱",
        "What every head does on a whole corpus, from the folder of an atlas.": (
            "打开一个图谱文件夹，查看每个头在整个语料上的行为。"
        ),
        "Folder of an atlas": "图谱文件夹",
        "Open this folder": "打开此文件夹",
        "Type the folder of an atlas. To make one: `introspect atlas FILE --out DIR`.": (
            "请输入图谱所在的文件夹。生成图谱：`introspect atlas FILE --out DIR`。"
        ),
        "One head": "单个头",
        "Search in examples": "搜索示例",
        "The atlas keeps no page for this head.": "此图谱没有该头的页面。",
        "Token that attends": "关注的词元",
        "Token that it attends to": "被关注的词元",
        "Smallest weight": "最小权重",
        "{shown} of {found} kept examples, the largest weight first.": (
            "显示 {shown} / {found} 个保留的示例，权重从大到小。"
        ),
        "weight": "权重",
        "kept as": "保留方式",
        # A set of cases
        "One case per line: **JSON lines** (`text`, `pronoun`, `candidates`), or a "
        "**table** (csv, tsv, xlsx) with the columns `text`, `pronoun`, `antecedent` and "
        "`distractor`. At most {rows} lines and {size} MB. For larger sets use the "
        "command line, which resumes an interrupted run: `introspect probe FILE --out "
        "DIR`.": (
            "每行一个案例：**JSON 行**（`text`、`pronoun`、`candidates`），或**表格**（csv、"
            "tsv、xlsx），含 `text`、`pronoun`、`antecedent` 和 `distractor` 四列。至多 {rows} 行、"
            "{size} MB。更大的数据集请使用命令行，运行中断后可以续跑："
            "`introspect probe FILE --out DIR`。"
        ),
        "Cases": "案例",
        "Probe": "探测",
        "Causal study": "因果研究",
        "Ablates each head in turn on at most {most} cases: does the model then prefer the "
        "antecedent less?": (
            "在至多 {most} 个案例上逐一消融各个头：模型对先行词的偏好是否随之下降？"
        ),
        "Download a small example": "下载小示例",
        "Rows without a result: {count}. The reasons:": "无结果的行：{count}。原因：",
        "Figures": "数值汇总",
        "**Heads**, on these cases (in-sample)": "**各个头**，在这些案例上（样本内）",
        "**Baselines without any head**, on the same cases": "**不使用任何头的基线**，在相同案例上",
    }
)
