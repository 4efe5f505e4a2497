"""What may be written of a text that was not made for a log: an exception's words, what a library said.

Fields are withheld by their names (`api.logs`, `gateway.logs`). Texts have no names: an error of validation repeats
what it did not like, an error of conversion the string, a mistake of ours whatever was in hand. So whatever looks like
somebody's words, number or secret is taken out of every text; ids, times, paths and the program's own English stay.
"""

import re
from typing import Final

REDACTED: Final = "[redacted]"
_VALUES: Final = re.compile(
    r"""
      (?<=input_value=).*?(?=,\ input_type=)    # pydantic says what it was given
    | (?:[^\x00-\x7f]+\s*)+                     # names and words: the program's own logs are English
    | \\u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*   # the same, as JSON writes them
    | (?:\\x[89a-fA-F][0-9a-fA-F]){2,}          # the same, as octets
    | (?<![\d.])1[3-9]\d{9}(?![\d.])            # a mobile number
    | (?<!\d)0\d{2,3}-\d{7,8}(?!\d)             # a number with its area code
    | (?<!\d)\d{17}[\dXx](?!\d)                 # of an identity card
    | (?<![0-9a-fA-F])[0-9a-f]{32,}(?![0-9a-f]) # keys and digests
    | (?<![\w/.+-])(?=[\w+=/-]*[A-Z])(?=[\w+=/-]*[a-z])(?=[\w+=/-]*\d)[\w+=-]{22,}(?![\w/.]) # tokens, passwords
    | (?<=://)[^\s/@:]+:[^\s/@]+(?=@)           # who, and by what password, in an address
    """,
    re.VERBOSE | re.DOTALL,
)


def without_values(text: str) -> str:
    """The text, without what somebody wrote or owns."""
    return _VALUES.sub(REDACTED, text)
