"""drawn.py - a small drawn benchmark for anomaly detection, made from a seed.

    python drawn.py [--seed 7] [--out data] [--only gear,wood] [--few]

Writes OUT/CATEGORY/train/good, test/good, test/DEFECT, ground_truth/DEFECT
(MVTec AD's layout), 240 x 240 RGB.  Every damaged picture is drawn twice, with
the damage and without it, under the same light and blur; the mask is where the
two differ visibly (noise is added afterwards).
"""
import argparse
import os
import shutil

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

N = 240
YY, XX = np.mgrid[0:N, 0:N].astype(np.float32)
TRAIN, GOOD, BAD = 8, 12, 6
VISIBLE = 13          # levels of 255 by which a pixel must differ to be in a mask


# ----------------------------------------------------------------- tools
def cover(d, w=1.3):
    """Antialiased inside-ness of a signed distance (negative inside)."""
    return np.clip(0.5 - d / w, 0, 1)


def noise(rng, cx, cy=None, ang=0.0):
    """Smooth noise with cells of cx x cy pixels, turned by ang degrees; unit spread."""
    cy = cx if cy is None else cy
    M = 340 if ang else N
    g = rng.standard_normal((int(M / cy) + 4, int(M / cx) + 4)).astype(np.float32)
    ox, oy = rng.uniform(0, 1, 2)
    im = Image.fromarray(g).resize((M, M), Image.BICUBIC,
                                   box=(ox, oy, ox + M / cx, oy + M / cy))
    if ang:
        im = im.rotate(ang, Image.BICUBIC).crop((50, 50, 50 + N, 50 + N))
    a = np.asarray(im)
    return a / (a.std() + 1e-6)


def fractal(rng, cell, octaves=4, fall=0.55):
    a = sum(fall ** i * noise(rng, max(cell / 2 ** i, 1.0)) for i in range(octaves))
    return a / a.std()


def blob(rng, x, y, r, rough=0.18, stretch=1.0):
    """Signed distance to a blot with a wandering edge."""
    a = rng.uniform(0, np.pi)
    dx, dy = XX - x, YY - y
    u = (dx * np.cos(a) + dy * np.sin(a)) / stretch
    v = (-dx * np.sin(a) + dy * np.cos(a)) * stretch
    th = np.arctan2(v, u)
    R = np.ones_like(th)
    for k in range(2, 9):
        R += rough / k * 1.6 * rng.standard_normal() * np.cos(k * th + rng.uniform(0, 6.3))
    return np.hypot(u, v) - r * np.maximum(R, 0.35)


def path(rng, x, y, ang, length, wander, step=3.0, jag=0.0):
    """A wandering line; jag is the chance at each step of a sharp turn."""
    n = max(int(length / step), 3)
    a, base, turn, pts = ang, ang, 0.0, [(x, y)]
    for _ in range(n):
        turn = 0.85 * turn + wander * rng.standard_normal()
        if rng.uniform() < jag:
            a = base + rng.uniform(-0.9, 0.9)
        a += turn * 0.3 + 0.06 * np.sin(base - a)
        x, y = x + step * np.cos(a), y + step * np.sin(a)
        pts.append((x, y))
    return np.array(pts)


def stroke(pts, width, taper=True):
    """Antialiased coverage of a line with the given full width."""
    S = 3
    im = Image.new("L", (N * S, N * S))
    d = ImageDraw.Draw(im)
    n = len(pts)
    for i in range(n - 1):
        t = (i + 0.5) / (n - 1)
        w = width * (min(1.0, 0.35 + 3.0 * min(t, 1 - t)) if taper else 1.0)
        (x0, y0), (x1, y1) = pts[i] * S + 1, pts[i + 1] * S + 1
        d.line([x0, y0, x1, y1], fill=255, width=max(1, round(w * S)))
        r = w * S / 2
        d.ellipse([x1 - r, y1 - r, x1 + r, y1 + r], fill=255)
    return np.asarray(im.resize((N, N), Image.BOX), np.float32) / 255


def mix(st, m, colour):
    st["alb"] = st["alb"] * (1 - m[..., None]) + np.asarray(colour, np.float32) * m[..., None]


def spot(rng, st, margin):
    """A place on the object at least margin pixels inside it (or inside the picture)."""
    if st.get("alpha") is None:
        return rng.uniform(margin + 12, N - margin - 12, 2)
    inside = np.pad(st["alpha"] > 0.5, 1)
    dist = ndi.distance_transform_edt(inside)[1:-1, 1:-1]
    margin = min(margin, dist.max() * 0.8)
    ys, xs = np.nonzero(dist >= margin)
    i = rng.integers(len(ys))
    return np.array([xs[i], ys[i]], float)


def pose(rng, turn=180.0, s=(0.84, 1.08), move=8):
    k = rng.uniform(*s)
    a = np.deg2rad(rng.uniform(-turn, turn))
    cx, cy = N / 2 + rng.uniform(-move, move, 2)
    dx, dy = (XX - cx) / k, (YY - cy) / k
    u, v = dx * np.cos(a) + dy * np.sin(a), -dx * np.sin(a) + dy * np.cos(a)
    to = lambda p, q: (cx + k * (p * np.cos(a) - q * np.sin(a)),
                       cy + k * (p * np.sin(a) + q * np.cos(a)))
    return u, v, k, to


def ground(rng, colour, rough=0.015):
    g = 1 + rough * fractal(rng, 9, 3) + 0.02 * noise(rng, 90)
    return np.asarray(colour, np.float32) * g[..., None]


