"""A network's passes as one launch. What happens on a GPU is tested where there is one."""

import pytest
import torch
from torch import Tensor, nn

from training.captured import capture_passes

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="captures CUDA graphs, which need a GPU")


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def gradients(network: nn.Module, images: Tensor) -> list[Tensor]:
    network.zero_grad()
    network(images).square().sum().backward()
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def test_on_a_processor_a_network_stays_as_it_is() -> None:
    network = small_network()
    assert not capture_passes(network, num_steps=10)
    assert "forward" not in vars(network)


@on_a_gpu
def test_captured_passes_give_the_gradients_and_statistics_of_plain_ones() -> None:
    plain, captured = (small_network().cuda().train() for _ in range(2))
    assert capture_passes(captured, num_steps=10)
    for number, size in enumerate((6, 6, 5, 6)):  # a batch of another size is not replayed
        images = torch.randn(size, 3, 16, 16, generator=torch.Generator().manual_seed(number)).cuda()
        for found, expected in zip(gradients(captured, images), gradients(plain, images), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    for found, expected in zip(captured.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@on_a_gpu
def test_a_network_whose_parts_overhear_each_other_is_not_captured() -> None:
    network = small_network().cuda()
    network[0].register_forward_hook(lambda *_: None)
    assert not capture_passes(network, num_steps=10)
