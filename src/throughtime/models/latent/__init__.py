"""Models with latent variables: variational autoencoders, the bounds they are trained by, and what they are not."""

from .autoencoder import Autoencoder as Autoencoder
from .bounds import EvidenceLowerBound as EvidenceLowerBound
from .bounds import evidence_lower_bound as evidence_lower_bound
from .bounds import importance_weighted_bound as importance_weighted_bound
from .sequence import SequenceVAE as SequenceVAE
from .vae import VAE as VAE
