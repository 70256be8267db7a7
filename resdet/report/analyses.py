"""Presents each analysis to people: the rows of its table, its conclusion and its picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from resdet.analysis.differences import LayerDifference, conclude_differences
from resdet.analysis.gradients import GradientProfile, conclude_gradients
from resdet.analysis.identity import conclude_identity
from resdet.analysis.lesion import LesionProfile, conclude_lesions
from resdet.analysis.paths import PathProfile, conclude_paths
from resdet.analysis.permutation import PermutationProfile, conclude_permutations
from resdet.analysis.responses import ResponseProfile, conclude_responses
from resdet.analysis.stability import LossCurve, conclude_stability
from resdet.analysis.training_curves import TrainedNet, by_shortcut, conclude_degradation, conclude_shortcuts
from resdet.report.analysis_files import Analysis, Cell
from resdet.report.analysis_plots import plot_gradients, plot_lesions, plot_responses, plot_training
from resdet.report.identity_plots import plot_identity
from resdet.report.norm_plots import plot_rates
from resdet.report.path_plots import plot_differences, plot_paths, plot_permutations


def degradation_analysis(nets: Mapping[str, TrainedNet]) -> Analysis:
    """The analysis of trained networks of several depths, keyed by their names in the picture."""
    rows = [{"network": name, "layers": net.layers, **_numbers(net)} for name, net in nets.items()]
    drawn = {name: [net] for name, net in nets.items()}
    return Analysis("degradation", rows, conclude_degradation(list(nets.values())), partial(plot_training, drawn))


def shortcut_analysis(nets: Sequence[TrainedNet]) -> Analysis:
    """The analysis of one trained network with several shortcut options, each of one seed or several."""
    options = by_shortcut(nets)
    rows = [{"shortcut": option, "seed": net.seed, **_numbers(net)} for option, some in options.items() for net in some]
    return Analysis("shortcuts", rows, conclude_shortcuts(nets), partial(plot_training, options))


def norm_analysis(curves: Sequence[LossCurve]) -> Analysis:
    """The analysis of networks with and without BN at several learning rates."""
    rows: list[dict[str, Cell]] = [
        {
            "network": each.network,
            "norm": each.norm,
            "rate": each.rate,
            "seed": each.seed,
            "first_loss": each.losses[0],
            "final_loss": each.final,
            "learns": int(each.learns),
        }
        for each in curves
    ]
    return Analysis("norm", rows, conclude_stability(curves), partial(plot_rates, curves))


def identity_analysis(curves: Sequence[LossCurve]) -> Analysis:
    """The analysis of the variants of residual blocks."""
    rows: list[dict[str, Cell]] = [
        {"variant": each.network, "seed": each.seed, "first_loss": each.losses[0], "final_loss": each.final} for each in curves
    ]
    return Analysis("identity", rows, conclude_identity(curves), partial(plot_identity, curves))


def gradient_analysis(profiles: Sequence[GradientProfile]) -> Analysis:
    """The analysis of the gradients of networks, each at one moment or several."""
    rows: list[dict[str, Cell]] = [
        {
            "network": profile.network,
            "moment": profile.moment,
            "layer": layer.layer,
            "depth": layer.depth,
            "projection": int(layer.is_projection),
            "norm": layer.norm,
            "relative_norm": layer.relative,
        }
        for profile in profiles
        for layer in profile.layers
    ]
    return Analysis("gradients", rows, conclude_gradients(profiles), partial(plot_gradients, profiles))


def response_analysis(profiles: Sequence[ResponseProfile]) -> Analysis:
    """The analysis of the responses of networks."""
    rows: list[dict[str, Cell]] = [
        {"network": profile.network, "layer": layer.layer, "depth": layer.depth, "deviation": layer.deviation}
        for profile in profiles
        for layer in profile.layers
    ]
    return Analysis("responses", rows, conclude_responses(profiles), partial(plot_responses, profiles))


def lesion_analysis(profiles: Sequence[LesionProfile]) -> Analysis:
    """The analysis of the errors of networks without some of their blocks."""
    rows = [row for profile in profiles for row in _lesion_rows(profile)]
    return Analysis("lesion", rows, conclude_lesions(profiles), partial(plot_lesions, profiles))


def path_analysis(profiles: Sequence[PathProfile]) -> Analysis:
    """The analysis of the paths of networks by length."""
    rows: list[dict[str, Cell]] = [
        {
            "network": profile.network,
            "blocks": each.blocks,
            "paths": str(each.paths),  # a text: 2^54 paths are more than a spreadsheet's numbers hold
            "norm": each.norm,
            "error": each.error,
            "gradient": each.gradient,
        }
        for profile in profiles
        for each in profile.lengths
    ]
    return Analysis("paths", rows, conclude_paths(profiles), partial(plot_paths, profiles))


def permutation_analysis(profiles: Sequence[PermutationProfile]) -> Analysis:
    """The analysis of the errors of networks whose blocks have changed places."""
    rows: list[dict[str, Cell]] = [
        {"network": profile.network, "swaps": swaps, "tau": tau, "error": error}
        for profile in profiles
        for swaps, tau, error in ((0, 1.0, profile.intact), *profile.swapped)
    ]
    return Analysis("permutation", rows, conclude_permutations(profiles), partial(plot_permutations, profiles))


def difference_analysis(differences: Sequence[LayerDifference]) -> Analysis:
    """The analysis of where two networks part."""
    rows: list[dict[str, Cell]] = [
        {
            "first": each.names[0],
            "second": each.names[1],
            "kind": each.kind,
            "taken": each.taken,
            "given": each.given,
            "reasons": "; ".join(each.reasons),
        }
        for each in differences
    ]
    return Analysis("diff", rows, conclude_differences(differences), partial(plot_differences, differences))


def _numbers(net: TrainedNet) -> dict[str, Cell]:
    return {"parameters": net.parameters, "train_error": net.train_error, "test_error": net.test_error}


def _lesion_rows(profile: LesionProfile) -> Iterator[dict[str, Cell]]:
    lesions = [((), profile.intact), *(((block,), error) for block, error in profile.single.items()), *profile.several]
    for number, (blocks, error) in enumerate(lesions):
        kind = "intact" if not blocks else "single" if number <= len(profile.single) else "random"
        yield {
            "network": profile.network,
            "kind": kind,
            "dropped": len(blocks),
            "blocks": " ".join(blocks),
            "error": error,
            "rise": error - profile.intact,
        }
