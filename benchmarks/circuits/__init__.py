"""Circuits made by hand in transformers' own code, whose truth plain PyTorch hooks measure.

    language   the texts: two letters, of which the marked one is the antecedent
    anatomy    empty models in the code of Llama, Mistral, BERT and BART, opened head by head
    parts      what a head can be built to do: look back, move a letter, back another one up
    kinds      ten kinds of circuit, each drawn from a seed
    plain      a model run with plain hooks: its margins, ablations, attention and gradients
    truth      what each head does, over every text of the language
    methods    the methods that are scored: ours and five others
    measures   how their verdicts compare with the truth

Nothing but ``methods.study_of`` knows introspect's studies, and ``language.Text.case`` its cases.
"""