# ----------------------------------------------------------------- damage shared by categories
def do_scratch(rng, st, colour, depth=1.0, length=(60, 120), width=(2.2, 3.4), lines=(1, 3)):
    x, y = spot(rng, st, 22)
    ang = rng.uniform(0, 2 * np.pi)
    lim = None if st.get("alpha") is None else ndi.gaussian_filter(st["alpha"], 1)
    for i in range(rng.integers(lines[0], lines[1] + 1)):
        L, w = rng.uniform(*length), rng.uniform(*width)
        a = ang + rng.normal(0, 0.12)
        ox, oy = rng.normal(0, 7, 2) * (i > 0)
        p = path(rng, x + ox - L / 2 * np.cos(a), y + oy - L / 2 * np.sin(a), a, L, 0.03)
        m = stroke(p, w)
        if lim is not None:
            m = m * (lim > 0.9)
        mix(st, m * rng.uniform(0.75, 0.95), colour)
        st["h"] = st["h"] - depth * ndi.gaussian_filter(m, 0.7)


def do_dent(rng, st, r=(11, 17), slope=0.9, margin=16):
    x, y = spot(rng, st, margin)
    d = blob(rng, x, y, 1.0, 0.06, rng.uniform(1, 1.2)) + 1
    R = rng.uniform(*r)
    q = np.clip(d / R, 0, 1.6)
    bowl = -np.clip(1 - q ** 2, 0, 1) ** 1.5 + 0.12 * np.exp(-((q - 1.1) / 0.16) ** 2)
    st["h"] = st["h"] + slope * R * bowl * (1 if st.get("alpha") is None else (st["alpha"] > 0.5))


def do_stain(rng, st, colour, strength=(0.5, 0.75), r=(18, 32), drops=True):
    R = rng.uniform(*r)
    x, y = spot(rng, st, R * 0.7)
    d = blob(rng, x, y, R, 0.16, rng.uniform(1, 1.25))
    for _ in range(rng.integers(0, 4) if drops else 0):
        t = rng.uniform(0, 6.3)
        q = R * rng.uniform(1.15, 1.7)
        d = np.minimum(d, blob(rng, x + q * np.cos(t), y + q * np.sin(t), rng.uniform(3, 6), 0.1))
    m = cover(d, rng.uniform(2, 4))
    edge = np.exp(-(np.clip(d + 2, -60, 60) / 2.5) ** 2)          # a stain dries darker at its edge
    k = rng.uniform(*strength) * m * (0.85 + 0.12 * noise(rng, 12)) + 0.18 * edge * m
    k = np.clip(k, 0, 0.95)[..., None]
    st["alb"] = st["alb"] * (1 - k) + st["alb"] * np.asarray(colour, np.float32) * k


# ----------------------------------------------------------------- objects
def gear(rng, kind, dr):
    u, v, k, to = pose(rng)
    r, th = np.hypot(u, v), np.arctan2(v, u)
    teeth, Ro, Ri = 14, 98, 80
    rb = Ri + (Ro - Ri) * np.clip(0.5 + 1.3 * np.cos(teeth * th), 0, 1)
    if kind == "missing_part":
        which, run = dr.integers(teeth), dr.choice([1, 1, 2])
        mid = 2 * np.pi * (which + (run - 1) / 2) / teeth
        off = np.abs((th - mid + np.pi) % (2 * np.pi) - np.pi)
        gone = off < np.pi / teeth * run
        rb = np.where(gone, np.minimum(rb, Ri + dr.uniform(-4, 1.5) + 1.6 * noise(dr, 6)), rb)
    d = (r - rb) * k
    d = d / np.maximum(np.hypot(*np.gradient(d)), 0.7)
    holes = np.full_like(r, 1e3)
    for i in range(5):
        a = 2 * np.pi * i / 5 + np.pi / 14
        holes = np.minimum(holes, np.hypot(u - 52 * np.cos(a), v - 52 * np.sin(a)) - 13)
    bore = np.minimum(r - 17, np.maximum(np.abs(v) - 5, np.maximum(u - 24, -u)))
    d = np.maximum(d, -np.minimum(holes, bore) * k)
    tone = rng.uniform(0.50, 0.60)
    rings = np.interp(r, np.arange(0, 130, 1.0), ndi.gaussian_filter1d(rng.standard_normal(130), 0.8))
    alb = tone * (1 + 0.045 * rings + 0.03 * noise(rng, 3) + 0.03 * noise(rng, 60))
    aniso = 0.10 * np.cos(2 * (th - rng.uniform(0, np.pi)))            # turned metal's bow-tie sheen
    alb = (alb * (1 + aniso))[..., None] * np.array([0.97, 1.0, 1.04], np.float32)
    h = 0.9 * np.clip(-d, 0, 3.5) + 5 * cover(r - 32, 5)
    st = dict(alb=alb, h=h, alpha=cover(d), bg=ground(rng, [0.80, 0.79, 0.76]), spec=0.25)
    if kind == "scratch":
        do_scratch(dr, st, [0.93, 0.94, 0.96] if dr.uniform() < 0.6 else [0.14, 0.14, 0.15], 0.8, (55, 100))
    if kind == "dent":
        a = dr.uniform(0, 6.3)
        for _ in range(dr.integers(1, 3)):
            do_dent(dr, st, (9, 14), 0.8, 11)
    if kind == "rust":
        f = fractal(dr, 22, 4)
        x, y = spot(dr, st, 10)
        zone = dr.uniform(28, 46) - np.hypot(XX - x, YY - y)
        m = np.clip((f * 7 + zone) / 7, 0, 1) * 0.92
        grain = 1 + 0.22 * noise(dr, 3) + 0.15 * noise(dr, 7)
        mix(st, m, np.array([0.46, 0.21, 0.08], np.float32) * grain[..., None])
        st["h"] = st["h"] + 0.3 * m * noise(dr, 3)
    return st


