"""The figures and comparisons of EdMIPS in small: ResNet-8 and a small GoogLeNet on CIFAR-10.

    python -m recipes.edmips --config=edmips_filter_sensitivity   # fig. 3: one kind of filter at 4 bits, GoogLeNet
    python -m recipes.edmips --config=edmips_layer_sensitivity    # the same, one layer of ResNet-8 at a time
    python -m recipes.edmips --config=edmips_evolution            # fig. 4: probabilities over a search
    python -m recipes.edmips --config=edmips_accuracy             # fig. 5: accuracy against BitOps
    python -m recipes.edmips --config=edmips_allocation           # fig. 6: which layer gets how many bits
    python -m recipes.edmips --config=edmips_ablations            # fig. 7a, 7b, and what goes beyond the paper
    python -m recipes.edmips --config=edmips_networks             # found bits against random, greedy, knapsack

Each configuration names its runs; `--methods` takes some of them, `--seeds` several seeds. The methods are those of
`recipes/bit_search.py`. Finished runs are skipped, and at the end the figures are drawn from all that there are, into
`docs/figures/`.
"""

from recipes import bit_search, edmips_figures, experiment

if __name__ == "__main__":
    experiment.main("edmips_accuracy", bit_search.METHODS, naming=bit_search.NAMING, finish=edmips_figures.draw)
