"""A finished run's network, read back."""

from pathlib import Path

from training.checkpoint import load_weights
from training.classifier import Classifier, make_classifier
from training.config import RunConfig, read_config
from training.run_folder import CONFIG


def load_run(folder: Path, num_classes: int) -> tuple[RunConfig, Classifier]:
    """A finished run's configuration and network, in evaluation mode. Raises ValueError."""
    config = read_config(folder / CONFIG)
    pretrained = "none"
    folded = config.model.pretrained.endswith(".npz")
    classifier = make_classifier(
        config.with_(model={"pretrained": pretrained}), num_classes, same_padding=folded
    )
    load_weights(folder, classifier)
    return config, classifier.eval()
