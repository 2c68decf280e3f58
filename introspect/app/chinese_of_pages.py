"""Chinese translations of what the views’ own pages say, with their English texts as keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Labels and sentences of the views’ own pages; ``{}`` stands for what is kept.
PAGE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        # The sentence and the strip of heads
        "Heads by": "各头按",
        "weight from word to word": "词到词的权重",
        "above what other words give": "高出其他词所给的部分",
        "share without special tokens": "不计特殊词元的份额",
        "Numbers": "数值",
        "what the word gives": "该词给出的",
        "what the word gets": "该词得到的",
        "By": "按",
        "word": "词",
        "token": "词元",
        "Weights": "权重",
        "raw": "原始",
        "without specials and itself": "不计特殊词元与自身",
        "{}: “{}” gives “{}” {}; the other words give it {}.": (
            "{}：“{}”给“{}”{}；其他词给它 {}。"
        ),
        "{}: “{}” gives “{}” {}; the other word gives it {}.": (
            "{}：“{}”给“{}”{}；另一个词给它 {}。"
        ),
        "{}: “{}” gives “{}” {}.": "{}：“{}”给“{}”{}。",
        "{}: “{}” gives most to “{}” {}, then “{}” {}.": "{}：“{}”给得最多的是“{}”{}，其次“{}”{}。",
        "{}: “{}” gets most from “{}” {}, then “{}” {}.": (
            "{}：“{}”得到最多的来自“{}”{}，其次“{}”{}。"
        ),
        "Choose a second word to color the heads.": "再选一个词，为各头着色。",
        "{}. Choose a word to see what it attends to.": "{}。选一个词，查看它关注什么。",
        "All {} heads ranked, “{}” to “{}”": "全部 {} 个头的排名：“{}”到“{}”",
        "All {} layers ranked, “{}” to “{}” ({}, all heads together)": (
            "全部 {} 层的排名：“{}”到“{}”（{}，所有头合计）"
        ),
        "all heads together": "所有头合计",
        "One number has no room below its word; rest the pointer on the word to read it.": (
            "有一个数值在词下放不下；把指针停在词上即可读到。"
        ),
        "{} numbers have no room below their words; rest the pointer on a word to read its own.": (
            "有 {} 个数值在词下放不下；把指针停在词上即可读到。"
        ),
        "The colors of the difference reach to ±{}, the largest here.": (
            "差值的颜色到 ±{} 为止，即此处的最大值。"
        ),
        "The colors of the difference reach to ±{}.": "差值的颜色到 ±{} 为止。",
        "This view keeps to the raw weights, by which the case was scored, whatever is chosen "
        "above.": "无论上方如何选择，本视图都保持案例评分所用的原始权重。",
        "This view keeps to the pronoun “{}” and its candidates, by which the case was scored, "
        "whatever is chosen above.": (
            "无论上方如何选择，本视图都保持案例评分所用的代词“{}”及其候选词。"
        ),
        "This view keeps to the pronoun “{}” and its candidates and the raw weights, by which the "
        "case was scored, whatever is chosen above.": (
            "无论上方如何选择，本视图都保持案例评分所用的代词“{}”、其候选词以及原始权重。"
        ),
        "“Shares by” says how much of itself a token takes from each token in a layer, for these "
        "paths; “Weights”, at the top, what one word gives another in a head.": (
            "“份额按”指一个词元在某层从各词元取得自身的多少，用于这些路径；"
            "顶部的“权重”指某个头中一个词给另一个词的权重。"
        ),
        # The controls of the views
        "Layer": "层",
        "Head": "头",
        "Heads": "头",
        "mean of all": "全部的均值",
        "largest of all": "全部的最大值",
        "mean over layers": "各层的均值",
        "largest over layers": "各层的最大值",
        "Zoom": "缩放",
        "Colors": "颜色",
        "0 to 1": "0 到 1",
        "0 to largest": "0 到最大值",
        "Whole": "全图",
        "Save as": "另存为",
        "Hide lines under": "隐藏低于此值的线",
        "Heads as": "多个头",
        "each apart": "分别显示",
        "mean": "均值",
        "largest": "最大值",
        "Layout": "布局",
        "columns": "列",
        "lines": "行",
        "Find": "查找",
        "all": "全部",
        "none": "无",
        "Sorted by": "排序",
        "layer and head": "层与头",
        "chosen pair of words": "所选的词对",
        "Open in the head view": "在头视图中打开",
        "Direction": "方向",
        "from the token": "从该词元",
        "to the token": "到该词元",
        "one head": "单个头",
        "Leave out special tokens": "不计特殊词元",
        "Dimensions": "维度",
        "in order": "按顺序",
        "by share in the strongest key": "按在最强的键中所占的份额",
        "pronoun to candidate": "代词到候选",
        "candidate to pronoun": "候选到代词",
        "Show all {} heads": "显示全部 {} 个头",
        "Showing {}.": "显示 {}。",
        # The views
        "Heatmap view": "热力图",
        "Each row is a token that attends, each column a token attended to; the stronger the "
        "color, the larger the weight. Point at a cell for its number. Drag over the picture to "
        "see a part of it larger.": (
            "每行是一个关注的词元，每列是一个被关注的词元；颜色越深，权重越大。指向单元格可查看"
            "数值；在图上拖动可放大局部。"
        ),
        "Head view": "头视图",
        "Each line goes from a token that attends (query) to one that it attends to (key): a "
        "color for each head, the stronger the weight. Point at a token for its numbers; click "
        "tokens to keep them. Arrow keys change layer and head, with Shift they go from token to "
        "token.": (
            "每条线从关注的词元（查询）连到被它关注的词元（键）：每个头一种颜色，权重越大颜色越深。"
            "指向词元可查看数值，点击可固定词元；方向键切换层与头，按住 Shift 则逐个词元移动。"
        ),
        "Model view": "模型视图",
        "Each small map is one head: its rows are the tokens that attend, its columns those "
        "attended to. Click a map to see its head beside them.": (
            "每张小图是一个头：行是关注的词元，列是被关注的词元。点击小图，可在旁边查看该头。"
        ),
        "Layer view": "层视图",
        "Steps view": "步骤视图",
        "Neuron view": "神经元视图",
        "Coreference view": "指代视图",
        "The map shows every head: blue where it prefers the antecedent, brown where the "
        "distractor.": "图中显示每个头：蓝色偏好先行词，棕色偏好干扰项。",
        "The map shows the weight in every head.": "图中显示每个头中的权重。",
        "The map and the table are per word of a mention; the line above the map says what the "
        "whole mention gets.": "图和表按提及的每个词计算；图上方的一行给出整个提及所得的注意力。",
        "Choose a head on the map or in the table; the sentence above shows what it attends to.": (
            "在图或表中选择一个头，上方的句子显示它关注什么。"
        ),
        "One token through all layers: each row is a token, each column a layer, and each cell the "
        "weight between the two. Choose the token in the text; point at a cell to have it in "
        "words.": (
            "一个词元贯穿所有层：每行是一个词元，每列是一层，单元格是二者之间的权重。在文本中选择"
            "词元；指向单元格可查看文字说明。"
        ),
        "How one token weighs the others in one head: its query is multiplied with each key, "
        "dimension by dimension; the products are added up, scaled and masked to a score, and the "
        "softmax of the scores is the weight. Blue is positive, orange negative. Choose a token on "
        "the left.": (
            "一个词元在一个头中如何给其他词元加权：其查询与每个键逐维相乘，乘积相加，再经缩放和掩码"
            "得到分数，分数的 softmax 即为权重。蓝色为正，橙色为负。在左侧选择词元。"
        ),
        "Attention in three steps. Match: the token’s query is compared with every key, which "
        "gives a score. Weigh: the softmax turns the scores into weights that sum to 1. Sum: every "
        "value is multiplied by its weight, and all are added up to what the head outputs. Choose "
        "a token on the left.": (
            "注意力分三步。匹配：词元的查询与每个键比较，得到分数。加权：softmax 把分数变为和为 1 "
            "的权重。求和：每个值乘以其权重，相加即为该头的输出。在左侧选择词元。"
        ),
        "Where a token comes from: a line leads from a token before a layer to a token after it, "
        "as wide as what it carries of the chosen token. Move the threshold for more or fewer; "
        "click a line for the heads behind it.": (
            "一个词元从何而来：线从某层之前的词元连到该层之后的词元，线宽表示它为所选词元携带多少。"
            "移动阈值可增减线条；点击线条可查看其背后的头。"
        ),
        "The same head in {} and in {}, and what {} gives more or less than {}. Tokens that differ "
        "are colored. Choose a query token to read its row in both.": (
            "同一个头在 {} 和 {} 中的注意力，以及 {} 比 {} 多给或少给多少。不同的词元着色显示。选择"
            "一个查询词元，可查看它在两边的行。"
        ),
        "The text as the model took it in: one token after the other, each with what it gives the "
        "tokens so far. Press Play, move the slider, or choose a token.": (
            "按模型读入的顺序逐个显示词元，以及每个词元给此前各词元的注意力。按“播放”、移动滑块或"
            "选择词元。"
        ),
        "The picture as the model saw it, in gray. Point at a patch to see what it attends to: the "
        "stronger the color, the larger the weight. Click to keep the patch, then point at another "
        "one for the weight between the two.": (
            "模型所见的图片，以灰度显示。指向图块可查看它关注什么：颜色越深，权重越大。点击可固定"
            "图块，再指向另一图块可查看二者之间的权重。"
        ),
        "Each point is a head. Across: what it attends to. Upward: by how much the model’s "
        "preference for the antecedent falls when the head is ablated, with the 95% interval; the "
        "short line is the mean of the other heads of the same layer. Point at a head, or walk "
        "with the arrow keys, for its numbers.": (
            "每个点是一个头。横轴：它关注什么。纵轴：消融该头时，模型对先行词的偏好下降多少，附 "
            "95% 区间；短线是同层其他头的均值。指向一个头，或用方向键移动，可查看其数值。"
        ),
        "Blue heads help to find the antecedent: without them the model prefers it less. Orange "
        "ones stand in the way. Framed heads have an effect (adjusted p below 0.05, and at least "
        "1% of the mean size of the margins).": (
            "蓝色的头有助于找到先行词：没有它们，模型对先行词的偏好下降；橙色的头起妨碍作用。带框的"
            "头有显著效应（校正后 p 小于 0.05，且至少为平均差距的 1%）。"
        ),
        "Flow view": "信息流视图",
        "Playback view": "回放视图",
        "Image view": "图片视图",
        "Causal view": "因果视图",
        "What heads attend to, and their effects": "各头关注什么及其效应",
        "The effect of every head": "每个头的效应",
        # Buttons and choices
        "Play": "播放",
        "Pause": "暂停",
        "Next": "下一步",
        "Copy link": "复制链接",
        "Copied": "已复制",
        "Copy as CSV": "复制为 CSV",
        "Token": "词元",
        "by norm": "按范数",
        "norm with residual": "范数（含残差）",
        "rollout": "rollout（逐层相乘）",
        "rollout of even attention": "均匀注意力的 rollout",
        "entropy, highest first": "熵，从高到低",
        "entropy, lowest first": "熵，从低到高",
        "to special, highest first": "给特殊词元，从高到低",
        "to special, lowest first": "给特殊词元，从低到高",
        "to itself, highest first": "给自身，从高到低",
        "to itself, lowest first": "给自身，从低到高",
        "to previous, highest first": "给前一词元，从高到低",
        "to previous, lowest first": "给前一词元，从低到高",
        "to next, highest first": "给后一词元，从高到低",
        "to next, lowest first": "给后一词元，从低到高",
        "Each edge carries at least": "每条边至少携带",
        "Into": "流入",
        "the chosen word": "所选的词",
        "every token": "每个词元",
        "Shares by": "份额按",
        "Across": "横轴",
        "accuracy of its choice": "选择的准确率",
        "margin": "差距",
        "mean of {} heads": "{} 个头的均值",
        "Show what the patch": "显示图块",
        "attends to": "关注什么",
        "is attended by": "被什么关注",
        "Picture in color": "彩色图片",
        "Most changed": "变化最大",
        # Headings and notes
        "How much each head changes": "每个头变化多少",
        "query ↓": "查询 ↓",
        "key →": "键 →",
        "entropy": "熵",
        "to special": "给特殊词元",
        "to itself": "给自身",
        "to previous": "给前一词元",
        "to next": "给后一词元",
        "layer": "层",
        "up to layer": "至该层",
        "head": "头",
        "weight": "权重",
        "others give": "其他词给出",
        "difference": "差",
        "without specials": "不计特殊词元",
        "rank": "名次",
        "antecedent": "先行词",
        "distractor": "干扰项",
        "credit": "得分",
        "Key": "键",
        "change": "变化",
        "Query q": "查询 q",
        "Keys": "各键",
        "Key k": "键 k",
        "who attends": "谁在关注",
        "at what": "关注什么",
        "by dimension": "逐维",
        "added up": "相加",
        "score": "分数",
        "scaled, masked": "缩放并掩码",
        "softmax of the scores": "分数的 softmax",
        "1 Match": "1 匹配",
        "scores": "分数",
        "2 Weigh": "2 加权",
        "3 Sum": "3 求和",
        "Sum {}": "和 {}",
        "weight × value, by dimension": "权重 × 值，逐维",
        "Added up: what the head outputs": "相加：该头的输出",
        "The model’s own output differs by at most {}.": "与模型自身输出相差至多 {}。",
        "Length": "长度",
        "of weight × value": "权重 × 值的长度",
        "Here the score is q·k × {}.": "此处分数为 q·k × {}。",
        "Bold: the largest of a layer.": "粗体：该层的最大值。",
        "H{} is a different head in each layer.": "H{} 在每一层中是不同的头。",
        "What comes from other tokens": "来自其他词元的部分",
        "Underlined: what came after the prompt.": "带下划线：提示之后的内容。",
        "Underlined: generated by the model.": "带下划线：模型生成的内容。",
        "Likeliest next, by the model": "模型认为最可能的下一个词元",
        "Heads by how much more the antecedent gets": "各头按先行词多得多少排序",
        "Heads by weight": "各头按权重排序",
        "Point at a map to read its strongest pair.": "指向小图可查看其最强的一对。",
        "Click a map to see its head here.": "点击小图，可在此查看该头。",
        "Point at the map for its numbers.": "指向图可查看数值。",
        "Point at a line or a token; click a line for its heads.": (
            "指向线条或词元；点击线条可查看其背后的头。"
        ),
        # Sentences below the views
        "Numbers: what “{}” gives to each token ({}).": "数值：“{}”给每个词元的权重（{}）。",
        "Showing {} heads of layer {}.": "显示 {} 个头（第 {} 层）。",
        "Point at a token for its numbers.": "指向词元可查看数值。",
        "The other columns are in heads.csv.": "其余各列见 heads.csv。",
        "{}: “{}” gives {} to “{}”, {} to “{}”.": "{}：“{}”给出 {} 至“{}”，{} 至“{}”。",
        "{}: “{}” gives {} to “{}”.": "{}：“{}”给出 {} 至“{}”。",
        "{}: how “{}” weighs the others.": "{}：“{}”如何给其他词元加权。",
        "While it reads “{}”, head {} matches it with every key.": (
            "读取“{}”时，头 {} 将其与每个键匹配。"
        ),
        "{} of {} edges, on paths whose every edge carries at least {} of “{}”.": (
            "{} / {} 条边，其所在路径的每条边至少携带 {} 的“{}”。"
        ),
        "{} of {} edges, on paths whose every edge carries at least {} of a token.": (
            "{} / {} 条边，其所在路径的每条边至少携带一个词元的 {}。"
        ),
        "Layer {}: “{}” takes {} of itself from “{}”; that is {} of “{}” at the end.": (
            "第 {} 层：“{}”有 {} 取自“{}”；即末层之后 {} 的“{}”。"
        ),
        "“{}” attends most to “{}” in layer {} ({} on average over {} heads).": (
            "“{}”最关注“{}”，在第 {} 层（平均 {}，共 {} 个头）。"
        ),
        "Every head: weight of “{}” minus weight of “{}”": "每个头：“{}”的权重减去“{}”的权重",
        "“{}” gets more (−1)": "“{}”得到更多（−1）",
        "“{}” gets more (+1)": "“{}”得到更多（+1）",
        "{} gives more −1": "{} 给得更多 −1",
        "+1 {} gives more": "+1 {} 给得更多",
        "weight 0": "权重 0",
        "change 0": "变化 0",
        "Full color is {}, the largest weight from {} to a patch (mean of {} heads of layer {}).": (
            "最深的颜色为 {}，即从 {} 到某一图块的最大权重（{} 个头的均值，第 {} 层）。"
        ),
        "Full color is {}, the largest weight from {} to a patch ({}).": (
            "最深的颜色为 {}，即从 {} 到某一图块的最大权重（{}）。"
        ),
        "{} → {}: {}, the largest among patches; weight to [CLS]: {}.": (
            "{} → {}：{}，为各图块中最大；给 [CLS] 的权重：{}。"
        ),
        "{} of {}": "{} / {}",
        "“{}” to “{}”": "“{}”到“{}”",
        "What “": "“",
        "” gives": "”给出的注意力",
        "The share of a token’s attention that goes elsewhere: total variation, ½ Σ |b − a| over "
        "the keys that both have, in the mean over the {} queries that both have; from 0 (nothing "
        "changes) to 1 (everything).": (
            "词元的注意力转移到别处的份额：在两者共有的键上取全变差 ½ Σ |b − a|，再对两者共有的 "
            "{} 个查询取平均；从 0（毫无变化）到 1（全部改变）。"
        ),
        # The causal view
        "{}: effect {} {}; too few groups of cases for a verdict.": (
            "{}：效应 {} {}；案例组过少，不作判断。"
        ),
        "{}: effect {} {}, the other heads of layer {}: {} {}, 1 case.": (
            "{}：效应 {} {}；第 {} 层的其他头：{} {}；1 个案例。"
        ),
        "Effect": "效应",
        "95% CI of the effect": "效应的 95% 置信区间",
        "Other heads of the same layer": "同层其他头",
        "Difference": "差",
        "95% CI of the difference": "差的 95% 置信区间",
        "Adjusted p": "校正后 p",
        "Right with it": "保留该头时正确",
        "Right without it": "消融该头后正确",
        "Cases": "案例数",
        "Attends most to the antecedent": "最关注先行词",
        "Its adjusted p": "其校正后 p",
        "Antecedent to best distractor, median": "先行词与最强干扰项之比（中位数）",
        "Attention to the antecedent": "对先行词的注意力",
        "Attention margin": "注意力差距",
        "Compare view": "比较视图",
        # An atlas
        "All heads": "所有头",
        "Each point and square is a head; choosing one says what it does.": (
            "每个点和方格都是一个头；选择后显示其行为。"
        ),
        "Table of all heads": "所有头的表格",
        "Up": "纵轴",
        "Color": "颜色",
        "share covered by its rule": "其规则覆盖的份额",
        "entropy in bits": "熵（比特）",
        "distance in tokens": "距离（词元）",
        "share to special tokens": "给特殊词元的份额",
        "share to the token itself": "给自身的份额",
        "share to the previous token": "给前一词元的份额",
        "share to the next token": "给后一词元的份额",
        "share to the first token": "给首个词元的份额",
        "share to the same token elsewhere": "给别处相同词元的份额",
        "number of jobs": "功能数",
        "Open the page of {}": "打开 {} 的页面",
        "What it does": "行为",
        "Rule": "规则",
        "Covers": "覆盖",
        "Even attention": "均匀注意力",
        "What {} does": "{} 的行为",
        "In {}, on {} of {}.": "模型 {}，基于 {}（{}）。",
        "Strongest rows ({})": "最强的行（{}）",
        "Rows of each tenth, the strongest first ({})": "每个十分位的行，从强到弱（{}）",
        "Random rows ({})": "随机的行（{}）",
        "Find in the examples": "在示例中查找",
        "No row of this head could be kept.": "未能保留该头的任何行。",
        "Rules": "规则",
        "Covers (finding half)": "覆盖（发现半份）",
        "Covers (checking half)": "覆盖（检验半份）",
        "Largest weight on it": "最大权重落于其上",
        "p, family-wise": "p（族错误率）",
        "Rows": "行数",
        "Jobs": "功能",
        "Share of the sampled rows": "占抽样行的份额",
        "Covers of them": "其中的覆盖",
        "Distributions over all rows": "所有行上的分布",
        "Vocabulary entries": "词表条目",
        "Entry": "条目",
        "Side": "角色",
        "Times": "次数",
        "Times in the corpus": "语料中的次数",
        "Lift (log odds)": "提升（对数优势）",
        "Queries and keys": "查询与键",
        "queries": "查询",
        "keys": "键",
        "Most similar heads": "最相似的头",
        "this head": "此头",
        "Line under:": "下划线：",
        "the token that attends": "关注的词元",
        "the one that it attends to most": "它最关注的词元",
        ". Tint: what each token gets.": "。底色：每个词元得到的权重。",
        "all heads": "所有头",
        "Coreference": "指代",
        "accuracy on the cases, pronoun to candidate": "案例上的准确率，代词到候选",
        "share from pronouns to possible antecedents": "代词给可能先行词的份额",
        "share of divisions that choose it": "选中它的划分所占的份额",
        "share over which it copies": "复制所胜过的份额",
        "share over which it copies by its weights": "按权重复制所胜过的份额",
        "★ chosen on the cases": "★ 由案例选中",
        "{}, chosen on the cases": "{}，由案例选中",
        "What it writes": "写入内容",
        "Entries that it adds most to, in logits:": "其增加最多的条目（logit）：",
    }
)
