"""The error codes of rows that are this module's own. docs/operations.md has the cause and the remedy of each.

A row may have two other kinds of codes: those that Bedrock gives to a record, and, where no answer came, the status of
the last job that had the record.
"""

from enum import StrEnum


class RowError(StrEnum):
    """What the column `error_code` says of a row."""

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
