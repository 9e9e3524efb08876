"""The head that chooses among classes: bins of each dimension, or whole commands."""

import pytest
import torch

from mobile_vla.config.heads.tokens import Tokens
from mobile_vla.errors import UserError
from mobile_vla.model.heads import build_head
from support.policy_settings import policy_settings

W, C, A, D = 3, 4, 2, 32
LEARNED = torch.tensor([True, True])


def head_of(**settings):
    torch.manual_seed(0)
    head = Tokens(type="tokens", hidden_size=8, **settings)
    return build_head(policy_settings("lora", window=W, chunk=C, head=head), D).eval()


def test_bins_are_the_nearest_and_the_stop_is_one():
    head = head_of(classes=5)
    targets = torch.tensor([[[0.0, -1.0], [0.3, 9.0], [0.2, -0.7], [-0.26, 0.74]]])
    places = head._classes(targets, LEARNED)
    assert places.tolist() == [[[2, 0], [3, 4], [2, 1], [1, 3]]]
    assert head.table.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_the_cross_entropy_is_a_mean_over_what_is_learnt():
    head = head_of(classes=5)
    states, targets = torch.randn(3, 8), torch.zeros(3, C, A)
    with torch.no_grad():
        logits = head._logits(states)
        both = head.compare(states, targets, LEARNED).loss
        one = head.compare(states, targets, torch.tensor([False, True])).loss
    expected = -logits.log_softmax(-1)[..., 2]
    torch.testing.assert_close(both, expected.mean(-1))
    torch.testing.assert_close(one, expected[..., 1])


def test_commands_are_those_of_the_episodes_and_the_nearest_is_true():
    head = head_of(classes="commands", mlp=(6,))
    keys = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.5], [1.0, 0.0]])
    head.prepare(keys)
    assert int(head.known.sum()) == 3
    targets = torch.tensor([[[0.9, 0.1], [0.9, 0.4], [-1.0, 0.0], [1.0, 0.5]]])
    found = head.table[head._classes(targets, LEARNED)[..., 0]]
    assert found.tolist() == [[[1.0, 0.0], [1.0, 0.5], [0.0, 0.0], [1.0, 0.5]]]
    with torch.no_grad():
        answers = head(torch.randn(50, W, D)).view(-1, A)
    assert {tuple(one) for one in answers.tolist()} <= {tuple(one) for one in keys.tolist()}
    head.prepare(torch.tensor([[1.0, 0.5], [-1.0, 0.0]]), trained=True)  # of a run that goes on
    assert head.table[head.known].tolist() == [[0.0, 0.0], [1.0, 0.0], [1.0, 0.5], [-1.0, 0.0]]
    with pytest.raises(UserError, match=r"65 distinct commands, .* 64 at most"):
        head.prepare(torch.arange(130.0).view(65, 2))


def test_classes_are_drawn_by_their_probabilities_and_alike_for_the_same_window():
    head = head_of(classes=5, choose="sample")
    states = torch.randn(4000, 8)
    wanted = torch.tensor([0.1, 0.0, 0.4, 0.3, 0.2])
    logits = wanted.log().expand(4000, C, A, 5)
    drawn = head._drawn(logits, states)
    for step in range(C):
        shares = drawn[:, step].flatten().bincount(minlength=5) / (4000 * A)
        torch.testing.assert_close(shares, wanted, rtol=0, atol=0.03)
    assert (drawn[:, 0, 0] == drawn[:, 0, 1]).float().mean() < 0.6
    assert torch.equal(head._drawn(logits[:7], states[:7]), drawn[:7])