def button(rng, kind, dr):
    u, v, k, to = pose(rng)
    r = np.hypot(u, v)
    R = 88
    centres = [(16 * a, 16 * b) for a in (-1, 1) for b in (-1, 1)]
    if kind == "misplacement":
        i = dr.integers(4)
        p = np.array(centres[i])
        t = np.arctan2(p[1], p[0]) + dr.uniform(-0.8, 0.8)
        centres[i] = tuple(p + dr.uniform(15, 24) * np.array([np.cos(t), np.sin(t)]))
    d = (r - R) * k
    holes = np.min([np.hypot(u - a, v - b) for a, b in centres], axis=0) - 8.5
    if kind == "missing_part":
        t = dr.uniform(0, 6.3)
        S = dr.uniform(17, 28)
        x, y = to((R + S * 0.05) * np.cos(t), (R + S * 0.05) * np.sin(t))
        d = np.maximum(d, -blob(dr, x, y, S * k, 0.22, 1.15))
    d = np.maximum(d, -holes * k)
    rim = np.exp(-((r - 74) / 8) ** 2) * 6
    h = rim + 0.8 * np.clip(-d, 0, 4) - 3 * cover(holes - 3, 5)
    hue = np.array([0.13, 0.30, 0.50]) * rng.uniform(0.88, 1.12) + rng.normal(0, 0.012, 3)
    swirl = 1 + 0.07 * np.sin(v / 13 + 1.6 * noise(rng, 70)) + 0.02 * noise(rng, 4)
    st = dict(alb=(hue * swirl[..., None]).astype(np.float32), h=h, alpha=cover(d),
              bg=ground(rng, [0.83, 0.78, 0.69], 0.02), spec=0.45)
    if kind == "crack":
        t = dr.uniform(0, 6.3)
        x, y = to((R + 3) * np.cos(t), (R + 3) * np.sin(t))
        tx, ty = to(*(18 * dr.standard_normal(2)))
        a = np.arctan2(ty - y, tx - x)
        p = path(dr, x, y, a, dr.uniform(65, 125) * k, 0.1, 4, 0.35)
        m = stroke(p, dr.uniform(2.4, 3.4))
        if dr.uniform() < 0.6:
            j = len(p) // 2
            m = np.maximum(m, stroke(path(dr, *p[j], a + dr.choice([-0.8, 0.8]), 35, 0.1, 4, 0.35), 2.0))
        mix(st, m * 0.95, [0.03, 0.04, 0.05])
        st["h"] = st["h"] + 1.4 * np.roll(ndi.gaussian_filter(m, 1.2), (1, 1), (0, 1))
    if kind == "discoloration":
        x, y = spot(dr, st, 14)
        d2 = blob(dr, x, y, dr.uniform(24, 38), 0.2, 1.2)
        m = np.clip(0.5 - d2 / dr.uniform(8, 16), 0, 1) * dr.uniform(0.6, 0.85)
        mix(st, m, [[0.62, 0.66, 0.62], [0.52, 0.50, 0.30], [0.45, 0.32, 0.48]][dr.integers(3)])
    return st


def cookie(rng, kind, dr):
    u, v, k, to = pose(rng)
    R = 90
    cx, cy = to(0, 0)
    d = blob(rng, cx, cy, R * k, 0.02, 1.0)
    chips = []
    want = rng.integers(12, 18)
    for _ in range(200):
        if len(chips) == want:
            break
        t, q = rng.uniform(0, 6.3), 76 * np.sqrt(rng.uniform())
        p = np.array([q * np.cos(t), q * np.sin(t)])
        if all(np.hypot(*(p - c)) > 22 for c in chips):
            chips.append(p)
    body = d.copy()
    if kind == "bite":
        t = dr.uniform(0, 6.3)
        n, w = dr.integers(2, 5), dr.uniform(13, 17)
        deep = dr.uniform(66, 80)
        for i in range(n):
            a = t + (i - (n - 1) / 2) * (1.5 * w / 78)
            x, y = to(deep * np.cos(a), deep * np.sin(a))
            e = blob(dr, x, y, w * k, 0.06)
            x2, y2 = to((deep + 18) * np.cos(a), (deep + 18) * np.sin(a))
            e = np.minimum(e, blob(dr, x2, y2, (w + 3) * k, 0.04))
            body = np.maximum(body, -e)
    base = np.array([0.74, 0.53, 0.29]) * rng.uniform(0.94, 1.06)
    f = fractal(rng, 18, 4)
    alb = base * (1 + 0.05 * f + 0.03 * noise(rng, 2))[..., None]
    brown = np.clip(1 + d / 26, 0, 1)[..., None] * 0.45
    alb = alb * (1 - brown) + np.array([0.52, 0.31, 0.13]) * brown
    h = 9 * np.sqrt(np.clip(-d / 40, 0, 1)) + 0.8 * np.clip(-body, 0, 3) + 0.9 * f + 0.35 * noise(rng, 3)
    for p in chips:
        x, y = to(*p)
        e = blob(rng, x, y, rng.uniform(5.5, 9) * k, 0.16, rng.uniform(1, 1.2))
        m = cover(e, 2)
        alb = alb * (1 - m[..., None]) + np.array([0.19, 0.10, 0.06]) * m[..., None]
        h = h + 2.2 * np.sqrt(np.clip(-e / 6, 0, 1))
    st = dict(alb=alb.astype(np.float32), h=h, alpha=cover(body),
              bg=ground(rng, [0.70, 0.74, 0.76]), spec=0.03)
    if kind == "contamination":
        colour = [[0.10, 0.45, 0.85], [0.15, 0.60, 0.25], [0.85, 0.12, 0.15]][dr.integers(3)]
        if dr.uniform() < 0.35:                                          # a hair or a thread
            x, y = spot(dr, st, 30)
            p = path(dr, x, y, dr.uniform(0, 6.3), dr.uniform(80, 130), 0.28)
            m = stroke(p, 2.6, False)
            mix(st, m, [0.05, 0.05, 0.12] if dr.uniform() < 0.4 else colour)
            st["h"] = st["h"] + 1.5 * m
            st["alpha"] = np.maximum(st["alpha"], m)
        else:                                                            # bits of plastic
            x0, y0 = spot(dr, st, 24)
            for _ in range(dr.integers(2, 5)):
                x, y = x0 + dr.normal(0, 16), y0 + dr.normal(0, 16)
                a, s1, s2 = dr.uniform(0, 3.2), dr.uniform(4, 8), dr.uniform(3, 5)
                p, q = (XX - x) * np.cos(a) + (YY - y) * np.sin(a), -(XX - x) * np.sin(a) + (YY - y) * np.cos(a)
                e = np.maximum(np.abs(p) - s1, np.abs(q) - s2)
                m = cover(e) * (st["alpha"] > 0.5)
                mix(st, m, colour)
                st["h"] = st["h"] * (1 - m) + m * (st["h"].max() + 0.15 * p)
    if kind == "discoloration":                                          # burnt on one side
        t = dr.uniform(0, 6.3)
        x, y = to(62 * np.cos(t), 62 * np.sin(t))
        d2 = blob(dr, x, y, dr.uniform(34, 52) * k, 0.12, 1.15) + 3 * fractal(dr, 16, 3)
        m = np.clip(0.5 - d2 / dr.uniform(10, 18), 0, 1) * dr.uniform(0.7, 0.9)
        mix(st, m, [0.13, 0.08, 0.05])
    if kind == "crack":
        t = dr.uniform(0, 6.3)
        x, y = to(91 * np.cos(t), 91 * np.sin(t))
        a = np.arctan2(cy - y, cx - x) + dr.normal(0, 0.25)
        p = path(dr, x, y, a, dr.uniform(90, 160) * k, 0.12, 4, 0.3)
        m = stroke(p, dr.uniform(4, 6.5))
        m = m * (st["alpha"] > 0.5)
        mix(st, m * 0.92, [0.16, 0.09, 0.04])
        st["h"] = st["h"] - 5 * ndi.gaussian_filter(m, 0.8)
    return st


