"""Simulated worlds: what calls come to equals the closed form, and the dials of the noise do what they say."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from nullgrad.core.chat import Request
from nullgrad.core.draws import DrawPath
from nullgrad.edges.sim import SimModel, World, parse_world, sim_task
from nullgrad.edges.sim.messages import Batch
from nullgrad.edges.sim.mix import Luck, mix, mix_many, normal, normal_many, uniform
from nullgrad.edges.sim.rules import HARMFUL, HELPFUL, RIGHT, about_label, single
from nullgrad.edges.sim.signal import Noise, chances, log_softmax

SEED = "Say what kind of message it is."
SPECS = [
    f"{world}?classes={classes}&{noise}"
    for world, classes, noise in product(
        ("gradient", "prevalence", "threshold"), (2, 3), ("rho=0.5", "rho=0&redraw=0", "rho=1", "redraw=0.3")
    )
]


def prompts_of(world: World) -> list[str]:
    """A few prompts with effects in some world."""
    last = world.size - 1
    rules = [
        (),
        (RIGHT[0], HARMFUL[2]),
        (about_label("suppress", last)[0],),
        (about_label("less", last)[1], about_label("less", last)[2]),
        HELPFUL[:2],
    ]
    return [" ".join([SEED, *(rule.sentence for rule in some)]) for some in rules]


def population(world: World, n: int, seed: int = 0) -> Batch:
    """Many examples with the population's shares and keys of their own."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(world.size, size=n, p=np.array(world.prior))
    keys = rng.integers(0, 2**63, size=n, dtype=np.uint64)
    return Batch(labels, rng.integers(0, 4, size=n), np.full(n, -1), keys)


def answers(world: World, prompt: str, batch: Batch, key: int, draw: int) -> np.ndarray:
    """Places of the labels answered."""
    draws = np.full(len(batch), draw, dtype=np.uint64)
    shared = world.noise.of_messages(batch.keys)
    return world.noisy(world.effect(prompt), key, batch, shared, draws).argmax(axis=1)


@pytest.mark.parametrize("spec", SPECS)
def test_recalls_rates_and_accuracy_equal_the_closed_form_whatever_the_correlation(spec: str) -> None:
    world = parse_world(spec)
    for number, prompt in enumerate(prompts_of(world)):
        truth = world.truth(prompt)
        batch = population(world, 20_000, number)
        got = answers(world, prompt, batch, 77 + number, 5)
        for place, label in enumerate(world.labels):
            mine = batch.labels == place
            for share, hits in (
                (truth.recalls[label], got[mine] == place),
                (truth.rates[label], got == place),
            ):
                error = math.sqrt(max(share * (1 - share), 1e-6) / hits.size)
                assert abs(hits.mean() - share) < 4.2 * error
        hit = (got == batch.labels).mean()
        assert abs(hit - truth.accuracy) < 4.2 * math.sqrt(truth.accuracy * (1 - truth.accuracy) / 20_000)
        assert truth.accuracy == pytest.approx(
            sum(truth.prior[label] * truth.recalls[label] for label in world.labels), abs=1e-12
        )


def test_replies_of_the_model_have_the_closed_form_too() -> None:
    world = parse_world("sim:prevalence?rho=0")
    task = sim_task(world.task_name, split={"train": 2, "validation": 2, "test": 300})
    prompt = prompts_of(world)[2]
    model, path = SimModel(world), DrawPath(3, 1)
    truth = world.truth(prompt, task.test)
    right = {label: [] for label in world.labels}
    for round_ in range(6):
        for one in task.test:
            request = Request(
                "m", task.view.messages(prompt, one), draw=path.forward("test", one.id, round_), logprobs=2
            )
            right[one.target].append(model.reply(request).text == one.target)
    for label, hits in right.items():
        error = math.sqrt(truth.recalls[label] * (1 - truth.recalls[label]) / len(hits))
        assert abs(np.mean(hits) - truth.recalls[label]) < 4 * error


def test_three_classes_agree_with_the_normal_integral_of_scipy() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(6, 3))
    for scale in (1.0, 0.4):
        got = chances(scores, scale)
        for row, found in zip(scores, got, strict=True):
            for place in range(3):
                others = [one for one in range(3) if one != place]
                mean = [(row[place] - row[one]) / scale for one in others]
                # The differences of independent noises of variance 1/2 have variance 1 and covariance 1/2.
                expected = multivariate_normal.cdf(mean, mean=[0, 0], cov=[[1, 0.5], [0.5, 1]])
                assert found[place] == pytest.approx(expected, abs=2e-6)
    assert np.allclose(chances(scores, 1.0).sum(axis=1), 1.0)
    assert (chances(scores, 0.0).argmax(axis=1) == scores.argmax(axis=1)).all()
    assert np.allclose(chances(scores, 1e-6), chances(scores, 0.0), atol=1e-6)


@pytest.mark.parametrize(
    ("rho", "redraw"), [(0.0, 1.0), (0.5, 1.0), (0.9, 1.0), (1.0, 1.0), (0.5, 0.4), (0.0, 0.0)]
)
def test_rho_and_redraw_correlate_answers_as_a_gaussian_copula(rho: float, redraw: float) -> None:
    world = parse_world(f"null?rho={rho}&redraw={redraw}")
    n = 40_000
    batch = population(world, n)
    p = world.accuracy(SEED)
    threshold = norm.ppf(p)

    def both(correlation: float) -> float:
        if correlation >= 1.0:
            return p
        return float(
            multivariate_normal.cdf([threshold] * 2, mean=[0, 0], cov=[[1, correlation], [correlation, 1]])
        )

    one, other = answers(world, SEED, batch, 1, 7), answers(world, SEED, batch, 2, 7)
    again = answers(world, SEED, batch, 1, 8)
    fixed = rho + (1 - rho) * (1 - redraw)
    for got, correlation in (((one, other), rho), ((one, again), fixed)):
        share = np.mean([(got[0] == batch.labels) & (got[1] == batch.labels)])
        assert abs(share - both(correlation)) < 4.2 * math.sqrt(p * (1 - p) / n)
    if fixed == 1.0:
        assert (one == again).all()
    elif fixed == 0.0:
        assert (one != again).any()


