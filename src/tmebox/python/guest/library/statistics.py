"""Averages and spreads of numbers."""

from math import sqrt


class StatisticsError(ValueError):
    pass


def _some(values, least=1):
    values = list(values)
    if len(values) < least:
        raise StatisticsError("there are too few values")
    return values


def mean(values):
    values = _some(values)
    return sum(values) / len(values)


fmean = mean


def median(values):
    values = sorted(_some(values))
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def mode(values):
    values = _some(values)
    counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    most = max(counts.values())
    for value in values:
        if counts[value] == most:
            return value


def pvariance(values):
    values = _some(values)
    middle = mean(values)
    return sum((value - middle) ** 2 for value in values) / len(values)


def variance(values):
    values = _some(values, 2)
    return pvariance(values) * len(values) / (len(values) - 1)


def stdev(values):
    return sqrt(variance(values))


def pstdev(values):
    return sqrt(pvariance(values))
