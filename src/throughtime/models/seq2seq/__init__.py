"""From a sequence to another, of its own length and alphabet."""

from .conditional import Conditional as Conditional
from .recurrent import RecurrentSeq2Seq as RecurrentSeq2Seq
from .transformer import Seq2Seq as Seq2Seq