def test_plain_python_and_numpy_draw_the_same_numbers_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 2**64 - 1, size=300, dtype=np.uint64)
    states = mix_many(np.uint64(99), keys)
    assert [mix(99, int(key)) for key in keys] == states.tolist()
    assert [normal(int(state)) for state in states.tolist()] == normal_many(states).tolist()
    for size in (2, 3):
        for rho, redraw in ((0.5, 0.7), (0.0, 0.0), (1.0, 1.0), (0.3, 1.0)):
            noise = Noise(rho, redraw, size, 12345)
            draws = keys[::-1].copy()
            many = noise.spread_many(noise.of_calls(42, keys, noise.of_messages(keys), draws))
            for place in range(40):
                plain = noise.spread(noise.of_call(42, int(keys[place]), int(draws[place])))
                assert plain == many[place].tolist()


def test_the_mix_is_splitmix64() -> None:
    # Reference values of Vigna's splitmix64.c with seed 1234567 (Rosetta Code, "Pseudo-random numbers/Splitmix64").
    state, known = 1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]
    for expected in known:
        assert mix(state, 0) == expected
        state = (state + 0x9E3779B97F4A7C15) % 2**64
    values = [uniform(mix(5, place)) for place in range(20_000)]
    assert min(values) > 0 and max(values) < 1
    assert abs(np.mean(values) - 0.5) < 4 * math.sqrt(1 / 12 / len(values))
    assert max(uniform(2**64 - 1), uniform(2**64 - 2)) < 1 and uniform(0) > 0
    counts = np.bincount([Luck(mix(3, place)).below(7, 1) for place in range(14_000)], minlength=7)
    assert ((counts - 2000) ** 2 / 2000).sum() < 22.5


@pytest.mark.parametrize("classes", [2, 3])
def test_a_bias_on_the_log_probabilities_is_a_shift_of_the_threshold(classes: int) -> None:
    world = parse_world(f"threshold?classes={classes}")
    task = sim_task(world.task_name)
    draws = [DrawPath(0, 0).forward("test", one.id) for one in task.test]
    logs = world.log_probabilities(task.view, SEED, task.test, draws)
    assert np.allclose(np.exp(logs).sum(axis=1), 1.0)
    places = [world.labels.index(one) for one in world.answers(task.view, SEED, task.test, draws)]
    assert logs.argmax(axis=1).tolist() == places
    # The same noise under a moved bias: what a `less` rule does to every score.
    rule = about_label("less", classes - 1)[0].sentence
    batch = world.read(task.test)
    shared = world.noise.of_messages(batch.keys)
    drawn = np.array(draws, dtype=np.uint64)
    plain = world.noisy(world.effect(SEED), 5, batch, shared, drawn)
    moved = world.noisy(world.effect(f"{SEED} {rule}"), 5, batch, shared, drawn)
    shift = world.effect(f"{SEED} {rule}").bias[-1] - world.effect(SEED).bias[-1]
    bias = np.zeros(classes)
    bias[-1] = 2.0 * shift
    assert shift < 0
    assert ((log_softmax(plain) + bias).argmax(axis=1) == moved.argmax(axis=1)).all()
    assert (plain.argmax(axis=1) != moved.argmax(axis=1)).any()


def test_the_truth_on_a_split_is_what_repeated_draws_average_to() -> None:
    world = parse_world("gradient?rho=0.6&redraw=0.5&classes=3")
    task = sim_task(world.task_name, split={"train": 2, "validation": 2, "test": 60})
    prompt = prompts_of(world)[1]
    expected = world.expected(task.view, prompt, task.test)
    total = np.zeros_like(expected)
    rounds = 400
    for number in range(rounds):
        draws = [DrawPath(0, number).forward("test", one.id) for one in task.test]
        got = world.log_probabilities(task.view, prompt, task.test, draws).argmax(axis=1)
        total[np.arange(60), got] += 1
    error = np.sqrt(np.maximum(expected * (1 - expected), 0.002) / rounds)
    assert (np.abs(total / rounds - expected) < 4.5 * error).all()
    truth = world.split_truth(task.view, prompt, task.test)
    right = [world.labels.index(one.target) for one in task.test]
    assert truth.accuracy == pytest.approx(expected[np.arange(60), right].mean())
    # Given its difficulty an example is not the population's average.
    assert abs(truth.accuracy - world.accuracy(prompt, task.test)) > 1e-3


def test_a_rule_about_one_example_helps_that_one_alone() -> None:
    world = parse_world("overfit")
    task = sim_task("sim/overfit", split={"train": 10, "validation": 10, "test": 10})
    batch = world.read(task.view.train)
    rule = single(int(batch.numbers[3]), int(batch.labels[3])).sentence
    wrong = single(int(batch.numbers[4]), 1 - int(batch.labels[4])).sentence
    seed = world.truth(SEED).accuracy
    for place, one in enumerate(task.view.train):
        got = world.accuracy(f"{SEED} {rule} {wrong}", [one])
        assert got == pytest.approx(seed) if place not in (3, 4) else abs(got - seed) > 0.3
    assert world.accuracy(f"{SEED} {rule}", [task.view.train[3]]) > 0.99
    assert world.accuracy(f"{SEED} {rule}", task.test) == world.accuracy(SEED, task.test)
