"""The optimiser moves matrices by Muon and the rest by AdamW, and goes on where it stopped."""

import torch

from inference.mljobs.shapes.optimisers import Optimiser


def network(seed=0):
    torch.manual_seed(seed)
    layers = (
        torch.nn.Conv2d(3, 32, 3, padding=1),
        torch.nn.SiLU(),
        torch.nn.Conv2d(32, 32, 3, padding=1),
        torch.nn.SiLU(),
        torch.nn.Conv2d(32, 3, 1),
    )
    return torch.nn.Sequential(*layers).to(memory_format=torch.channels_last)


def loss(net, seed):
    pictures = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.mse_loss(net(pictures), 2 * pictures)


def steps(net, optimiser, seeds):
    for seed in seeds:
        loss(net, seed).backward()
        optimiser.step(1e-3)
    return [it.detach().clone() for it in net.parameters()]


def test_every_weight_moves_and_the_loss_falls():
    net = network()
    before = [it.detach().clone() for it in net.parameters()]
    first = loss(net, 99).item()
    after = steps(net, Optimiser([net], 1e-3), range(60))
    assert all(not torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert loss(net, 99).item() < 0.8 * first


def test_the_step_of_a_matrix_weighs_all_directions_alike():
    net = network()
    before = net[2].weight.detach().clone()
    steps(net, Optimiser([net], 1e-3), [1])
    moved = (net[2].weight.detach() - before).flatten(1)
    strengths = torch.linalg.svdvals(moved)
    assert strengths.max() < 3 * strengths.min()


def test_a_restored_optimiser_steps_as_the_first_would_have():
    whole, cut = network(), network()
    expected = steps(whole, Optimiser([whole], 1e-3), range(6))
    early = Optimiser([cut], 1e-3)
    steps(cut, early, range(3))
    late = Optimiser([cut], 1e-3)
    late.restore(early.state())
    for one, other in zip(steps(cut, late, range(3, 6)), expected, strict=True):
        assert torch.equal(one, other)


def test_networks_without_a_matrix_are_trained_too():
    net = torch.nn.Conv2d(3, 3, 1)
    before = net.weight.detach().clone()
    steps(net, Optimiser([net], 1e-3), [1])
    assert not torch.equal(before, net.weight)
