"""The error codes that this module itself gives to rows. docs/operations.md has the cause and the remedy of each.

A row may have two other kinds of codes: the code that Bedrock gives to a record, and, if no answer came, the status of
the last job that had the record.
"""

from enum import StrEnum


class RowError(StrEnum):
    """A value of the column `error_code`."""

    # The row was not sent.
    NULL_COLUMN = "NullColumn"
    EMPTY_TEXT = "EmptyText"
    TOO_LONG = "TooLong"
    MEDIA_NOT_USABLE = "MediaNotUsable"
    NO_MODEL_INPUT = "NoModelInput"

    # An answer came, but it cannot be used.
    EMPTY_ANSWER = "EmptyAnswer"
    UNPARSEABLE = "Unparseable"
    WRONG_DIMENSIONS = "WrongDimensions"
    INVALID_ANSWER = "InvalidAnswer"
    MODEL_ERROR = "ModelError"

    # No answer came.
    EXPIRED = "expired"
    REFUSED_TWICE = "RefusedTwice"
    UNKNOWN_ERROR = "UnknownError"
