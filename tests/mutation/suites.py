"""Which tests are asked first about a change, and which after them."""

from __future__ import annotations

from pathlib import Path

#: What the mechanical changes are made to.
SCOPE = (
    "sparcl_ref/policies",
    "sparcl_ref/regime.py",
    "sparcl_ref/sparcl",
    "sparcl_ref/masks.py",
    "sparcl_ref/replay.py",
    "sparcl_ref/losses.py",
    "sparcl_ref/layers",
)

#: The longest prefix of a changed file's path decides.
FIRST = {
    "sparcl_ref/alignment.py": ("tests/test_alignment.py",),
    "sparcl_ref/assembly.py": (
        "tests/test_assembly.py",
        "tests/test_experiment.py",
        "tests/streams/test_scenarios.py",
        "tests/streams/test_validation.py",
        "tests/test_forecast.py",
    ),
    "sparcl_ref/checkpoint.py": ("tests/test_checkpoint.py", "tests/test_keeper.py", "tests/test_survival.py"),
    "sparcl_ref/config.py": ("tests/test_config.py",),
    "sparcl_ref/cost": ("tests/cost",),
    "sparcl_ref/cost/sizes.py": ("tests/cost/test_sizes.py", "tests/cost"),
    "sparcl_ref/cost/walk.py": ("tests/cost/test_walk.py", "tests/policies/test_in_a_run.py"),
    "sparcl_ref/cost/work.py": ("tests/cost/test_work.py", "tests/policies/test_in_a_run.py"),
    "sparcl_ref/draws.py": ("tests/test_draws.py", "tests/test_trainer.py"),
    "sparcl_ref/durable.py": ("tests/test_durable.py", "tests/test_survival.py"),
    "sparcl_ref/experiment.py": ("tests/test_experiment.py", "tests/test_trainer.py"),
    "sparcl_ref/fast": ("tests/fast",),
    "sparcl_ref/fast/elementwise.py": ("tests/fast/test_pooling.py", "tests/fast/test_structures.py"),
    "sparcl_ref/fast/update.py": ("tests/fast/test_update.py",),
    "sparcl_ref/forecast.py": ("tests/test_forecast.py",),
    "sparcl_ref/history.py": ("tests/test_history.py", "tests/test_trainer.py"),
    "sparcl_ref/inspection.py": ("tests/test_inspection.py", "tests/test_trainer.py"),
    "sparcl_ref/keeper.py": ("tests/test_keeper.py", "tests/test_survival.py"),
    "sparcl_ref/layers": ("tests/layers",),
    "sparcl_ref/layers/base.py": ("tests/layers/test_base.py", "tests/layers"),
    "sparcl_ref/layers/batchnorm.py": ("tests/layers/test_batchnorm.py",),
    "sparcl_ref/layers/checks.py": ("tests/layers/test_checks.py",),
    "sparcl_ref/layers/conv.py": ("tests/layers/test_conv.py",),
    "sparcl_ref/layers/dropout.py": ("tests/layers/test_dropout.py",),
    "sparcl_ref/layers/linear.py": ("tests/layers/test_linear.py",),
    "sparcl_ref/layers/parameter.py": ("tests/layers/test_parameter.py", "tests/layers"),
    "sparcl_ref/layers/pooling.py": ("tests/layers/test_pooling.py",),
    "sparcl_ref/layers/relu.py": ("tests/layers/test_relu.py",),
    "sparcl_ref/layers/residual.py": ("tests/layers/test_residual.py",),
    "sparcl_ref/layers/sequential.py": ("tests/layers/test_sequential.py",),
    "sparcl_ref/layers/unchanged.py": ("tests/layers/test_unchanged.py",),
    "sparcl_ref/layers/windows.py": ("tests/layers/test_windows.py", "tests/layers/test_pooling.py"),
    "sparcl_ref/losses.py": ("tests/test_losses.py", "tests/test_regressions.py"),
    "sparcl_ref/masks.py": ("tests/test_masks.py", "tests/test_budgets.py", "tests/test_large_counts.py"),
    "sparcl_ref/methods": ("tests/methods",),
    "sparcl_ref/methods/joint.py": ("tests/cost/test_paper.py", "tests/methods"),
    "sparcl_ref/metrics.py": ("tests/test_metrics.py",),
    "sparcl_ref/models.py": ("tests/torch_twin",),
    "sparcl_ref/optimizers.py": ("tests/test_learning_rate.py", "tests/test_optimizers.py"),
    "sparcl_ref/own_training.py": ("tests/test_own_training.py",),
    "sparcl_ref/pass_sizes.py": ("tests/test_pass_sizes.py",),
    "sparcl_ref/progress.py": ("tests/test_progress.py", "tests/test_survival.py"),
    "sparcl_ref/replay.py": ("tests/test_replay.py", "tests/test_reservoir.py", "tests/test_large_counts.py"),
    "sparcl_ref/run_folder.py": ("tests/test_run_folder.py",),
    "sparcl_ref/saved.py": ("tests/test_saved.py",),
    "sparcl_ref/sparcl": ("tests/sparcl",),
    "sparcl_ref/sparcl/ddr.py": ("tests/sparcl/test_ddr.py", "tests/test_large_counts.py"),
    "sparcl_ref/sparcl/dgm.py": ("tests/sparcl/test_dgm.py",),
    "sparcl_ref/sparcl/importance.py": ("tests/sparcl/test_importance.py", "tests/sparcl/test_probe.py"),
    "sparcl_ref/policies": ("tests/policies",),
    "sparcl_ref/policies/base.py": ("tests/policies/test_gmp.py", "tests/policies"),
    "sparcl_ref/policies/exchange.py": ("tests/policies/test_set.py", "tests/policies/test_rigl.py"),
    "sparcl_ref/policies/gmp.py": ("tests/policies/test_gmp.py",),
    "sparcl_ref/policies/rigl.py": ("tests/policies/test_rigl.py",),
    "sparcl_ref/policies/set.py": ("tests/policies/test_set.py",),
    "sparcl_ref/policies/snip.py": ("tests/policies/test_snip.py",),
    "sparcl_ref/groups.py": ("tests/test_groups.py", "tests/test_regime.py"),
    "sparcl_ref/regime.py": ("tests/test_regime.py", "tests/test_regime_steps.py", "tests/sparcl/test_rules.py"),
    "sparcl_ref/sparcl/removal.py": ("tests/sparcl/test_removal.py", "tests/test_regime_steps.py"),
    "sparcl_ref/sparcl/released.py": ("tests/sparcl/test_released.py",),
    "sparcl_ref/sparcl/decisions.py": ("tests/sparcl/test_rules.py", "tests/test_regime.py"),
    "sparcl_ref/sparcl/rules.py": ("tests/sparcl/test_rules.py", "tests/test_regressions.py"),
    "sparcl_ref/sparcl/structured.py": ("tests/sparcl/test_structured.py", "tests/test_regressions.py"),
    "sparcl_ref/sparcl/tdm.py": ("tests/sparcl/test_tdm.py",),
    "sparcl_ref/streams": ("tests/streams",),
    "sparcl_ref/streams/cifar100.py": ("tests/streams/test_cifar100.py",),
    "sparcl_ref/streams/known.py": ("tests/streams/test_known.py",),
    "sparcl_ref/streams/lazy.py": ("tests/streams/test_lazy.py", "tests/streams/test_scenarios.py"),
    "sparcl_ref/streams/permuted.py": ("tests/streams/test_permuted.py", "tests/streams/test_scenarios.py"),
    "sparcl_ref/streams/stratified.py": ("tests/streams/test_stratified.py",),
    "sparcl_ref/streams/validation.py": ("tests/streams/test_validation.py",),
    "sparcl_ref/trainer.py": (
        "tests/test_history.py",
        "tests/test_regressions.py",
        "tests/test_trainer.py",
        "tests/policies",
    ),
    "sparcl_ref/trial.py": ("tests/test_trial.py",),
    "sparcl_ref/weights_file.py": ("tests/test_weights_file.py", "tests/test_saved.py"),
}

