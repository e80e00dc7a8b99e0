"""What surrounds a training loop: command line, progress, checkpoints, metrics and pictures."""

from minigan.training.arguments import (
    ArgumentParser, folder_or_name, positive_float, positive_int, run)
from minigan.training.checkpoint import Checkpoint
from minigan.training.confusion import confusion_matrix, format_confusion
from minigan.training.folders import new_run_folder, output_folder, run_folder
from minigan.training.health import check_gan, discriminator_warning, generator_warning
from minigan.training.index import update_index
from minigan.training.metrics import (
    LabelShare, checkerboard_ratio, features_of, frechet_distance, label_share, mean_distance,
    spread_ratio, spread_within_labels)
from minigan.training.plots import (
    plot_feature_maps, plot_history, plot_losses, plot_predictions)
from minigan.training.progress import Progress
from minigan.training.runs import Every, Run, RunEnded
from minigan.training.samples import plot_sample_grid, save_animation
