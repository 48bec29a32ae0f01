#!/usr/bin/env python3
"""Writes functions.txt: reference values for the x87's elementary functions.

Each line is a function, its operands as sign and exponent with the significand behind it (ST1
before ST0 where there are two), and the exact result cut to 128 bits: sign, exponent and
significand. Needs mpmath; sine, cosine and tangent are taken after a reduction by Intel's pi of
66 bits, as the machine's are.
"""
import random
from mpmath import mp, mpf, atan2, cos, expm1, floor, frexp, log, log1p, nint, sin, tan

mp.prec = 17000
random.seed(1)
PI66 = mpf(0x3243F6A8885A308D3) / 2**64


def number(se, sig):
    exponent = max(se & 0x7FFF, 1) - 0x3FFF - 63
    return (-1 if se >> 15 else 1) * mpf(sig) * mpf(2) ** exponent


def operand(low, high, signed=True):
    exponent = random.choice([random.randint(low, high), random.randint(max(low, -6), high)])
    sig = 1 << 63 | random.getrandbits(63)
    sig &= random.choice([-1, -1, -1 << 40, -1 << 60])
    return (random.getrandbits(1) << 15 if signed else 0) | exponent + 0x3FFF, sig


def reduced(a):
    mp.prec = 17000
    rest = a - nint(a / (PI66 / 2)) * (PI66 / 2)
    quadrant = int(nint(a / (PI66 / 2))) & 3
    return quadrant, rest


def of_angle(function):
    def apply(a):
        quadrant, r = reduced(a)
        mp.prec = 600
        s, c = sin(r), cos(r)
        sc = [(s, c), (c, -s), (-s, -c), (-c, s)][quadrant]
        return function(*sc)

    return apply


def narrow(function):
    def apply(*a):
        mp.prec = 600
        return function(*a)

    return apply


def tiny(exact):
    """Enough bits for operands whose first term alone is exact."""

    def apply(*a):
        mp.prec = 17000 if min(abs(x) for x in a) < mpf(2) ** -500 else 600
        return exact(*a)

    return apply


def line(name, operands, value):
    m, e = frexp(abs(value))
    sig = int(floor(m * mpf(2) ** 128))
    words = " ".join("%04x%016x" % o for o in operands)
    return f"{name} {words} {'-' if value < 0 else '+'} {e - 1} {sig:032x}\n"


ONE = [
    ("sin", of_angle(lambda s, c: s), (-40, 62)),
    ("cos", of_angle(lambda s, c: c), (-40, 62)),
    ("tan", of_angle(lambda s, c: s / c), (-40, 62)),
    ("exp2_minus_1", tiny(lambda a: expm1(a * log(2))), (-60, -1)),
]
TWO = [
    ("atan2", tiny(atan2), (-30, 30), (-30, 30), True),
    ("y_log2", narrow(lambda y, x: y * log(x) / log(2)), (-30, 30), (-200, 200), False),
    ("y_log2_of_one_more", tiny(lambda y, x: y * log1p(x) / log(2)), (-30, 30), (-60, -3), True),
]
NEAR_ONE = [(0x3FFF, 1 << 63 | 1), (0x3FFE, (1 << 64) - 1), (0x3FFF, 0xB504F333F9DE6484),
            (0x3FFE, 0xB504F333F9DE6484), (0x3FFE, 0xB504F333F9DE6485)]
PI_4 = [(0x3FFE, 0xC90FDAA22168C234), (0x3FFE, 0xC90FDAA22168C235), (0x4000, 0xC90FDAA22168C235),
        (0x3FFF, 0xC90FDAA22168C235), (0xBFFF, 0xC90FDAA22168C234), (0x403D, (1 << 64) - 1)]

with open("functions.txt", "w") as out:
    for name, function, (low, high) in ONE:
        rows = [operand(low, high) for _ in range(100)]
        rows += [] if name == "exp2_minus_1" else PI_4
        for a in rows:
            mp.prec = 17000
            out.write(line(name, [a], function(number(*a))))
    for name, function, ys, xs, signed in TWO:
        rows = [(operand(*ys), operand(*xs, signed)) for _ in range(100)]
        # The logarithms of powers of two are exact: there is nothing to approximate.
        rows = [(y, x) for y, x in rows if name != "y_log2" or x[1] != 1 << 63]
        rows += [((0x4000, 3 << 62), x) for x in NEAR_ONE] if name == "y_log2" else []
        for y, x in rows:
            mp.prec = 17000
            out.write(line(name, [y, x], function(number(*y), number(*x))))
