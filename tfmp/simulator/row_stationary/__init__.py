"""Row-stationary arrays, such as Eyeriss."""
