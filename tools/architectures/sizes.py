"""The text tasks, and small sizes for the configuration of every type."""

from __future__ import annotations

from typing import Any

VOCABULARY = 99
PAD = 0

TASKS = (
    "CAUSAL_LM",
    "MASKED_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "SEQUENCE_CLASSIFICATION",
    "TEXT_ENCODING",
    "PRETRAINING",
    "QUESTION_ANSWERING",
    "TOKEN_CLASSIFICATION",
)
# Text towers that are in no table of tasks.
TEXT_SUFFIXES = ("_text", "_text_model")

# Names under which configurations ask for a size, and a small one that fits the others.
SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "emb_dim", "dim", "d_embed"), 32),
    **dict.fromkeys(("embedding_size", "embedding_dim", "model_dim", "projection_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim", "ffn_dim", "dff"), 32),
    **dict.fromkeys(("intermediate_size", "d_ff", "n_inner", "d_inner", "inner_dim"), 32),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "n_attn_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads", "attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_experts_per_tok", "top_k_experts", "moe_topk"), 2),
    **dict.fromkeys(("head_dim", "global_head_dim", "d_kv", "v_head_dim", "attention_window"), 8),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "rotary_dim", "block_size"), 4),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "o_lora_rank"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 64),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), VOCABULARY),
    **dict.fromkeys(("mamba_d_state", "mamba_d_head", "hidden_size_per_layer_input"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "index_head_dim"), 8),
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4, "num_attention_groups": 2},
    **{"mamba_n_heads": 8, "mamba_expand": 2, "mamba_chunk_size": 4, "chunk_size": 4},
    **{"pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
    **{"sliding_window": 6, "global_rope_theta": 10_000.0},
}
# Where those do not fit together: what to leave out (None) or to set otherwise, tried in turn.
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"head_dim": 4},
    {"head_dim": 4, "num_key_value_heads": 4},
    {"sliding_window": None},
    {"head_dim": None},
    {"rotary_dim": None},
    {"head_dim": None, "sliding_window": None},
    {"block_size": None, "attention_window": None},
    {"num_key_value_heads": None},
)
# What a type needs beside that.
_ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
_IMAGES_ROPE = {"rope_parameters": {**_ROPE, "mrope_section": [1, 1, 2]}}
_HALF_IMAGES_ROPE = {
    "rope_parameters": {**_ROPE, "mrope_section": [1, 1, 0], "partial_rotary_factor": 0.5}
}
_MAMBA = {"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8}
_INDEXER = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 8,
    "indexer_budget": 8,
    "indexer_compress_ratio": 4,
}
_INNER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
}
_SPEECH = {
    **dict.fromkeys(("speech_encoder_layers", "t2u_encoder_layers", "t2u_decoder_layers"), 1),
    **dict.fromkeys(("speech_encoder_intermediate_size", "upsample_initial_channel"), 32),
    **dict.fromkeys(("t2u_encoder_ffn_dim", "t2u_decoder_ffn_dim", "unit_embed_dim"), 32),
    **dict.fromkeys(("speech_encoder_attention_heads", "t2u_encoder_attention_heads"), 4),
    **dict.fromkeys(("t2u_decoder_attention_heads",), 4),
    **dict.fromkeys(("t2u_vocab_size", "unit_hifi_gan_vocab_size", "char_vocab_size"), VOCABULARY),
    **dict.fromkeys(("lang_embed_dim", "spkr_embed_dim"), 8),
    **dict.fromkeys(("t2u_pad_token_id", "t2u_bos_token_id", "t2u_eos_token_id"), 1),
}
_READER = {
    **_INNER,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": VOCABULARY,
    "sliding_window": 6,
}
# As the published checkpoints have it; a configuration without it gives BERT.
_DISENTANGLED = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "max_relative_positions": 8,
}
_HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
SPECIAL: dict[str, dict[str, Any]] = {
    "bailing_hybrid": {"layer_group_size": 2, **_HYBRID},
    "bamba": {"attn_layer_indices": [1]},
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "blt": {
        "encoder_config": {**_INNER, "hidden_size_global": 32},
        "decoder_config": {**_INNER, "hidden_size_global": 32},
        "global_config": _INNER,
        "patcher_config": _INNER,
        "encoder_hash_byte_group_vocab": VOCABULARY,
        "encoder_hash_byte_group_size": [3],
    },
    "bros": {"hidden_size": 64},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10_000.0, "clip_qkv": 8.0}},
    "deberta": _DISENTANGLED,
    "deberta-v2": {**_DISENTANGLED, "share_att_key": True, "position_buckets": 4},
    "falcon_h1": _MAMBA,
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "git": {"vision_config": _INNER},
    "glm4v_moe_text": _HALF_IMAGES_ROPE,
    "glm4v_text": _IMAGES_ROPE,
    "glm_image_text": _IMAGES_ROPE,
    "glm_ocr_text": _IMAGES_ROPE,
    "glm5_next_text": {
        "layer_types": ["linear_attention", "full_attention"],
        "num_key_value_heads": 4,
        "qk_rope_head_dim": 0,
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "hunyuan_vl_text": {"rope_parameters": {**_ROPE, "xdrope_section": [1, 1, 1, 1]}},
    "hrm_text": {"num_layers_per_stack": 1, "H_cycles": 1, "L_cycles": 1, "num_hidden_layers": 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {**_HYBRID, "linear_head_dim": 8, "linear_num_heads": 4},
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "lfm3": {"layer_types": ["conv", "full_attention"]},
    "lilt": {"hidden_size": 48},
    "luke": {"entity_vocab_size": 20, "entity_emb_size": 16},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "mluke": {"entity_vocab_size": 20, "entity_emb_size": 16},
    "phi4_multimodal": {
        "vision_config": {**_INNER, "image_size": 28},
        "audio_config": {
            **_INNER,
            "num_blocks": 1,
            "ext_pw_out_channel": 32,
            "nemo_conv_channels": 32,
        },
    },
    "qwen2_5_vl_text": _IMAGES_ROPE,
    "qwen2_vl_text": _IMAGES_ROPE,
    "qwen3_5_moe_text": _HYBRID,
    "qwen3_5_text": _HYBRID,
    "qwen3_next": _HYBRID,
    "qwen4_exp_text": {**_HYBRID, "ngram_vocab_size_base": 50, "split_ngram_parts": 1, **_INDEXER},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "lru_width": 32},
    "reformer": {
        "axial_pos_embds_dim": [16, 16],
        "axial_pos_shape": [4, 4],
        "attention_head_size": 8,
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
    },
    "roc_bert": {
        "pronunciation_vocab_size": VOCABULARY,
        "pronunciation_embed_dim": 16,
        "shape_vocab_size": VOCABULARY,
        "shape_embed_dim": 16,
    },
    "sam3_lite_text_text_model": {"num_hidden_layers": 3},
    "seamless_m4t": _SPEECH,
    "seamless_m4t_v2": _SPEECH,
    "t5gemma": {
        "encoder": _READER,
        "decoder": {**_READER, "cross_attention_hidden_size": 32},
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba": {"layers_block_type": ["mamba", "hybrid"] * 2, "num_hidden_layers": 4},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"], "n_mamba_heads": 8, "mamba_headdim": 8},
    "zaya": {"num_experts_per_tok": 1},
}

# What cannot be read off the classes.
_IMAGE = "needs an image beside the text"
_SOUND = "reads and writes sound beside text"
BESIDE_TEXT = {
    "evolla": "needs a protein beside the text",
    "idefics": _IMAGE,
    "kyutai_speech_to_text": _SOUND,
    "layoutlmv2": _IMAGE,
    "lxmert": _IMAGE,
    "musicgen": _SOUND,
    "musicgen_melody": _SOUND,
}