def pencil(rng, kind, dr):
    u, v, k, to = pose(rng, 32, (0.88, 1.04), 7)
    flip = rng.choice([-1, 1])
    u = u * flip
    half = 19.0
    cone0, lead0, wood1 = -104.0, -89.0, -60.0        # tip, end of lead, end of the sharpened cone
    body1, fer1, end = 62.0, 86.0, 106.0
    if kind == "missing_part":
        part = dr.integers(3)
        if part == 0:
            end = fer1 + 0.0                           # no eraser
        elif part == 1:
            cone0 = lead0 + dr.uniform(4, 12)          # tip broken off
        else:
            end = fer1 = body1                         # ferrule and eraser both gone
    vv, uu = v, u
    if kind == "misplacement":                         # ferrule knocked askew
        on = u > body1 - 1
        sh, tilt = dr.choice([-1, 1]) * dr.uniform(7, 12), dr.normal(0, 0.10)
        vv = np.where(on, v - sh - tilt * (u - body1), v)
    w = np.where(uu < wood1, 1.5 + (half - 1.5) * np.clip((uu + 104) / (wood1 + 104), 0, 1), half)
    w = np.where(uu > fer1, half - 1.5, w)
    d = np.abs(vv) - w
    d = d / np.where(uu < wood1, 1.09, 1)
    d = np.maximum(d, np.maximum(cone0 - uu + (0.12 * vv if kind == "missing_part" else 0), uu - end)) * k
    corner = np.maximum(uu - (end - 8), 0)
    d = np.where(uu > end - 8, np.maximum(d, (np.hypot(np.maximum(corner, 0), np.maximum(np.abs(vv) - half + 9.5, 0)) - 8) * k), d) \
        if end > 100 else d
    yellow = np.array([0.93, 0.68, 0.10]) * rng.uniform(0.94, 1.04)
    facet = np.where(np.abs(vv) < 8.5, 1.0, np.where(vv < 0, 1.0 + 0.13 * flip, 1.0 - 0.13 * flip))
    alb = yellow * (facet * (1 + 0.015 * noise(rng, 5)))[..., None]
    scallop = wood1 + 4 * np.cos(np.clip(vv, -19, 19) * 2 * np.pi / 12.7)
    woodc = np.array([0.80, 0.62, 0.42]) * (1 + 0.05 * noise(rng, 5, 3))[..., None]
    m = cover((uu - scallop) * k)[..., None]
    alb = alb * (1 - m) + woodc * m
    m = cover((uu - lead0) * k)[..., None]
    alb = alb * (1 - m) + np.array([0.17, 0.17, 0.19]) * m
    round_ = np.sqrt(np.clip(1 - (vv / 20.5) ** 2, 0.05, 1))
    m = cover((body1 - uu) * k)[..., None]
    fer = (0.40 + 0.38 * round_ ** 2 + 0.10 * np.cos((uu - body1) * 2 * np.pi / 6))[..., None] * np.array([0.92, 0.95, 0.92])
    alb = alb * (1 - m) + fer * m
    m = cover((fer1 - uu) * k)[..., None] * (fer1 > body1)
    er = np.array([0.86, 0.47, 0.47]) * (0.72 + 0.3 * round_ + 0.02 * noise(rng, 3))[..., None]
    alb = alb * (1 - m) + er * m
    if kind == "missing_part":
        if end < 100 and fer1 > body1:                 # look into the empty ferrule
            mm = cover((fer1 - 5 - uu) * k)[..., None]
            alb = alb * (1 - 0.75 * mm) + np.array([0.15, 0.14, 0.13]) * 0.75 * mm
        elif end < 70:                                 # bare wood where the ferrule sat
            mm = cover((end - 7 - uu) * k)[..., None]
            alb = alb * (1 - mm) + woodc * 0.9 * mm
    st = dict(alb=alb.astype(np.float32), h=0.6 * np.clip(-d, 0, 4), alpha=cover(d),
              bg=ground(rng, [0.36, 0.42, 0.44], 0.03), spec=0.12)
    on_body = (cover((u - body1 + 3) * k) * cover((wood1 + 6 - u) * k)) > 0.5
    if kind == "scratch":                              # paint scraped off to the wood
        keep = st["alpha"]
        st["alpha"] = keep * on_body
        do_scratch(dr, st, [0.86, 0.74, 0.58] if dr.uniform() < 0.4 else [0.22, 0.14, 0.08], 1.0,
                   (45, 90), (2.6, 4.0), (2, 4))
        st["alpha"] = keep
    if kind == "tooth_marks":                          # chewed
        c = dr.uniform(-35, 35)
        for side in (-1, 1):
            for i in range(dr.integers(2, 4)):
                x, y = to(flip * (c + dr.normal(0, 2) + 14 * (i - 1)), side * dr.uniform(7, 13))
                e = blob(dr, x, y, dr.uniform(4.2, 6.0), 0.2, dr.uniform(1, 1.3))
                m = cover(e, 2) * (st["alpha"] > 0.5) * on_body
                st["h"] = st["h"] - 3.5 * ndi.gaussian_filter(m, 1.3)
                mix(st, m * 0.75, [0.50, 0.36, 0.18])
                mix(st, cover(e + 3.2, 2) * (st["alpha"] > 0.5) * 0.75, [0.30, 0.20, 0.10])
    return st


