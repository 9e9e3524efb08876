"""Drawings: a function a figure, of the figure's name; and the style that they share."""

# ruff: noqa: F401  (the figures are looked up here by their names)
from mobile_vla.reporting.drawing.action_sequences import action_sequences
from mobile_vla.reporting.drawing.closed_loop import closed_loop
from mobile_vla.reporting.drawing.confusion import confusion
from mobile_vla.reporting.drawing.coverage import coverage
from mobile_vla.reporting.drawing.differences import differences
from mobile_vla.reporting.drawing.episodes import episodes
from mobile_vla.reporting.drawing.epoch_time import epoch_time
from mobile_vla.reporting.drawing.error_along import error_by_frame, error_by_step
from mobile_vla.reporting.drawing.error_by_dimension import error_by_dimension
from mobile_vla.reporting.drawing.error_by_scenario import error_by_scenario
from mobile_vla.reporting.drawing.error_by_training_size import error_by_training_size
from mobile_vla.reporting.drawing.language import language
from mobile_vla.reporting.drawing.latency import latency
from mobile_vla.reporting.drawing.loss_curves import loss_curves
from mobile_vla.reporting.drawing.overfitting_gap import overfitting_gap
from mobile_vla.reporting.drawing.predicted_paths import predicted_paths
from mobile_vla.reporting.drawing.speed_ablation import speed_ablation
from mobile_vla.reporting.drawing.sweeps import sweeps
from mobile_vla.reporting.drawing.tolerance import tolerance
from mobile_vla.reporting.drawing.velocity_traces import velocity_traces
