"""How large the fronts of strategies are, from the record of a run of `recipes.budget_front`."""

from tfmp.reports import ParetoFront


def front_of(record) -> ParetoFront:
    """All points of a run, of every strategy."""
    return ParetoFront(record["points"], "bitops", "val_accuracy")


def strategy_areas(record) -> dict[str, float]:
    """Strategy to the area of its front, as a share of one rectangle for all.

    The rectangle lies between no BitOps and those of all layers at the most bits, and between the lowest accuracy of
    any trial and 1.
    """
    front = front_of(record)
    reference = record["dearest_bitops"], front.worst[1]
    rectangle = reference[0] * (1 - reference[1])
    names = dict.fromkeys(point["strategy"] for point in front.points)
    return {name: front.where(strategy=name).hypervolume(reference) / rectangle for name in names}
