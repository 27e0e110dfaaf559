"""The sections of a run's report."""

from ._features import frechet_judge as frechet_judge
