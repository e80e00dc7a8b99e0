"""The names that lessons import from `torch.utils.data`."""

from minigan.data import DataLoader, Dataset, TensorDataset