# ----------------------------------------------------------------- surfaces
def wood(rng, kind, dr):
    s, a = rng.uniform(0.8, 1.25), rng.uniform(-5, 5)
    warp = noise(rng, 60 * s, 260, a) * 9 + noise(rng, 25 * s, 120, a) * 2.0
    x = XX + np.tan(np.deg2rad(a)) * YY
    ring = (x + warp) / (15 * s)
    ring = ring - np.floor(ring)
    ring = ndi.gaussian_filter(ring, 0.8)
    fine = noise(rng, 1.6, 40, a) * 0.035 + noise(rng, 4 * s, 90, a) * 0.035
    base = np.array([0.66, 0.45, 0.27]) * rng.uniform(0.92, 1.08)
    alb = base * (1.06 - 0.20 * ring ** 2 + fine + 0.03 * noise(rng, 100))[..., None] ** np.array([1.0, 1.15, 1.4])
    st = dict(alb=alb.astype(np.float32), h=0.25 * noise(rng, 1.8, 50, a), spec=0.06)
    if kind == "scratch":
        do_scratch(dr, st, [0.88, 0.76, 0.60] if dr.uniform() < 0.6 else [0.20, 0.12, 0.06], 1.0, (70, 150), (2.2, 3.6))
    if kind == "hole":
        n = dr.choice([1, 1, 2, 4])
        for _ in range(n):
            R = dr.uniform(9, 14) if n == 1 else dr.uniform(5, 8)
            xx, yy = spot(dr, st, 20)
            e = blob(dr, xx, yy, R, 0.06, dr.uniform(1, 1.15))
            mix(st, cover(e - 2.2, 3) * 0.45, [0.30, 0.18, 0.09])
            mix(st, cover(e, 1.6) * 0.96, [0.05, 0.035, 0.02])
            st["h"] = st["h"] - 4 * cover(e, 4)
    if kind == "stain":
        do_stain(dr, st, [[0.38, 0.30, 0.34], [0.40, 0.42, 0.75], [0.55, 0.22, 0.25]][dr.integers(3)])
    if kind == "burn":
        xx, yy = spot(dr, st, 24)
        e = blob(dr, xx, yy, dr.uniform(12, 22), 0.1, dr.uniform(1, 1.4))
        halo = np.clip(1 - np.clip(e, 0, None) / dr.uniform(8, 14), 0, 1) ** 0.6
        mix(st, halo * 0.72, [0.24, 0.12, 0.05])
        mix(st, cover(e, 5) * 0.9, np.array([0.06, 0.05, 0.045], np.float32) * (1 + 0.35 * noise(dr, 4))[..., None])
    return st


