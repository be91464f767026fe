"""Uniform against mixed precision at equal BitOps: ResNet-8 on CIFAR-10.

    python -m recipes.resnet8_cifar10 --seeds=0,1,2,3
    python -m recipes.resnet8_cifar10 --methods=mixed --set=quantizer=hwgq --set=relaxation=softmax

- `float`: trains in floating point. All others start from its weights.
- `uniform`: LSQ at W2A2 everywhere, for the epochs of a search and of a fine-tuning together.
- `mixed`: searches bits at the same BitOps, then fine-tunes at them: the same number of epochs in all.
- `retrained`: trains the bits that `mixed` found, or with `--set=assignment=uniform` those of `uniform`, from fitted
  ranges and normalizations estimated again, as `mixed` fine-tunes: among these the bits alone differ.

Every finished run leaves one JSON in `recipes/results/resnet8_cifar10/`; runs whose JSON exists are skipped, and a
killed search resumes. Preloading tcmalloc (`LD_PRELOAD=libtcmalloc_minimal.so.4`) halves the time where glibc gives
the large temporaries back to the system after every step.
"""

from recipes import bit_search, experiment

if __name__ == "__main__":
    experiment.main("resnet8_cifar10", bit_search.METHODS, naming=bit_search.NAMING)
