"""What every body that HTTP takes or gives has in common."""

from pydantic import BaseModel, ConfigDict

from broker.kinds import Words


class Answer(BaseModel):
    """What is answered: closed, so that nothing slips in that nobody decided to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(BaseModel):
    """What is asked: closed, so that a misspelt field is told and not overlooked."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class WordsAnswer(Answer):
    """A word in both languages."""

    zh: str
    en: str


def words_answer(words: Words) -> WordsAnswer:
    """`words` as HTTP shows them."""
    return WordsAnswer(zh=words.zh, en=words.en)