def denim(rng, kind, dr):
    p = rng.uniform(5.0, 7.0)
    a = np.deg2rad(rng.uniform(40, 58))
    t = (XX * np.sin(a) + YY * np.cos(a)) + 0.7 * noise(rng, 40)
    twill = np.sin(2 * np.pi * t / p)
    warp = noise(rng, 2.2, 26) * 0.10 + noise(rng, 26, 2.0) * 0.05
    wash = 0.06 * noise(rng, 70) + 0.03 * noise(rng, 18)
    val = 0.95 + 0.20 * twill * (1 + 0.25 * noise(rng, 4)) + warp + wash
    base = np.array([0.22, 0.31, 0.47]) * rng.uniform(0.9, 1.12)
    alb = base * np.clip(val, 0.3, 1.8)[..., None]
    pale = np.clip(val - 1.12, 0, 1)[..., None] * 0.9
    alb = alb * (1 - pale) + np.array([0.75, 0.78, 0.82]) * pale
    st = dict(alb=alb.astype(np.float32), h=0.35 * twill, spec=0.0)
    if kind == "pulled_thread":                        # a thread drawn out of the weave, with loops
        x, y = spot(dr, st, 44)
        L, flat = dr.uniform(80, 140), dr.uniform() < 0.5
        wig = ndi.gaussian_filter1d(dr.normal(0, 4, 60), 3)
        pts = np.stack([np.linspace(-L / 2, L / 2, 60), wig], 1)
        pts = (pts if flat else pts[:, ::-1]) + (x, y)
        m = stroke(pts, 3.0)
        lm = np.zeros_like(m)
        for j in dr.choice([20, 30, 40], dr.integers(1, 3), replace=False):
            R, a0, fat = dr.uniform(8, 15), dr.uniform(0, 6.3), dr.uniform(0.5, 1)
            q = np.linspace(0, dr.uniform(4.6, 6.0), 40)
            lx, ly = R * (np.cos(q) - 1), fat * R * np.sin(q)
            loop = np.stack([pts[j, 0] + lx * np.cos(a0) - ly * np.sin(a0), pts[j, 1] + lx * np.sin(a0) + ly * np.cos(a0)], 1)
            lm = np.maximum(lm, stroke(loop, 2.8, False))
        shade = np.roll(np.maximum(m, lm), (2, 2), (0, 1))
        st["alb"] = st["alb"] * (1 - 0.45 * ndi.gaussian_filter(shade, 0.8))[..., None]
        mix(st, np.maximum(m * 0.9, lm), [0.80, 0.83, 0.88])
    if kind == "hole":
        x, y = spot(dr, st, 30)
        R = dr.uniform(14, 24)
        e = blob(dr, x, y, R, 0.15, dr.uniform(1, 1.35))
        mix(st, np.clip(1 - np.abs(e) / 5, 0, 1) * 0.65 * np.clip(0.8 + 0.4 * noise(dr, 3), 0, 1), [0.74, 0.77, 0.82])
        mix(st, cover(e + 2, 2), [0.06, 0.06, 0.07])
        for _ in range(dr.integers(7, 13)):            # frayed ends across the gap
            q = dr.uniform(0, 6.3)
            px, py = x + R * 1.0 * np.cos(q), y + R * 1.0 * np.sin(q)
            ln = path(dr, px, py, q + np.pi + dr.normal(0, 0.5), R * dr.uniform(0.4, 1.2), 0.25)
            mix(st, stroke(ln, 1.5) * 0.9, [0.72, 0.75, 0.80])
    if kind == "discoloration":                        # bleach
        x, y = spot(dr, st, 32)
        e = blob(dr, x, y, dr.uniform(24, 38), 0.2, dr.uniform(1, 1.3))
        m = np.clip(0.5 - e / dr.uniform(6, 14), 0, 1) * dr.uniform(0.6, 0.85)
        pale = st["alb"] * 0.55 + np.array([0.52, 0.50, 0.46]) * 0.9
        st["alb"] = st["alb"] * (1 - m[..., None]) + pale * m[..., None]
    if kind == "contamination":                        # mud or paint flecks
        c = [[0.30, 0.20, 0.11], [0.93, 0.92, 0.88], [0.85, 0.45, 0.08]][dr.integers(3)]
        x0, y0 = spot(dr, st, 36)
        for i in range(dr.integers(4, 9)):
            x, y = (x0, y0) + dr.normal(0, 24, 2) * (i > 0)
            e = blob(dr, x, y, dr.uniform(3.2, 8), 0.2, dr.uniform(1, 1.3))
            mix(st, cover(e, 1.5) * 0.95, np.array(c, np.float32) * (1 + 0.08 * noise(dr, 4))[..., None])
            st["h"] = st["h"] * (1 - cover(e)) + 1.8 * np.sqrt(np.clip(-e / 5, 0, 1))
    return st


def brick_wall(rng, kind, dr):
    s = rng.uniform(0.82, 1.2)
    a = np.deg2rad(rng.uniform(-2.5, 2.5))
    bw, bh, gap = 80 * s, 34 * s, 5.5 * s
    ox, oy = rng.uniform(0, 300, 2)
    cs, sn = np.cos(a), np.sin(a)
    u, v = XX * cs + YY * sn + ox, -XX * sn + YY * cs + oy
    row = np.floor(v / bh).astype(int)
    shift = (row % 2) * bw / 2
    col = np.floor((u - shift) / bw).astype(int)
    p, q = u - shift - (col + 0.5) * bw, v - (row + 0.5) * bh
    tint = rng.normal(0, 1, (40, 40, 2))
    tone = tint[row % 40, col % 40, 0]
    warm = tint[row % 40, col % 40, 1]
    wob = 0.9 * noise(rng, 12)
    f, g, mf = fractal(rng, 10, 4), noise(rng, 2), fractal(rng, 8, 3)
    gone = np.zeros((N, N), bool)
    hit = None
    if kind in ("missing_part", "misplacement"):
        # choose a brick whose middle is well inside the picture
        inside = (np.abs(XX - N / 2) < 62) & (np.abs(YY - N / 2) < 75) & (np.abs(p) < 4) & (np.abs(q) < 4)
        ys, xs = np.nonzero(inside)
        i = dr.integers(len(ys))
        hit = row[ys[i], xs[i]], col[ys[i], xs[i]]
        gone = (row == hit[0]) & (col == hit[1])

    def box(p, q):
        return np.hypot(np.maximum(np.abs(p) - (bw - gap) / 2 + 2, 0), np.maximum(np.abs(q) - (bh - gap) / 2 + 2, 0)) - 2 + wob

    e = box(p, q)
    brick = np.array([0.60, 0.28, 0.20]) * (1 + 0.09 * tone + 0.07 * f + 0.04 * g)[..., None]
    brick = brick * (1 + 0.06 * warm[..., None] * np.array([0.3, 1, 1]))
    mortar = np.array([0.66, 0.63, 0.58]) * (1 + 0.05 * mf)[..., None]
    m = cover(e, 2)
    h = 3.0 * np.clip(0.5 - e / 4, 0, 1) + 0.35 * f + 0.2 * g
    if kind == "misplacement":
        sg = dr.choice([-1, 1])
        t = sg * np.deg2rad(dr.uniform(7, 12))
        dx, dy = dr.uniform(-5, 5) * s, dr.uniform(2, 5) * s
        P = (p - dx) * np.cos(t) + (q - dy) * np.sin(t)
        Q = -(p - dx) * np.sin(t) + (q - dy) * np.cos(t)
        # continue the chosen brick's own coordinates over its neighbours
        pc = u - (hit[0] % 2) * bw / 2 - (hit[1] + 0.5) * bw - dx
        qc = v - (hit[0] + 0.5) * bh - dy
        P, Q = pc * np.cos(t) + qc * np.sin(t), -pc * np.sin(t) + qc * np.cos(t)
        e2 = box(P, Q)
        m = np.where(gone, 0, m)
        h = np.where(gone, 0.35 * f + 0.2 * g - 2, h)
        mortar = np.where(gone[..., None], mortar * 0.30, mortar)      # an open, dark joint
        m2 = cover(e2, 2)
        alb = mortar * (1 - m[..., None]) + brick * m[..., None]
        sh = ndi.gaussian_filter(np.roll(m2, (5, 3), (0, 1)), 2) * (1 - m2)
        alb = alb * (1 - 0.5 * sh)[..., None]
        own = np.array([0.60, 0.28, 0.20]) * (1 + 0.09 * tint[hit[0] % 40, hit[1] % 40, 0] + 0.07 * np.roll(f, 31, 1) + 0.04 * g)[..., None]
        alb = alb * (1 - m2[..., None]) + own * m2[..., None] * 1.28   # stands out and catches the light
        h = h * (1 - m2) + m2 * (5.0 * np.clip(0.5 - e2 / 4, 0, 1) + 0.35 * f + 0.2 * g)
        return dict(alb=alb.astype(np.float32), h=h, spec=0.0)
    alb = mortar * (1 - m[..., None]) + brick * m[..., None]
    st = dict(alb=alb.astype(np.float32), h=h, spec=0.0)
    if kind == "missing_part":
        deep = np.clip(0.5 - e / 2, 0, 1) * gone
        sh = np.clip((q + bh / 2) / bh, 0, 1)                          # darker under the upper edge
        mix(st, deep, np.array([0.20, 0.17, 0.15], np.float32) * (0.35 + 0.75 * sh + 0.15 * f)[..., None])
        st["h"] = np.where(deep > 0.5, 0.8 * f - 3, st["h"])
    if kind == "crack":
        up = dr.uniform() < 0.7
        ang = (np.pi / 2 if up else 0) + dr.normal(0, 0.35)
        L = dr.uniform(120, 210)
        x, y = spot(dr, st, 80)
        pts = path(dr, x - L / 2 * np.cos(ang), y - L / 2 * np.sin(ang), ang, L, 0.1, 5, 0.4)
        mm = stroke(pts, dr.uniform(3.0, 4.6))
        if dr.uniform() < 0.6:
            j = len(pts) // 2
            mm = np.maximum(mm, stroke(path(dr, *pts[j], ang + dr.choice([-0.8, 0.8]), 55, 0.1, 5, 0.4), 2.8))
        mix(st, mm * 0.95, [0.05, 0.04, 0.04])
        st["h"] = st["h"] - 2.5 * mm
    if kind == "graffiti":
        c = [[0.10, 0.35, 0.85], [0.92, 0.92, 0.90], [0.10, 0.62, 0.30], [0.08, 0.08, 0.09], [0.95, 0.80, 0.10]][dr.integers(5)]
        x, y = spot(dr, st, 62)
        ph = dr.uniform(0, 6.3, 4)
        q = np.linspace(0, dr.uniform(4.5, 7.5), 70)
        A = dr.uniform(30, 46)
        pts = np.stack([x + A * (0.55 * (q - q.mean()) / 2.2 + 0.55 * np.cos(1.6 * q + ph[0])),
                        y + A * 0.75 * (np.sin(1.9 * q + ph[1]) * 0.8 + 0.25 * np.sin(3.1 * q + ph[2]))], 1)
        mm = ndi.gaussian_filter(stroke(pts, dr.uniform(6, 9), False), 1.0)
        mix(st, mm * 0.9, c)
    return st


