"""Draws plots of figures by server, hyperws's in a colour of their own."""

from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams |= {
    "svg.hashsalt": "hyperws",      # the same figures make the same file
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",    # readable on dark pages too
}
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import LogFormatter  # noqa: E402

OURS, LIMIT, OTHERS = "#2557d6", "#1f2933", "#b8c0cc"
MARKS = "os^Dv<>pP*X"


class Panel(NamedTuple):
    title: str
    values: dict[str, float]


def color(name: str) -> str:
    return OURS if name.startswith("hyperws") else LIMIT if name.startswith("bare") else OTHERS


def plot_bars(path: Path, title: str, panels: list[Panel]) -> None:
    """Horizontal bars, the least on top, each with its value: for what is better when it is small."""
    height = 1 + 0.32 * max(len(panel.values) for panel in panels)
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), height), squeeze=False)
    for panel, axis in zip(panels, axes[0], strict=True):
        ordered = sorted(panel.values.items(), key=lambda item: -item[1])
        names, values = [name for name, _ in ordered], [value for _, value in ordered]
        bars = axis.barh(names, values, color=[color(name) for name in names])
        labels = [f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in values]
        axis.bar_label(bars, labels, padding=3)
        axis.set_xscale("log" if max(values) > 30 * min(values) else "linear")
        axis.margins(x=0.15)
        axis.set_title(panel.title, fontsize=10)
    save(figure, path, title)


def plot_lines(path: Path, title: str, lines: dict[str, list[tuple[float, float]]]) -> None:
    figure, axis = pyplot.subplots(figsize=(9, 5.5))
    for mark, (name, points) in zip(MARKS * 2, sorted(lines.items()), strict=False):
        x, y = zip(*points, strict=True)
        shade = color(name)
        width = 2.5 if shade == OURS else 1.2
        axis.plot(x, y, marker=mark, label=name, color=None if shade == OTHERS else shade, linewidth=width)
    axis.set_xscale("log")
    axis.set_yscale("log")
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_formatter(LogFormatter())
        scale.set_minor_formatter(LogFormatter(labelOnlyBase=False))
    axis.grid(alpha=0.3)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    save(figure, path, title)


def save(figure: pyplot.Figure, path: Path, title: str) -> None:
    figure.suptitle(title, fontsize=12)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
