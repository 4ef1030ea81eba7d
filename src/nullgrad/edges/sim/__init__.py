"""Simulated worlds with known truth: `sim:WORLD?dial=value` as a model, `sim/WORLD` as a task.

A world plays generator, optimizer and critic by reading ordinary requests, and knows the exact accuracy of any prompt.
`simulate_study` carries a study out without requests, with the same draws and the same facts.
"""

from nullgrad.edges.sim.dials import Dials
from nullgrad.edges.sim.model import SimModel
from nullgrad.edges.sim.predictions import BATTERY, TRUTHS, declared_truth
from nullgrad.edges.sim.task import sim_task
from nullgrad.edges.sim.truth import ArmTruth, final_truths, true_curve, true_difference, true_means
from nullgrad.edges.sim.truth_of_prompt import Truth
from nullgrad.edges.sim.vector import sim_study, simulate_study
from nullgrad.edges.sim.worlds import WORLDS, World, parse_world

__all__ = [
    "BATTERY",
    "TRUTHS",
    "WORLDS",
    "ArmTruth",
    "Dials",
    "SimModel",
    "Truth",
    "World",
    "declared_truth",
    "final_truths",
    "parse_world",
    "sim_study",
    "sim_task",
    "simulate_study",
    "true_curve",
    "true_difference",
    "true_means",
]