def leather(rng, kind, dr):
    c = rng.uniform(6.0, 8.5)
    n = int(300 / c)
    gy, gx = np.mgrid[0:n, 0:n]
    pts = np.stack([gx + (gy % 2) * 0.5, gy], -1).reshape(-1, 2) * c - 25 + rng.uniform(-0.42, 0.42, (n * n, 2)) * c
    wx, wy = 2.0 * noise(rng, 30), 2.0 * noise(rng, 30)
    dd, ii = cKDTree(pts).query(np.stack([XX + wx, YY + wy], -1).reshape(-1, 2), k=2)
    cell = ((dd[:, 1] - dd[:, 0]) / c).reshape(N, N).astype(np.float32)
    pebble = np.clip(cell / 0.35, 0, 1)
    base = np.array([0.43, 0.23, 0.13]) * rng.uniform(0.9, 1.12)
    alb = base * (0.86 + 0.16 * pebble + 0.04 * noise(rng, 60) + 0.025 * noise(rng, 3))[..., None]
    h = 1.1 * pebble + 0.5 * noise(rng, 35)
    st = dict(alb=alb.astype(np.float32), h=h, spec=0.16)
    if kind == "scratch":
        do_scratch(dr, st, [0.76, 0.58, 0.42], 1.2, (60, 140), (2.2, 3.6))
    if kind == "dent":
        do_dent(dr, st, (18, 27), 0.85, 32)
    if kind == "stain":
        do_stain(dr, st, [[0.22, 0.24, 0.30], [0.25, 0.35, 0.95], [0.30, 0.20, 0.12]][dr.integers(3)], (0.6, 0.85))
    if kind == "wrinkle":                              # creased folds lying side by side
        x, y = spot(dr, st, 60)
        ang = dr.uniform(0, np.pi)
        for i in range(dr.integers(2, 5)):
            L = dr.uniform(80, 140)
            o = (i - 1) * dr.uniform(10, 15)
            p = path(dr, x - L / 2 * np.cos(ang) - o * np.sin(ang), y - L / 2 * np.sin(ang) + o * np.cos(ang),
                     ang + dr.normal(0, 0.06), L, 0.05)
            m = stroke(p, 3.0)
            st["alb"] = st["alb"] * (1 - 0.45 * ndi.gaussian_filter(m, 0.6))[..., None]
            st["h"] = st["h"] - 9 * ndi.gaussian_filter(m, 2.0)
    return st


CATEGORIES = {
    "gear": (gear, ["missing_part", "scratch", "dent", "rust"]),
    "button": (button, ["crack", "missing_part", "misplacement", "discoloration"]),
    "cookie": (cookie, ["bite", "contamination", "discoloration", "crack"]),
    "pencil": (pencil, ["missing_part", "misplacement", "scratch", "tooth_marks"]),
    "wood": (wood, ["scratch", "hole", "stain", "burn"]),
    "denim": (denim, ["hole", "pulled_thread", "discoloration", "contamination"]),
    "brick_wall": (brick_wall, ["crack", "missing_part", "misplacement", "graffiti"]),
    "leather": (leather, ["scratch", "dent", "stain", "wrinkle"]),
}