#: All else that could notice a wrong rule; loaders, reports and the compiled engine are not asked.
REST = (
    "tests/cost",
    "tests/sparcl",
    "tests/policies",
    "tests/test_regime.py",
    "tests/test_regime_steps.py",
    "tests/test_masks.py",
    "tests/test_budgets.py",
    "tests/test_replay.py",
    "tests/test_reservoir.py",
    "tests/test_losses.py",
    "tests/layers",
    "tests/methods",
    "tests/test_regressions.py",
    "tests/test_models.py",
    "tests/test_optimizers.py",
    "tests/torch_twin",
)
#: Whole runs, asked last.
SLOW = (
    "tests/test_trainer.py",
    "tests/test_regime_machine.py",
    "tests/test_trajectory.py",
)


def stages(tree: Path, path: str, *, quick: bool = False) -> list[list[str]]:
    """Test files to run after a change of ``path``: those most likely to notice, then the others, then the slow ones.

    Parameters
    ----------
    tree : Path
        Entries that do not exist there are left out.
    path : str
        Of the changed file, relative to the tree.
    quick : bool
        Leave the slow ones out, except where they are the most likely to notice.

    Raises
    ------
    ValueError
        If no tests are named for the path.
    """
    prefixes = [prefix for prefix in FIRST if path == prefix or path.startswith(f"{prefix}/")]
    if not prefixes:
        raise ValueError(f"no tests are named for changes of {path}; add it to FIRST")
    asked: set[str] = set()
    found = []
    for entries in (FIRST[max(prefixes, key=len)], REST, () if quick else SLOW):
        files = [file for file in files_behind(tree, entries) if file not in asked]
        asked.update(files)
        found += [files] if files else []
    return found


def files_behind(tree: Path, entries: tuple[str, ...]) -> list[str]:
    """Test modules behind a list of files and folders, each once."""
    files: dict[str, None] = {}
    for entry in entries:
        found = sorted((tree / entry).rglob("test_*.py")) if (tree / entry).is_dir() else [tree / entry]
        files |= dict.fromkeys(file.relative_to(tree).as_posix() for file in found if file.exists())
    return list(files)
