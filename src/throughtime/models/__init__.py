"""Embedding, backbone and head: whole models of sequences, with their probabilities, samples and configurations."""

from .configuration import ModelConfiguration as ModelConfiguration
from .configuration import RecurrentConfiguration as RecurrentConfiguration
from .configuration import SymbolModelConfiguration as SymbolModelConfiguration
from .configuration import ValueModelConfiguration as ValueModelConfiguration
from .decoding import Decoding as Decoding
from .heads import HEADS as HEADS
from .heads import BernoulliHead as BernoulliHead
from .heads import CategoricalHead as CategoricalHead
from .heads import Head as Head
from .heads import NormalHead as NormalHead
from .heads import StudentTHead as StudentTHead
from .sequence import SequenceModel as SequenceModel
from .sequence import negative_log_likelihood as negative_log_likelihood