# ----------------------------------------------------------------- camera
def camera(rng):
    az = rng.uniform(-2.6, -0.5)                       # light from above, left to right
    return dict(az=az, el=rng.uniform(0.75, 1.1), gain=rng.uniform(0.82, 1.14),
                tilt=rng.uniform(0, 0.22), warm=rng.normal(0, 0.03), blur=rng.uniform(0.3, 1.15),
                grain=rng.uniform(1.0, 6.5), vign=rng.uniform(0, 0.14), soft=rng.uniform(2.5, 6))


def photograph(st, cam):
    """The picture without grain, 0-255."""
    lx, ly, lz = np.cos(cam["az"]) * np.cos(cam["el"]), np.sin(cam["az"]) * np.cos(cam["el"]), np.sin(cam["el"])
    gy, gx = np.gradient(st["h"].astype(np.float32))
    nrm = np.sqrt(1 + gx ** 2 + gy ** 2)
    lam = np.clip((lz - lx * gx - ly * gy) / nrm, 0, None)
    hz = np.sqrt(lx ** 2 + ly ** 2 + (lz + 1) ** 2)
    half = np.clip(((lz + 1) - lx * gx - ly * gy) / nrm / hz, 0, 1)
    im = st["alb"] * (0.3 + 0.7 * lam / lz)[..., None] + (st["spec"] * (half ** 40 - ((lz + 1) / hz) ** 40))[..., None]
    if st.get("alpha") is not None:
        al = st["alpha"][..., None]
        sh = ndi.gaussian_filter(ndi.shift(st["alpha"], (-ly * 7, -lx * 7), order=1), cam["soft"])
        im = im * al + st["bg"] * (1 - 0.42 * sh)[..., None] * (1 - al)
    x, y = XX / N - 0.5, YY / N - 0.5
    fall = 1 + cam["tilt"] * 2 * (np.cos(cam["az"]) * x + np.sin(cam["az"]) * y) - cam["vign"] * 4 * (x * x + y * y) * 0.5
    im = im * (cam["gain"] * fall)[..., None] * np.array([1 + cam["warm"], 1, 1 - cam["warm"]])
    im = ndi.gaussian_filter(im, (cam["blur"], cam["blur"], 0))
    return np.clip(im, 0, 1) ** 0.92 * 255


def develop(rng, im, cam):
    g = rng.normal(0, cam["grain"], (N, N, 1)) * 0.8 + rng.normal(0, cam["grain"], (N, N, 3)) * 0.6
    return Image.fromarray(np.clip(im + g + 0.5, 0, 255).astype(np.uint8))


def mask_of(a, b, whole=False):
    # whole: a dent, or a part moved over itself, is one region even where its shade did not change
    diff = ndi.gaussian_filter(np.abs(a - b).max(2), 0.7)
    m = diff > VISIBLE
    R = 7 if whole else 2
    disk = np.hypot(*np.mgrid[-R:R + 1, -R:R + 1]) <= R + 0.3
    m = ndi.binary_closing(np.pad(m, 10), disk)[10:-10, 10:-10]
    lab, n = ndi.label(m, np.ones((3, 3)))
    size = np.bincount(lab.ravel(), minlength=n + 1)
    m &= size[lab] >= 14
    lab, n = ndi.label(~m)                             # pinholes belong to the damage
    size = np.bincount(lab.ravel(), minlength=n + 1)
    m |= (size[lab] < (500 if whole else 60)) & (lab > 0)
    return m


def picture(seed, ci, draw, split, i, kind=None, di=0):
    key = [seed, ci, split, di, i]
    rng = lambda *k: np.random.default_rng(key + list(k))
    cam = camera(rng(1))
    clean = photograph(draw(rng(2), None, None), cam)
    if kind is None:
        return develop(rng(3), clean, cam), None
    for attempt in range(12):                          # draw again if the damage is too slight to see
        hurt = photograph(draw(rng(2), kind, rng(4, attempt)), cam)
        m = mask_of(hurt, clean, kind == "dent" or (kind == "misplacement" and draw is not button))
        if m.sum() >= 110 and np.abs(hurt - clean).max(2)[m].mean() >= 24:
            break
    else:
        print("faint:", draw.__name__, kind, i)
    return develop(rng(3), hurt, cam), Image.fromarray(m.astype(np.uint8) * 255)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--out", default="data")
    ap.add_argument("--only", default="")
    ap.add_argument("--few", action="store_true", help="a trial: 1 train, 2 good, 3 of each defect")
    o = ap.parse_args()
    n_train, n_good, n_bad = (1, 2, 3) if o.few else (TRAIN, GOOD, BAD)
    for ci, (name, (draw, kinds)) in enumerate(CATEGORIES.items()):
        if o.only and name not in o.only.split(","):
            continue
        root = os.path.join(o.out, name)
        shutil.rmtree(root, ignore_errors=True)
        for split, (sub, n) in enumerate([("train/good", n_train), ("test/good", n_good)]):
            os.makedirs(os.path.join(root, sub))
            for i in range(n):
                picture(o.seed, ci, draw, split, i)[0].save(os.path.join(root, sub, f"{i:03d}.png"))
        for di, kind in enumerate(kinds):
            t, g = os.path.join(root, "test", kind), os.path.join(root, "ground_truth", kind)
            os.makedirs(t)
            os.makedirs(g)
            for i in range(n_bad):
                im, m = picture(o.seed, ci, draw, 2, i, kind, di)
                im.save(os.path.join(t, f"{i:03d}.png"))
                m.save(os.path.join(g, f"{i:03d}_mask.png"))


if __name__ == "__main__":
    main()
