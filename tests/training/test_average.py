"""What a run ends with is what it learnt, however few its steps are."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from training.average import running_average, share_of_newest


def averaged(decay: float, num_steps: int) -> float:
    """The average of a weight that is 1 before the first step and 0 from it on."""
    network = nn.Linear(1, 1, bias=False)
    average = AveragedModel(network, multi_avg_fn=running_average(decay), use_buffers=True)
    nn.init.ones_(network.weight)
    average.update_parameters(network)
    nn.init.zeros_(network.weight)
    for _ in range(num_steps):
        average.update_parameters(network)
    return float(next(average.parameters()).detach())


def test_a_short_run_forgets_the_weights_that_it_began_with() -> None:
    assert averaged(0.99, 30) < 1e-6
    assert 0.99**30 > 0.7, "as an average of one length would keep of them"


def test_a_long_run_is_averaged_over_the_same_steps_as_ever() -> None:
    assert [share_of_newest(0.99, step) for step in (1000, 5000)] == pytest.approx([0.01, 0.01])
    assert share_of_newest(0.0, 7) == 1.0


def test_statistics_are_averaged_and_counts_are_the_newest() -> None:
    network = nn.BatchNorm1d(2)
    average = AveragedModel(network, multi_avg_fn=running_average(0.5), use_buffers=True)
    for mean in (0.0, 8.0):
        for buffer in (network.running_mean, network.running_var):
            assert buffer is not None
            buffer.fill_(mean)
        assert network.num_batches_tracked is not None
        network.num_batches_tracked.fill_(int(mean))
        average.update_parameters(network)
    found = average.module.state_dict()
    assert found["running_mean"].tolist() == pytest.approx([8 * 9 / 11] * 2)
    assert found["num_batches_tracked"].equal(torch.tensor(8))
