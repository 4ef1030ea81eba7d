"""The publisher's rules of BIG-Bench Extra Hard, kept to the letter.

Source: github.com/google-deepmind/bbeh, `bbeh/evaluate.py` (Apache-2.0). A leading prefix is looked for with
its exact case; of several the text behind the last occurrence of each, in turn, is kept.
"""

from __future__ import annotations

PREFIXES = ("The answer is:", "The final answer is ", "The final answer is: ", "The answer is ")
"""In the order in which they are tried, each on what the one before left."""

_WRAPPERS = ("boxed{", "text{", "texttt{")


def strip_latex(text: str) -> str:
    r"""The text without `$…$`, `\boxed{…}`, `\text{…}`, `\texttt{…}` around its end, each at most once."""
    if text.startswith("$") and text.endswith("$"):
        text = text[1:-1]
    for wrapper in _WRAPPERS:
        if wrapper in text and text.endswith("}"):
            text = text[:-1].split(wrapper)[1]
    return text


def extract_answer(reply: str) -> str:
    """What follows the prefixes, without a final period and LaTeX; the whole reply where there is none."""
    answer = reply
    for prefix in PREFIXES:
        if prefix in answer:
            answer = answer.rsplit(prefix, 1)[-1].strip()
    return strip_latex(answer.removesuffix("."))


def prediction_of(reply: str) -> str:
    """The answer in a reply as it is compared: lower case, "," for ", ", no "**", first line, no final period."""
    answer = extract_answer(reply.strip()).lower()
    answer = answer.replace(", ", ",").replace("**", "")
    return answer.split("\n", 1)[0].removesuffix(".")


def reference_of(target: str) -> str:
    """A target as it is compared."""
    return target.strip().lower().replace(", ", ",")


def fuzzy_match(prediction: str, reference: str) -> bool:
    """Whether a prediction counts as the reference: equal, "(a)" for "a", equal as floats, or but for quotes,
    brackets around one of them, or a final "?" of the prediction."""
    if prediction == reference:
        return True
    if len(prediction) == 3 and prediction[0] == "(" and prediction[-1] == ")":
        return prediction[1] == reference
    if len(reference) == 3 and reference[0] == "(" and reference[-1] == ")":
        return reference[1] == prediction
    if _equal_floats(prediction, reference):
        return True
    if prediction.replace("'", "") == reference.replace("'", ""):
        return True
    if prediction == f"[{reference}]" or reference == f"[{prediction}]":
        return True
    return prediction.endswith("?") and prediction[:-1] == reference


def _equal_floats(left: str, right: str) -> bool:
    try:
        return float(left) == float(right)
    except ValueError:
        return False
