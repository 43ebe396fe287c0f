// Package seq2seq is the sequence-to-sequence model: a dialogue encoder, a Persona Encoder, the Persona Embedding Layer and
// a decoder, in one stack of Llama-shaped layers whose weights encoder and decoder share. It knows tensors and token ids;
// it must not know stories, players, storage or screens.
//
// # Text to tokens
//
// Every piece of text is a turn in the ChatML form that the base was tuned on:
//
//	turn(role, text) = <|im_start|> tok(role "\n" text) <|im_end|> tok("\n")
//
// Roles: "scene" (turn 0: setting, who is present), "user" (the player), "assistant" (a character; where the name is known,
// "assistant NAME"), "system" (a persona's description). Specials never come out of text.
//
// # Positions and masks
//
// Positions are absolute. A persona is read as turn("system", description), cut to PersonaMax = 120 tokens and
// right-aligned: its last token stands at Origin-1 (Origin = 176), whatever its length. It attends causally to itself only.
// The dialogue begins at Origin. An encoder token attends causally to the dialogue's encoder tokens and to nothing else: the
// encoder knows no persona. A decoder row for a reply that stands at position q is
//
//	<|im_start|> tok("assistant NAME\n") tok(text) <|im_end|>
//
// at positions q, q+1, …; its tokens attend to (1) the persona memories M₁ … Mₙ of its blend, (2) the virtual token e,
// (3) the encoder tokens of all turns before it, (4) itself, causally; jointly, in one softmax per head, over
//
//	combined = concat(encoder memory, M₁ … Mₙ, e, D₁ … Dₖ)
//
// with log wᵢ added to the scores of persona i's tokens. wᵢ = 0 is the absence of persona i.
//
// # Demonstrations
//
// D₁ … Dₖ, none to three, are written exchanges near in topic and manner to the one that is to be answered, by other characters
// or by this one (retrieve and refine; Weston et al. 2018). Each is turn("user", line) turn("assistant", answer), read alone by the
// encoder without a persona and right-aligned: its last token stands at DemoMax-1 (DemoMax = Origin - PersonaMax = 56), before where
// any persona begins. A longer one is not shown. Nothing is added to their scores, and the null persona sees them too.
//
// # Other bases
//
// A base of the same shape speaks without an adapter. Its turns are marked in ChatML, as above, or as in Llama 3:
//
//	turn(role, text) = <|start_header_id|> tok(role) <|end_header_id|> tok("\n\n") tok(text) <|eot_id|>
//
// Where it was trained to see a token before all others, that token is read once, alone, at position 0, and every other token
// attends to it too. There is no e, and the heads are random projections, which nothing should ask. A blend may also be the mixture
// of the next-token distributions that each persona alone gives, p = Σ wᵢ·pᵢ (BeginMixed).
//
// # The virtual token e
//
// p̄ = Σ wᵢ·pᵢ (pᵢ ∈ R^256 unit vectors). h = D·p̄ with D [64, 256]. In layer l: K = Ek[l]·h, V = Ev[l]·h, both
// [kv_heads·head_dim, 64], zero before training; K is not rotated. A bias ebias[l] (−3) is added to the
// scores of e. A null persona (nothing concatenated) has neither memories nor e.
//
// # Heads
//
// reading(text) = the encoder's states of turn("assistant", text) read alone at Origin, after HeadLayer = 16 layers, each
// divided by its root mean square, averaged over all tokens of the turn. For a persona's description the same average is
// taken over turn("system", …), where the persona is read.
//
//	response(reply) = unit(Wresponse · reading)            [256]  what was said
//	voice(reply)    = unit(Wvoice · reading)               [256]  who would say so, in persona space
//	persona(descr)  = unit(Wpersona · reading of descr)    [256]  p
//	reply(context)  = unit(Wreply · h)                     [256]  h: final normed state of the decoder row's last header
//	                                                               token ("\n" of "assistant NAME\n"): what should be said next
//	line(player)    = unit(Wline · reading of turn("user", text))  [256]  what was asked
//
// Retrieval is reply·response, and line·line of what an example answered; the persona classifier is a softmax of
// scale·(voice·pᵢ) over any set of personas.
//
// # Adapter
//
// A safetensors file beside the base, float tensors in BF16 or F32, metadata {"format": "weave-adapter-1", "base":
// sha256 of the GGUF, "preset": "smol", "rank": "32", "scale": "2", "head_layer": "16", …}:
//
//	layers.L.{q,k,v,o,gate,up,down}.a [rank, in], .b [out, rank]   W' = W + scale·B·A
//	layers.L.e.k, layers.L.e.v [kv_heads·head_dim, 64]; layers.L.e.bias [1] (−3); e.d [64, 256]
//	heads.{reply,response,voice,persona,line} [256, d]; heads.scale.{reply,voice,line} [1]
//
// Sources: Vaswani et al. 2017 (attention); He et al. 2018, "Layer-wise coordination between encoder and decoder"; Dong et
// al. 2019 (UniLM); Weston et al. 2018, "Retrieve and refine"; Hu et al. 2021 (LoRA); Ho and Salimans 2022 (guidance).
package seq2seq
