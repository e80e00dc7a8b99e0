"""What surrounds a training loop: its command line, a progress line, plots, a confusion table."""

from minigan.training.arguments import (
    ArgumentParser, output_folder, positive_float, positive_int)
from minigan.training.confusion import confusion_matrix, format_confusion
from minigan.training.plots import plot_feature_maps, plot_losses, plot_predictions
from minigan.training.progress import Progress

__all__ = ["ArgumentParser", "Progress", "confusion_matrix", "format_confusion", "output_folder",
           "plot_feature_maps", "plot_losses", "plot_predictions", "positive_float",
           "positive_int"]
