"""The API for programs: the verbs of the facade as JSON over HTTP, below `/v1`.

`routes` answers requests, `calls` runs verbs for whoever asks, `models` checks what is sent,
`openapi` describes it all, `answers` remembers what a retry must not do again, `transactions` keeps
functions of clients inside a transaction, `feed` tells of changes as they happen.

Verbs and shapes are those of `swarm_memory.wire`; there are no rules here.
"""
