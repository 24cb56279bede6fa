"""drawn_j.py OUT [SEED]: a small synthetic anomaly benchmark in MVTec AD's layout (8 categories, 224 x 224)."""
import sys, os, zlib
import numpy as np
from PIL import Image
from scipy import ndimage as ndi

N, SS = 224, 2
S = N * SS
Y, X = np.mgrid[0:S, 0:S].astype(np.float32)
X = (X + 0.5) / SS
Y = (Y + 0.5) / SS
A = lambda *c: np.array(c, np.float32)


# ---------------------------------------------------------------- tools
def sstep(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def cov(sdf, soft=0.5):
    return np.clip(0.5 - sdf / soft, 0, 1)


def mix(a, b, t):
    t = t[..., None] if np.ndim(t) == 2 else t
    return a * (1 - t) + b * t


def flat(c):
    return np.ones((S, S, 3), np.float32) * np.asarray(c, np.float32)


def noise(rng, s):
    """smooth noise of unit deviation, feature size s (picture pixels)"""
    n = int(np.ceil(N / s)) + 4
    k = max(S, int(round(n * s * SS)))
    g = rng.standard_normal((n, n)).astype(np.float32)
    im = Image.fromarray(g).resize((k, k), Image.BICUBIC)
    o = min(int(s * SS), k - S)
    z = np.asarray(im, np.float32)[o:o + S, o:o + S]
    return z * 1.35


def fbm(rng, s, octaves=4, gain=0.5):
    z, a, t = 0, 1.0, 0
    for _ in range(octaves):
        z = z + a * noise(rng, max(s, 0.6))
        t += a * a
        a *= gain
        s /= 2
    return z / np.sqrt(t)


def tex(rng, su, sv, U, V):
    """noise stretched along the axes of an object's frame"""
    nu, nv = int(340 / su) + 4, int(340 / sv) + 4
    g = rng.standard_normal((nv, nu)).astype(np.float32)
    return ndi.map_coordinates(g, [(V + 170) / sv, (U + 170) / su], order=1, mode='reflect') * 1.3


class Frame:
    def __init__(self, cx, cy, ang):
        self.cx, self.cy, self.c, self.s = cx, cy, np.cos(ang), np.sin(ang)
        self.u = self.c * (X - cx) + self.s * (Y - cy)
        self.v = -self.s * (X - cx) + self.c * (Y - cy)

    def px(self, p):
        p = np.asarray(p, float)
        return np.stack([self.cx + self.c * p[..., 0] - self.s * p[..., 1],
                         self.cy + self.s * p[..., 0] + self.c * p[..., 1]], -1)


def polydist(pts, w=None):
    """distance to a polyline in picture coordinates; w: half-width at each point, subtracted"""
    d = np.full((S, S), 99.0, np.float32)
    w = np.zeros(len(pts)) if w is None else w
    for (a, b, wa, wb) in zip(pts[:-1], pts[1:], w[:-1], w[1:]):
        m = 14
        x0, x1 = int(max(0, (min(a[0], b[0]) - m) * SS)), int(min(S, (max(a[0], b[0]) + m) * SS))
        y0, y1 = int(max(0, (min(a[1], b[1]) - m) * SS)), int(min(S, (max(a[1], b[1]) + m) * SS))
        if x1 <= x0 or y1 <= y0:
            continue
        xx, yy = X[y0:y1, x0:x1] - a[0], Y[y0:y1, x0:x1] - a[1]
        e = b - a
        t = np.clip((xx * e[0] + yy * e[1]) / (e @ e + 1e-9), 0, 1)
        q = np.hypot(xx - t * e[0], yy - t * e[1]) - (wa + (wb - wa) * t)
        d[y0:y1, x0:x1] = np.minimum(d[y0:y1, x0:x1], q)
    return d


def walk(r, p, ang, length, step=4.0, jit=0.45, pull=0.35):
    """jagged path from p in about direction ang"""
    pts, a = [np.array(p, float)], ang
    for _ in range(max(2, int(length / step))):
        a = ang + (a - ang) * (1 - pull) + r.normal(0, jit)
        pts.append(pts[-1] + step * r.uniform(0.6, 1.4) * np.array([np.cos(a), np.sin(a)]))
    return np.array(pts)


def crack(r, p, ang, length, w=0.9, branches=2, jit=0.45):
    """signed distance of a branching crack (picture coordinates)"""
    main = walk(r, p, ang, length, jit=jit)
    d = polydist(main, np.linspace(w, w * 0.45, len(main)))
    for _ in range(branches):
        i = r.integers(len(main) // 5, max(len(main) * 4 // 5, len(main) // 5 + 1))
        b = walk(r, main[i], ang + r.choice([-1, 1]) * r.uniform(0.5, 1.1), length * r.uniform(0.2, 0.4), jit=jit)
        d = np.minimum(d, polydist(b, np.linspace(w * 0.8, w * 0.3, len(b))))
    return d


def scratches(r, p, ang, length, n, spread, w=(0.55, 0.95)):
    d = np.full((S, S), 99.0, np.float32)
    for _ in range(n):
        a = ang + r.normal(0, 0.1)
        L = length * r.uniform(0.65, 1.0)
        o = np.array(p) + r.normal(0, spread, 2)
        t = np.linspace(-0.5, 0.5, 9)
        bow = r.normal(0, 0.05) * L
        pts = np.stack([o[0] + L * t * np.cos(a) - bow * (4 * t * t) * np.sin(a),
                        o[1] + L * t * np.sin(a) + bow * (4 * t * t) * np.cos(a)], -1)
        d = np.minimum(d, polydist(pts, r.uniform(*w) * (1 - 0.6 * np.abs(2 * t) ** 3)))
    return d


def blob(r, U, V, c, R, irr=0.16, aspect=1.0, ang=0.0, kmax=7):
    """about a signed distance of an irregular round outline"""
    x, y = U - c[0], V - c[1]
    x, y = np.cos(ang) * x + np.sin(ang) * y, -np.sin(ang) * x + np.cos(ang) * y
    x = x / aspect
    th, q = np.arctan2(y, x), 1.0
    for k in range(2, kmax):
        q = q + irr / np.sqrt(k - 1) * r.normal() * 0.7 * np.cos(k * th + r.uniform(0, 6.28))
    return np.hypot(x, y) - R * np.clip(q, 0.5, 1.6)


def get_light(rng):
    az, el = np.radians(225 + rng.uniform(-28, 28)), np.radians(rng.uniform(48, 62))
    return A(np.cos(az) * np.cos(el), np.sin(az) * np.cos(el), np.sin(el))


def shade(h, L, shin=30):
    gy, gx = np.gradient(h, 1.0 / SS)
    q = 1 / np.sqrt(gx * gx + gy * gy + 1)
    nl = (-gx * L[0] - gy * L[1] + L[2]) * q
    H = L + A(0, 0, 1)
    H = H / np.linalg.norm(H)
    nh = (-gx * H[0] - gy * H[1] + H[2]) * q
    return np.clip(nl, 0, None) / L[2], np.clip(nh, 0, 1) ** shin


def bevel(c, w):
    """rounded edge of width w from a coverage"""
    d = ndi.distance_transform_edt(c > 0.5) / SS
    t = np.clip(d / w, 0, 1)
    return ndi.gaussian_filter(np.sqrt(np.clip(1 - (1 - t) ** 2, 0, 1)) * w, 1.0)


def ground(rng, kind, L):
    if kind == 'desk':            # warm board with long grain
        f = Frame(112, 112, rng.uniform(-0.12, 0.12))
        g = tex(rng, 70, 2.2, f.u, f.v) * 0.5 + tex(rng, 30, 0.9, f.u, f.v) * 0.4 + fbm(rng, 60, 2) * 0.5
        c = A(0.43, 0.30, 0.21) * (1 + rng.normal(0, 0.03 * 1.5) + rng.normal(0, 0.008, 3))
        return flat(c) * (1 + 0.09 * g)[..., None]
    if kind == 'felt':            # fuzzy cloth
        g = ndi.gaussian_filter(rng.standard_normal((S, S)), 0.9) * 2.2
        c = A(0.11, 0.31, 0.22) * (1 + rng.normal(0, 0.04 * 1.5) + rng.normal(0, 0.008, 3))
        return flat(c) * (1 + 0.10 * g + 0.06 * fbm(rng, 40, 3))[..., None]
    if kind == 'concrete':
        h = fbm(rng, 5, 4) * 0.12
        s, _ = shade(h, L)
        c = A(0.47, 0.47, 0.46) * (1 + rng.normal(0, 0.02 * 1.5) + rng.normal(0, 0.008, 3))
        return flat(c) * (s * (1 + 0.07 * fbm(rng, 50, 4)))[..., None]
    if kind == 'cloth':           # plain linen
        f = Frame(112, 112, rng.uniform(-0.2, 0.2))
        p = rng.uniform(2.9, 3.3)
        w = np.cos(2 * np.pi * f.u / p) * np.cos(2 * np.pi * f.v / p)
        c = A(0.30, 0.38, 0.50) * (1 + rng.normal(0, 0.03 * 1.5) + rng.normal(0, 0.008, 3))
        return flat(c) * (1 + 0.08 * w + 0.05 * tex(rng, 25, 1.6, f.u, f.v) + 0.05 * tex(rng, 1.6, 25, f.u, f.v)
                          + 0.06 * fbm(rng, 60, 2))[..., None]
    c = A(0.74, 0.75, 0.77) * (1 + rng.normal(0, 0.015 * 1.5) + rng.normal(0, 0.008, 3))   # pale table top
    return flat(c) * (1 + 0.015 * fbm(rng, 40, 3) + 0.012 * noise(rng, 1.0))[..., None]


def place(g, c, rgb, L, z, dark=0.55):
    """object of height about z put on the ground with a soft shadow"""
    o = -L[:2] / L[2] * z * SS
    sh = ndi.gaussian_filter(ndi.shift(c, (o[1], o[0]), order=1), 1.2 + z * 0.45)
    sh = np.maximum(sh, 0.7 * ndi.gaussian_filter(ndi.shift(c, (o[1] * 0.3, o[0] * 0.3), order=1), 2.0))
    return mix(g * (1 - dark * sh)[..., None], rgb, c)


# ---------------------------------------------------------------- objects
def metal_key(rng, r, kind):
    L = get_light(rng)
    f = Frame(112 + rng.uniform(-10, 10), 112 + rng.uniform(-10, 10), rng.uniform(-0.6, 0.6) + rng.choice([0, np.pi]))
    u, v = f.u, f.v
    bow = np.hypot((u + 54) / 1.0, v / 1.06) - 31
    tip = np.maximum(np.abs(v) - 11, np.maximum(u - 80, (np.abs(v - 0) + (u - 80) * 0.8) * 0.78 - 4))
    shaft = np.maximum(tip, -(u + 40))
    us = [-15, -8, -2, 6, 11, 18, 24, 31, 36, 43, 49, 56, 60, 67, 72, 90]
    ds = [0, 0, 7, 3, 8, 2, 6, 6, 10, 3, 7, 1, 5, 8, 2, 2]
    shaft = np.maximum(shaft, (v - (11 - np.interp(u, us, ds))) * 0.75)
    collar = np.maximum(np.abs(u + 22) - 4.5, np.abs(v) - 15)
    sd = np.minimum(np.minimum(bow, shaft), collar)
    sd = np.maximum(sd, 7.5 - np.hypot(u + 68, v))
    c0 = cov(sd)
    c, mask = c0, np.zeros((S, S), np.float32)
    if kind == 'broken_tip':
        u0 = r.uniform(28, 56)
        jag = u - u0 - 2.5 * tex(r, 400, 3.0, u, v) - r.normal(0, 0.35) * v
        c = c0 * cov(-(-jag))
        mask = c0 - c
    h = bevel(c, 3.2)
    groove = lambda d, w: np.clip(1 - (d / w) ** 2, 0, 1)
    sh_in = (u > -14)
    h = h - 1.5 * groove(v + 4.0, 2.0) * sh_in * sstep(84, 70, u)
    h = h - 1.2 * groove(bow + 7, 1.8) * (u < -30)
    h = h + 0.02 * tex(rng, 0.9, 30, u, v)
    rust = np.zeros((S, S), np.float32)
    if kind == 'rust':
        R = fbm(r, 9, 4)
        for _ in range(r.integers(2, 4)):
            p = (r.uniform(-75, -30), r.uniform(-18, 18)) if r.random() < 0.55 else (r.uniform(-5, 60), r.uniform(-5, 4))
            b = blob(r, u, v, p, r.uniform(9, 14), 0.25, r.uniform(1, 1.5), r.uniform(0, 3)) + 2.5 * R
            rust = np.maximum(rust, cov(b, 2.5))
        rust *= c
        h = h + rust * 0.28 * fbm(r, 2.5, 3)
        mask = rust
    s, sp = shade(h, L, 24)
    base = A(0.56, 0.57, 0.60) * (1 + rng.normal(0, 0.015, 3))
    env = 0.10 * np.sin(u / 26 + v / 40 + rng.uniform(0, 6.28)) + 0.035 * tex(rng, 0.9, 40, u, v)
    rgb = flat(base) * (0.35 + 0.62 * s + env)[..., None] + 0.32 * (sp * (1 - rust))[..., None]
    if kind == 'rust':
        q = fbm(r, 4, 4)
        rc = flat((0.47, 0.23, 0.09)) * (1 + 0.30 * q)[..., None] * (0.45 + 0.6 * s)[..., None]
        rgb = mix(rgb, rc, rust * 0.95)
    if kind == 'scratch':
        if r.random() < 0.6:
            p, a, ln = (r.uniform(-56, -42), r.uniform(-6, 6)), r.uniform(0.5, 2.6), r.uniform(38, 52)
        else:
            p, a, ln = (r.uniform(0, 45), r.uniform(-3, 0)), r.choice([-1, 1]) * r.uniform(0.15, 0.4), r.uniform(35, 50)
        fa = np.arctan2(f.s, f.c)
        d = scratches(r, f.px(p), a + fa, ln, r.integers(3, 6), 3.0, (0.8, 1.2))
        rgb = mix(rgb, flat((0.97, 0.97, 0.95)), cov(np.roll(d, (-2, -2), (0, 1)), 0.8) * 0.85)
        rgb = mix(rgb, flat((0.12, 0.11, 0.11)), cov(d, 0.8) * 0.9)
        mask = cov(d - 0.7) * c
    return place(ground(rng, 'desk', L), c, rgb, L, 3.5), mask


def ceramic_plate(rng, r, kind):
    L = get_light(rng)
    R0 = rng.uniform(88, 93)
    f = Frame(112 + rng.uniform(-7, 7), 112 + rng.uniform(-7, 7), rng.uniform(0, 6.28))
    k = R0 / 90
    u, v = f.u / k, f.v / k
    q, th = np.hypot(u, v), np.arctan2(v, u)
    c0 = cov((q - 90) * k)
    c, mask = c0, np.zeros((S, S), np.float32)
    h = 5.0 * sstep(50, 63, q) + 0.10 * np.clip(q - 60, 0, None) + 0.9 * np.exp(-((q - 87) / 1.8) ** 2)
    h = h - 5 * np.clip((q - 87.5) / 3, 0, 1) ** 2 + 0.05 * fbm(rng, 25, 2)
    pr = cov(np.abs(q - 81.5) - 2.6)
    pr = np.maximum(pr, cov(np.abs(q - 70 - 2.4 * np.cos(th * 20)) - 0.9))
    pr = np.maximum(pr, cov(np.abs(q - 70 + 2.4 * np.cos(th * 20)) - 0.9))
    pr = np.maximum(pr, cov(np.abs(q - 47) - 0.8))
    if kind == 'missing_print':
        a0, w = r.uniform(-np.pi, np.pi), r.uniform(0.30, 0.55)
        dt = np.abs((th - a0 + np.pi) % (2 * np.pi) - np.pi)
        gone = cov((dt - w) * 75 + 2.5 * fbm(r, 6, 3), 3) * (q > 60)
        mask = (pr * gone > 0.4).astype(np.float32)
        pr = pr * (1 - gone)
    rough = np.zeros((S, S), np.float32)
    if kind == 'chip':
        for a0 in r.uniform(-np.pi, np.pi, r.integers(1, 3)):
            R = r.uniform(9, 15)
            b = blob(r, u, v, (90 * np.cos(a0), 90 * np.sin(a0)), R, 0.2, 1.35, a0 + np.pi / 2, 9) + 0.8 * fbm(r, 4, 2)
            rough = np.maximum(rough, cov(b))
            c = c * cov(-(b + 0.42 * R))
        mask = rough * c0
        rough = rough * c
        h = h - rough * (1.2 - 0.2 * fbm(r, 4, 3))
    s, sp = shade(h, L, 60)
    col = mix(flat(A(0.86, 0.85, 0.82) * (1 + rng.normal(0, 0.012))), flat(A(0.13, 0.24, 0.52)), pr * 0.9)
    if kind == 'stain':
        n = r.integers(1, 3)
        tint = A(*[(0.45, 0.26, 0.10), (0.55, 0.16, 0.08), (0.40, 0.38, 0.12)][r.integers(3)])
        al = np.zeros((S, S), np.float32)
        for _ in range(n):
            a0, rr, R = r.uniform(0, 6.28), r.uniform(0, 48), r.uniform(11, 19)
            p = (rr * np.cos(a0), rr * np.sin(a0))
            b = blob(r, u, v, p, R, 0.22, r.uniform(1, 1.4), r.uniform(0, 3))
            al = np.maximum(al, cov(b, 1.2) * (0.62 + 0.3 * np.exp(-(b / 2.2) ** 2)))
            for _ in range(r.integers(1, 4)):
                a1 = r.uniform(0, 6.28)
                b = blob(r, u, v, (p[0] + (R + 7) * np.cos(a1), p[1] + (R + 7) * np.sin(a1)), r.uniform(1.8, 3.5), 0.1)
                al = np.maximum(al, cov(b, 1.0) * 0.8)
        col = mix(col, flat(tint), np.clip(al * (1 + 0.08 * fbm(r, 8, 3)), 0, 1))
        mask = (al > 0.3).astype(np.float32)
    rgb = col * (0.38 + 0.62 * s)[..., None] + 0.16 * sp[..., None]
    if kind == 'chip':
        rc = flat((0.66, 0.53, 0.40)) * (1 + 0.12 * fbm(r, 2.5, 3))[..., None] * (0.35 + 0.62 * s)[..., None]
        rgb = mix(rgb, rc, rough)
    if kind == 'crack':
        a0 = r.uniform(0, 6.28)
        p = f.px((89 * k * np.cos(a0), 89 * k * np.sin(a0)))
        inward = np.arctan2(f.cy - p[1], f.cx - p[0]) + r.normal(0, 0.25)
        d = crack(r, p, inward, r.uniform(70, 140), 0.95, r.integers(1, 4), 0.38)
        rgb = mix(rgb, flat((0.20, 0.16, 0.13)), cov(d, 0.8) * 0.9 * c)
        mask = cov(d - 0.6) * c
    return place(ground(rng, 'concrete', L), c, rgb, L, 6.0), mask


def domino(rng, r, kind):
    L = get_light(rng)
    f = Frame(112 + rng.uniform(-8, 8), 112 + rng.uniform(-8, 8), np.pi / 2 + rng.uniform(-0.5, 0.5))
    u, v = f.u, f.v
    qx, qy = np.abs(u) - 80 + 8, np.abs(v) - 41 + 8
    sd = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - 8
    c0 = cov(sd)
    c, mask = c0, np.zeros((S, S), np.float32)
    fr = np.zeros((S, S), np.float32)
    if kind == 'chipped_corner':
        sx, sy = r.choice([-1, 1]), r.choice([-1, 1])
        R = r.uniform(17, 25)
        b = blob(r, u, v, (sx * 80, sy * 41), R, 0.14, r.uniform(1, 1.4), r.uniform(0, 3), 9) + 0.9 * fbm(r, 5, 3)
        c = c0 * cov(-(b + 0.38 * R))
        mask = c0 * cov(b)
        fr = cov(b) * c
    h = bevel(c0, 5.0)
    pips = [(-40 + a, b) for a in (-21, 21) for b in (-21, 21)] + [(-40, 0)] + [(40 - 21, -21), (40, 0), (40 + 21, 21)]
    gone = wrong = -1
    if kind == 'missing_pip':
        gone = r.integers(len(pips))
    if kind == 'wrong_pip':
        wrong = r.integers(len(pips))
    pc = np.zeros((S, S), np.float32)
    wc = np.zeros((S, S), np.float32)
    for i, (a, b) in enumerate(pips):
        d = np.hypot(u - a, v - b)
        if i == gone:
            mask = np.maximum(mask, cov(d - 7.6))
            continue
        if i == wrong:
            rr = 9.0
            d = [lambda: np.maximum(np.abs(u - a), np.abs(v - b)), lambda: d][r.integers(2)]()
            wc = cov(d - rr)
            mask = np.maximum(mask, cov(d - rr - 0.4))
        else:
            rr = 7.0
            pc = np.maximum(pc, cov(d - rr))
        h = h - 2.6 * np.sqrt(np.clip(1 - (d / rr) ** 2, 0, 1))
    h = h - 1.6 * np.clip(1 - (u / 1.7) ** 2, 0, 1) * (np.abs(v) < 34)
    dp = np.hypot(u, v)
    pin = cov(dp - 5.2)
    h = np.where(dp < 5.2, h * 0 + 5 + 1.8 * np.sqrt(np.clip(1 - (dp / 5.2) ** 2, 0, 1)), h)
    if kind == 'chipped_corner':
        h = h - fr * (1.6 - 0.35 * fbm(r, 5, 3))
    s, sp = shade(ndi.gaussian_filter(h, 0.8), L, 45)
    iv = flat(A(0.85, 0.80, 0.67) * (1 + rng.normal(0, 0.015))) * (1 + 0.025 * tex(rng, 40, 7, u, v) + 0.02 * fbm(rng, 30, 3))[..., None]
    col = mix(iv, flat((0.06, 0.06, 0.07)), pc)
    col = mix(col, flat((0.20, 0.17, 0.13)), cov(np.abs(u) - 1.4) * cov(np.abs(v) - 34) * 0.8)
    col = mix(col, flat((0.72, 0.56, 0.22)), pin)
    if wrong >= 0:
        col = mix(col, flat([(0.72, 0.10, 0.08), (0.10, 0.28, 0.68), (0.12, 0.52, 0.20)][r.integers(3)]), wc)
    rgb = col * (0.36 + 0.62 * s)[..., None] + (0.10 + 0.25 * pin)[..., None] * sp[..., None]
    if kind == 'chipped_corner':
        rc = flat((0.70, 0.63, 0.50)) * (1 + 0.10 * fbm(r, 3, 3))[..., None] * (0.30 + 0.55 * s)[..., None]
        rgb = mix(rgb, rc, fr)
    if kind == 'scratch':
        p = f.px((r.uniform(-40, 40), r.uniform(-10, 10)))
        d = scratches(r, p, r.uniform(0, 3.14), r.uniform(45, 75), r.integers(2, 5), 3.5, (0.6, 1.2))
        rgb = mix(rgb, flat((0.97, 0.95, 0.88)), cov(np.roll(d, (-2, -1), (0, 1)), 0.8) * 0.6 * c)
        rgb = mix(rgb, flat((0.30, 0.25, 0.19)), cov(d, 0.8) * 0.88 * c)
        mask = cov(d - 0.7) * c
    return place(ground(rng, 'felt', L), c, rgb, L, 8.0), mask


def pencil(rng, r, kind):
    L = get_light(rng)
    f = Frame(112 + rng.uniform(-6, 6), 112 + rng.uniform(-12, 12), rng.uniform(-0.75, 0.75) + rng.choice([0, np.pi]))
    u, v = f.u, f.v
    hw = np.where(u > 62, np.clip(12.5 - (u - 62) * 0.345, 0, 13), 12.5)
    hw = np.where(u < -60, 12.0, hw)
    er = u < -78
    hw = np.where(er, 11.0 * np.sqrt(np.clip(1 - np.clip((-(u + 78) - 12) / 6, 0, 1) ** 2 * 0.75, 0, 1)), hw)
    sd = np.maximum(np.maximum(np.abs(v) - hw, u - 96), -96 - u)
    c0 = cov(sd)
    c, mask = c0, np.zeros((S, S), np.float32)
    if kind == 'broken_tip':
        jag = u - r.uniform(68, 78) - 1.6 * tex(r, 400, 2.5, u, v) - r.normal(0, 0.3) * v
        c = c0 * cov(jag)
        mask = c0 - c
    if kind == 'missing_eraser':
        c = c0 * cov(-78.5 - u)
        mask = c0 - c
    # rounded or six-sided cross-section
    t = np.clip(v / np.maximum(hw, 0.3), -1, 1)
    hround = np.maximum(hw, 0.3) * np.sqrt(np.clip(1 - t * t, 0.02, 1))
    hhex = 11.0 - np.clip(np.abs(v) - 5.5, 0, None) * 0.95
    edge = 62 - 4.0 * (1 - (np.mod(v + 5.5, 11) / 5.5 - 1) ** 2) - 1
    paint = cov(u - edge, 0.8) * cov(-60 - u)
    h = np.where(u < edge, hhex, hround)
    h = np.where(u < -60, hround * 0.9, h)
    fer = cov(u + 60) * cov(-78.5 - u)
    h = h + fer * 0.55 * np.cos(2 * np.pi * (u + 60) / 5.0)
    dm = np.zeros((S, S), np.float32)
    if kind == 'dents':
        p0 = r.uniform(-40, 25)
        for i in range(r.integers(4, 7)):
            b = blob(r, u, v, (p0 + i * r.uniform(6.0, 8.5), r.uniform(-6, 6)), r.uniform(2.6, 3.6), 0.12, r.uniform(1.4, 2.0),
                     np.pi / 2 + r.normal(0, 0.25))
            dd = np.clip(-b / 2.8, 0, 1)
            h = h - 1.9 * sstep(0, 1, dd)
            dm = np.maximum(dm, cov(b + 0.2))
        dm = dm * c
        mask = dm
    h = ndi.gaussian_filter(h, 1.0)
    s, sp = shade(h, L, 35)
    wood = flat((0.80, 0.62, 0.42)) * (1 + 0.07 * tex(rng, 25, 1.0, u, v))[..., None]
    col = mix(wood, flat(A(0.90, 0.66, 0.10) * (1 + rng.normal(0, 0.02, 3))), paint)
    stamp = cov(np.abs(v) - 2.6) * (u > -46) * (u < -14) * (np.mod(u + 46, 5.2) < 3.3)
    stamp = np.maximum(stamp, cov(np.abs(v) - 2.6) * (u > -8) * (u < 0))
    col = mix(col, flat((0.16, 0.26, 0.16)), stamp * 0.9)
    col = mix(col, flat((0.13, 0.13, 0.14)), cov(82 - u, 0.8))
    col = mix(col, flat((0.62, 0.60, 0.55)), fer)
    col = mix(col, flat(A(0.86, 0.47, 0.46)) * (1 + 0.04 * fbm(rng, 5, 3))[..., None], cov(u + 78.5))
    gloss = 0.28 * paint + 0.45 * fer
    if kind == 'peeled_paint':
        n = r.integers(1, 3)
        al = np.zeros((S, S), np.float32)
        for i in range(n):
            b = blob(r, u, v, (r.uniform(-42, 42), r.uniform(-6, 6)), r.uniform(5.5, 8.5), 0.2, r.uniform(1.6, 2.8), r.normal(0, 0.1), 9)
            b = b + 1.0 * fbm(r, 3.5, 3)
            al = np.maximum(al, cov(b, 0.8))
        al = al * paint * c
        bare = flat((0.72, 0.55, 0.38)) * (1 + 0.12 * tex(r, 18, 0.9, u, v))[..., None]
        rim = np.clip(ndi.gaussian_filter(al, 1.5) * (1 - ndi.gaussian_filter(al, 1.5)) * 4, 0, 1)
        col = mix(col, bare, al)
        col = mix(col, flat((0.36, 0.24, 0.12)), rim * al * 0.6)
        gloss = gloss * (1 - al)
        mask = al
    if kind == 'dents':
        col = col * (1 - dm[..., None] * A(0.22, 0.30, 0.30))
    if kind == 'broken_tip':
        raw = cov(-(jag + 3.0)) * c
        col = mix(col, flat((0.60, 0.43, 0.27)), raw * 0.8)
        col = mix(col, flat((0.14, 0.13, 0.13)), raw * cov(np.abs(v) - 2.2))
    rgb = col * (0.32 + 0.62 * np.clip(s, 0, 1.5))[..., None] + (gloss * sp)[..., None]
    return place(ground(rng, 'table', L), c, rgb, L, 7.0, 0.5), mask


def egg(rng, r, kind):
    L = get_light(rng)
    f = Frame(112 + rng.uniform(-9, 9), 112 + rng.uniform(-9, 9), rng.uniform(0, 6.28))
    a, bb = rng.uniform(77, 83), rng.uniform(58, 62)
    u, v = f.u, f.v
    w = bb * (1 - 0.17 * u / a)
    rho2 = (u / a) ** 2 + (v / w) ** 2
    c = cov((np.sqrt(rho2) - 1) * bb)
    mask = np.zeros((S, S), np.float32)
    h = bb * np.sqrt(np.clip(1 - rho2, 0.0, 1)) + 0.05 * fbm(rng, 1.6, 2) + 0.1 * fbm(rng, 8, 2)
    s, sp = shade(h, L, 14)
    tone = rng.uniform(-1, 1)
    col = flat(A(0.80, 0.56 + 0.02 * tone, 0.41 + 0.03 * tone)) * (1 + 0.025 * fbm(rng, 30, 4))[..., None]
    sk = np.clip(noise(rng, 2.2) - 2.2, 0, 1)
    col = mix(col, flat((0.55, 0.33, 0.20)), np.clip(sk * 1.2, 0, 0.6))
    lit = (0.30 + 0.52 * np.clip(s, 0, 1.7))
    ao = 0.6 + 0.4 * sstep(1.0, 0.6, rho2)
    a0, q = r.uniform(0, 6.28), r.uniform(0.05, 0.45)
    p = (a * q * np.cos(a0), bb * q * np.sin(a0))
    if kind == 'dirt':
        al = np.zeros((S, S), np.float32)
        n1, n2 = fbm(r, 10, 4), fbm(r, 3, 3)
        for i in range(r.integers(2, 4)):
            o = (p[0] + r.normal(0, 15), p[1] + r.normal(0, 13))
            b = blob(r, u, v, o, r.uniform(8, 14), 0.25, r.uniform(1, 1.8), r.uniform(0, 3)) + 3.0 * n1
            al = np.maximum(al, cov(b, 3.0))
        al = al * c
        dc = flat([(0.27, 0.19, 0.10), (0.30, 0.28, 0.16)][r.integers(2)]) * (1 + 0.22 * n2)[..., None]
        col = mix(col, dc, np.clip(al * (0.88 + 0.1 * n2), 0, 0.97))
        mask = al
    rgb = col * (lit * ao)[..., None] + 0.07 * sp[..., None]
    if kind == 'crack':
        pp = f.px(p)
        d = np.full((S, S), 99.0, np.float32)
        n = r.integers(4, 7)
        a1 = r.uniform(0, 6.28)
        for i in range(n):
            d = np.minimum(d, crack(r, pp, a1 + i * 6.28 / n + r.normal(0, 0.2), r.uniform(18, 52), 1.0, r.integers(0, 2), 0.5))
        rgb = mix(rgb, flat((0.95, 0.85, 0.74)), cov(np.roll(d, (-2, -2), (0, 1)), 0.8) * 0.5 * c)
        rgb = mix(rgb, flat((0.17, 0.09, 0.05)), cov(d, 0.8) * 0.9 * c)
        mask = cov(d - 0.6) * c
    if kind == 'hole':
        R = r.uniform(13, 21)
        b = blob(r, u, v, p, R, 0.2, r.uniform(1, 1.3), r.uniform(0, 3), 11) + 1.2 * fbm(r, 5, 2)
        hole = cov(b) * c
        inner = cov(np.hypot(0, 0) + b + 1.8)
        gx = (L[0] * (X - f.px(p)[0]) + L[1] * (Y - f.px(p)[1])) / R      # lit on the far wall
        ins = flat((0.50, 0.40, 0.28)) * np.clip(0.30 - 0.38 * gx, 0.06, 0.9)[..., None]
        rgb = mix(rgb, flat((0.93, 0.87, 0.78)) * (0.5 + 0.5 * np.clip(lit, 0, 1))[..., None], hole)
        rgb = mix(rgb, ins, inner * hole)
        dk = crack(r, f.px(p), r.uniform(0, 6.28), R + r.uniform(12, 25), 0.8, 0, 0.4)
        ck = cov(dk, 0.8) * (1 - hole) * c
        rgb = mix(rgb, flat((0.2, 0.11, 0.06)), ck * 0.85)
        mask = np.maximum(hole, cov(dk - 0.6) * c)
    return place(ground(rng, 'cloth', L), c, rgb, L, 16.0, 0.6), mask


# ---------------------------------------------------------------- surfaces
def denim(rng, r, kind):
    L = get_light(rng)
    f = Frame(112, 112, rng.uniform(-0.15, 0.15))
    p = rng.uniform(3.5, 3.9)
    u = f.u + 0.6 * fbm(rng, 40, 2) + rng.uniform(0, 40) + 400
    v = f.v + 0.6 * fbm(rng, 40, 2) + rng.uniform(0, 40) + 400
    i, j = np.floor(u / p), np.floor(v / p)
    fu, fv = u / p - i - 0.5, v / p - j - 0.5
    weft = ((i + j) % 3 == 0)
    # warp on top over two rows, its float's phase along v
    hh = np.where(weft, 0.55 * np.cos(np.pi * fu) * np.cos(np.pi * fv * 0.9), 0.9 * np.cos(np.pi * fu * 0.95))
    ph = ((i + j) % 3 - 1 + (fv + 0.5)) / 2
    hh = np.where(weft, hh, hh * (0.75 + 0.25 * np.sin(np.pi * np.clip(ph, 0, 1))))
    s, _ = shade(ndi.gaussian_filter(hh, 0.7), L)
    slub_i = tex(rng, p, 60, f.u, f.v)
    slub_j = tex(rng, 60, p, f.u, f.v)
    fade = fbm(rng, 70, 3)
    ind = flat(A(0.17, 0.24, 0.40) * (1 + rng.normal(0, 0.03, 3))) * (1 + 0.10 * slub_i + 0.09 * fade)[..., None]
    ecru = flat((0.62, 0.64, 0.66)) * (1 + 0.07 * slub_j)[..., None]
    col = mix(ind, ecru, ndi.gaussian_filter(weft.astype(np.float32), 0.7) * 0.85)
    col = col * (1 + 0.07 * noise(rng, 0.8))[..., None]
    mask = np.zeros((S, S), np.float32)
    c0 = (r.uniform(-55, 55), r.uniform(-55, 55))
    U, V = f.u, f.v
    if kind == 'bleach_spot':
        b = blob(r, U, V, c0, r.uniform(17, 28), 0.2, r.uniform(1, 1.4), r.uniform(0, 3)) + 2.5 * fbm(r, 8, 3)
        al = cov(b, 7.0)
        for _ in range(r.integers(1, 4)):
            o = (c0[0] + r.normal(0, 26), c0[1] + r.normal(0, 26))
            al = np.maximum(al, cov(blob(r, U, V, o, r.uniform(3, 6), 0.15), 3.0))
        col = mix(col, col * 0.35 + A(0.52, 0.52, 0.50), al * 0.9)
        mask = al
    if kind == 'oil_stain':
        b = blob(r, U, V, c0, r.uniform(16, 27), 0.25, r.uniform(1, 1.6), r.uniform(0, 3)) + 2.0 * fbm(r, 9, 3)
        al = cov(b, 4.0) * (0.85 + 0.15 * np.exp(-(b / 3) ** 2))
        col = mix(col, col * A(0.35, 0.26, 0.16) + A(0.045, 0.030, 0.01), al * 0.95)
        mask = (al > 0.4).astype(np.float32)
    rgb = col * (0.42 + 0.58 * s)[..., None]
    if kind == 'hole':
        b = blob(r, U, V, c0, r.uniform(12, 18), 0.18, r.uniform(1.3, 2.0), r.normal(0, 0.25), 8)
        b = b + 1.2 * tex(r, 2.0, 12, U, V)
        hole = cov(b, 0.8)
        inside = flat((0.07, 0.07, 0.08)) * (1 + 0.2 * noise(r, 3))[..., None]
        rgb = rgb * (1 - 0.0 * hole)[..., None]
        rgb = mix(rgb, inside, hole)
        # white weft threads left across it
        wob = V + 1.3 * tex(r, 22, 5, U, V)
        k = np.floor(wob / 3.3)
        keep = ((k * 7919 % 11) > 3)
        fy = wob / 3.3 - k - 0.5
        th = np.clip(1 - (fy / 0.40) ** 2, 0, 1) ** 0.6 * keep
        tc = flat((0.74, 0.74, 0.71)) * (0.55 + 0.45 * np.clip(0.5 - fy, 0, 1))[..., None] * (1 + 0.1 * noise(r, 1.2))[..., None]
        rgb = mix(rgb, tc, th * hole)
        fray = cov(np.abs(b - 1.2) - 1.6 - 0.8 * tex(r, 1.5, 6, U, V), 1.0) * 0.75      # pale frayed border
        rgb = mix(rgb, flat((0.66, 0.68, 0.71)), fray)
        mask = np.maximum(hole, cov(b - 2.6))
    if kind == 'loose_thread':
        d = np.full((S, S), 99.0, np.float32)
        for _ in range(r.integers(1, 3)):
            a0, pts = r.uniform(0, 6.28), [np.array([112 + c0[0] + r.normal(0, 8), 112 + c0[1] + r.normal(0, 8)])]
            curl = r.normal(0, 0.05)
            for _ in range(int(r.uniform(40, 70))):
                curl = np.clip(0.96 * curl + r.normal(0, 0.035), -0.13, 0.13)
                a0 += curl
                pts.append(pts[-1] + 2.2 * np.array([np.cos(a0), np.sin(a0)]))
            d = np.minimum(d, polydist(np.array(pts), np.full(len(pts), 1.15)))
        shd = cov(np.roll(d, (4, 3), (0, 1)) - 0.4, 3.0)
        rgb = rgb * (1 - 0.5 * shd)[..., None]
        prof = np.clip(-d / 1.15, 0, 1)
        rgb = mix(rgb, flat((0.90, 0.88, 0.80)) * (0.68 + 0.32 * prof)[..., None], cov(d))
        mask = cov(d - 0.4)
    return rgb * 1.12, mask


def marble(rng, r, kind):
    L = get_light(rng)
    f = Frame(112, 112, rng.uniform(0.3, 1.1))
    wu, wv = 16 * fbm(rng, 60, 3), 16 * fbm(rng, 60, 3)
    cloud = fbm(rng, 80, 4)
    col = flat(A(0.83, 0.825, 0.81) * (1 + rng.normal(0, 0.012))) * (1 + 0.035 * cloud + 0.012 * fbm(rng, 4, 3))[..., None]
    U, V = f.u + wu, f.v + wv
    for k in range(3):
        z = tex(rng, 110, 55 / (k + 1), U, V) + 0.25 * fbm(rng, 25, 4)
        wid = (0.16, 0.10, 0.07)[k]
        amp = np.clip(0.55 + 0.5 * fbm(rng, 50, 2), 0.05, 1.1)
        vein = np.exp(-np.abs(z) / wid) * amp
        col = mix(col, flat((0.50, 0.51, 0.53)), np.clip(vein * (0.55, 0.42, 0.36)[k], 0, 0.8))
    glare = np.exp(-(((X - rng.uniform(0, 224)) / 120) ** 2 + ((Y - rng.uniform(0, 224)) / 90) ** 2)) * 0.06
    h = 0.01 * fbm(rng, 3, 2)
    mask = np.zeros((S, S), np.float32)
    u, v = f.u, f.v
    c0 = (r.uniform(-55, 55), r.uniform(-55, 55))
    pit = np.zeros((S, S), np.float32)
    if kind == 'chip':
        for _ in range(r.integers(1, 4)):
            o = (r.uniform(-65, 65), r.uniform(-65, 65))
            R = r.uniform(8, 15)
            b = blob(r, u, v, o, R, 0.2, r.uniform(1, 1.5), r.uniform(0, 3), 10) + 0.9 * fbm(r, 4, 3)
            pit = np.maximum(pit, cov(b, 0.7))
            h = h - sstep(0, 0.75, -b / R) * R * 0.38 - cov(b, 2.0) * 1.6
        h = h + pit * 0.25 * fbm(r, 4.5, 3)
        mask = pit
    s, sp = shade(h, L, 40)
    if kind == 'stain':
        tint = A(*[(0.42, 0.23, 0.09), (0.52, 0.30, 0.10), (0.40, 0.10, 0.16)][r.integers(3)])
        al = np.zeros((S, S), np.float32)
        b = blob(r, u, v, c0, r.uniform(17, 27), 0.2, r.uniform(1, 1.5), r.uniform(0, 3)) + 1.2 * fbm(r, 8, 3)
        al = cov(b, 2.0) * (0.50 + 0.12 * fbm(r, 12, 3) + 0.30 * np.exp(-(b / 2.5) ** 2))
        for _ in range(r.integers(2, 5)):
            a1, q = r.uniform(0, 6.28), r.uniform(30, 42)
            b = blob(r, u, v, (c0[0] + q * np.cos(a1), c0[1] + q * np.sin(a1)), r.uniform(2, 4.5), 0.12)
            al = np.maximum(al, cov(b, 1.2) * 0.7)
        al = np.clip(al, 0, 0.95)
        col = mix(col, col * tint * 1.1, al)
        mask = (al > 0.2).astype(np.float32)
    rgb = col * (0.30 + 0.70 * s)[..., None] + glare[..., None]
    if kind == 'chip':
        rgb = mix(rgb, (0.25 + 0.62 * s)[..., None] * flat((0.70, 0.67, 0.62)) * (1 + 0.12 * fbm(r, 2.5, 3))[..., None], pit * 0.9)
    if kind == 'crack':
        p = np.array([112, 112]) + r.uniform(-45, 45, 2)
        a0 = r.uniform(0, 6.28)
        p = p - 50 * np.array([np.cos(a0), np.sin(a0)])
        d = crack(r, p, a0, r.uniform(85, 150), r.uniform(1.1, 1.6), r.integers(1, 4), 0.5)
        rgb = mix(rgb, flat((0.97, 0.96, 0.94)), cov(np.roll(d, (2, 2), (0, 1)), 0.8) * 0.6)
        rgb = mix(rgb, flat((0.13, 0.12, 0.11)), cov(d, 0.8) * 0.93)
        mask = cov(d - 0.6)
    return rgb, mask


def brick_wall(rng, r, kind):
    L = get_light(rng)
    f = Frame(112 + rng.uniform(-30, 30), 112 + rng.uniform(-12, 12), rng.uniform(-0.05, 0.05))
    W, H, g = 70.0, 27.0, rng.uniform(4.6, 5.6)
    wob_u, wob_v = 0.35 * fbm(rng, 22, 3), 0.35 * fbm(rng, 22, 3)
    u, v = f.u + wob_u, f.v + wob_v
    row = np.floor(v / H)
    uu = u + (row % 2) * W / 2
    colm = np.floor(uu / W)
    idx = ((row.astype(int) + 40) % 64, (colm.astype(int) + 40) % 64)
    jx, jy, jt, jh = [rng.standard_normal((64, 64)).astype(np.float32) for _ in range(4)]
    bx = uu - (colm + 0.5) * W - 0.5 * np.clip(jx[idx], -2, 2)
    by = v - (row + 0.5) * H - 0.3 * np.clip(jy[idx], -2, 2)
    rad = 3.0
    qx, qy = np.abs(bx) - (W - g) / 2 + rad, np.abs(by) - (H - g) / 2 + rad
    sd = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - rad
    sd = sd + 0.22 * fbm(rng, 4, 3)
    bc = cov(sd, 0.8)
    rough = fbm(rng, 5, 4)
    h = 3.0 * sstep(0.6, -2.2, sd) + 0.16 * rough + (1 - bc) * 0.15 * noise(rng, 1.1)
    tone = 0.09 * np.clip(jt[idx], -2, 2)
    hue = 0.02 * np.clip(jh[idx], -2, 2)
    grain = 0.07 * fbm(rng, 2.5, 3) + 0.06 * fbm(rng, 20, 3)
    red = np.stack([0.58 + 0 * hue, 0.28 + hue, 0.20 + 0.6 * hue], -1) * (1 + tone + grain)[..., None]
    pores = np.clip(noise(rng, 1.6) - 1.9, 0, 1)
    red = red * (1 - 0.45 * np.clip(pores, 0, 1))[..., None]
    mort = flat((0.62, 0.60, 0.56)) * (1 + 0.07 * noise(rng, 0.9) + 0.05 * fbm(rng, 15, 3))[..., None]
    mask = np.zeros((S, S), np.float32)
    # bricks wholly in the picture
    full = []
    for rr in np.unique(row):
        for cc in np.unique(colm):
            m = (row == rr) & (colm == cc) & (bc > 0.5)
            if m.sum() > 0.9 * (W - g) * (H - g) * SS * SS:
                full.append((rr, cc))
    pick = full[r.integers(len(full))]
    sel = (row == pick[0]) & (colm == pick[1])
    fr = np.zeros((S, S), np.float32)
    if kind == 'wrong_brick':
        wc = A(*[(0.52, 0.53, 0.54), (0.80, 0.70, 0.46), (0.24, 0.33, 0.46)][r.integers(3)])
        red = np.where(sel[..., None], flat(wc) * (1 + grain)[..., None], red)
        mask = bc * sel
    if kind == 'broken_brick':
        e = r.choice([-1, 0, 1])
        o = (e * (W - g) / 2 * 0.9, r.choice([-1, 1]) * r.uniform(2, 10))
        R = r.uniform(11, 16)
        b = blob(r, bx, by, o, R, 0.2, r.uniform(1.2, 1.9), r.normal(0, 0.3), 10) + 1.0 * fbm(r, 4, 3)
        fr = cov(b, 0.7) * bc * sel
        depth = sstep(0, 5.0, -b)
        h = h - fr * (2.2 + 3.5 * depth) + fr * 0.8 * fbm(r, 4, 4)
        mask = fr
    s, _ = shade(ndi.gaussian_filter(h, 0.8), L)
    occ = ndi.gaussian_filter(bc, 3.0)
    rgb = mix(mort * (0.62 + 0.38 * (1 - occ))[..., None], red, bc)
    if kind == 'broken_brick':
        rgb = mix(rgb, flat((0.33, 0.15, 0.10)) * (1 + 0.22 * fbm(r, 3, 3))[..., None], fr * 0.92)
        dep = ndi.gaussian_filter(ndi.shift(1 - fr, tuple(-L[[1, 0]] / L[2] * 4.5 * SS), order=1, mode='nearest'), 1.5)
        rgb = rgb * (1 - 0.55 * fr * np.clip(dep, 0, 1))[..., None]
    if kind == 'paint_splash':
        tint = A(*[(0.88, 0.88, 0.86), (0.14, 0.32, 0.66), (0.90, 0.78, 0.16), (0.12, 0.46, 0.24)][r.integers(4)])
        c0 = (112 + r.uniform(-50, 50), 112 + r.uniform(-50, 30))
        R = r.uniform(14, 23)
        al = cov(blob(r, X, Y, c0, R, 0.22, r.uniform(1, 1.4), r.uniform(0, 3), 10) + 0.6 * rough, 0.8)
        for _ in range(r.integers(4, 9)):
            a1, q = r.uniform(0, 6.28), R + r.uniform(4, 22)
            al = np.maximum(al, cov(blob(r, X, Y, (c0[0] + q * np.cos(a1), c0[1] + q * np.sin(a1)), r.uniform(1.6, 4.2), 0.12), 0.8))
        for _ in range(r.integers(1, 4)):           # runs
            x0 = c0[0] + r.uniform(-0.6, 0.6) * R
            pts = np.array([[x0 + r.normal(0, 0.5), c0[1] + t] for t in np.linspace(0, R + r.uniform(15, 40), 8)])
            al = np.maximum(al, cov(polydist(pts, np.linspace(1.7, 2.1, 8)), 0.8))
        rgb = mix(rgb, flat(tint), al * 0.95)
        mask = al
    rgb = rgb * (0.35 + 0.65 * np.clip(s, 0, 1.6))[..., None]
    if kind == 'crack':
        a0 = r.choice([1, -1]) * r.uniform(0.6, 1.3)
        p = np.array([112, 112]) + r.uniform(-40, 40, 2) - 60 * np.array([np.cos(a0), np.sin(a0)])
        d = crack(r, p, a0, r.uniform(95, 150), r.uniform(1.5, 2.2), r.integers(1, 3), 0.6)
        d = d + 0.4 * fbm(r, 3, 2)
        rgb = mix(rgb, np.clip(rgb * 1.5 + 0.08, 0, 1), cov(np.roll(d, (2, 2), (0, 1)) - 0.3, 0.8) * 0.7)
        rgb = mix(rgb, flat((0.05, 0.04, 0.035)), cov(d, 0.8) * 0.95)
        mask = cov(d - 0.5)
    return rgb * 1.05, mask


CATEGORIES = {
    'metal_key': (metal_key, ['broken_tip', 'rust', 'scratch']),
    'ceramic_plate': (ceramic_plate, ['chip', 'crack', 'missing_print', 'stain']),
    'domino': (domino, ['chipped_corner', 'missing_pip', 'scratch', 'wrong_pip']),
    'pencil': (pencil, ['broken_tip', 'dents', 'missing_eraser', 'peeled_paint']),
    'egg': (egg, ['crack', 'dirt', 'hole']),
    'denim': (denim, ['bleach_spot', 'hole', 'loose_thread', 'oil_stain']),
    'marble': (marble, ['chip', 'crack', 'stain']),
    'brick_wall': (brick_wall, ['broken_brick', 'crack', 'paint_splash', 'wrong_brick']),
}


# ---------------------------------------------------------------- camera
def down(a):
    a = a.reshape(N, SS, N, SS, -1).mean((1, 3))
    return a[..., 0] if a.shape[-1] == 1 else a


def camera(key, fn, kind):
    """one picture, its mask, and the same picture without the defect's change (to trim the mask)"""
    def go(k):
        rng = np.random.default_rng(key + [1])
        img, m = fn(rng, np.random.default_rng(key + [2]), k)
        q = np.random.default_rng(key + [3])
        gain = q.uniform(0.90, 1.10)
        tint = 1 + q.normal(0, 0.009, 3)
        a, g = q.uniform(0, 6.28), q.uniform(0.02, 0.10)
        x, y = (X - 112) / 112, (Y - 112) / 112
        lit = gain * (1 + g * (np.cos(a) * x + np.sin(a) * y)) * (1 - q.uniform(0.02, 0.07) * (x * x + y * y))
        img = np.clip(img, 0, 1.15) * lit[..., None] * tint
        b = q.uniform(0.5, 0.9)
        img = down(ndi.gaussian_filter(img, (b, b, 0)))
        img = img - np.log1p(np.exp((img - 0.97) * 22)) / 22     # soft highlights
        sig = q.uniform(0.007, 0.012)
        n = q.standard_normal((N, N, 3)) * 0.6 + q.standard_normal((N, N, 1)) * 0.7
        return img, img + n * sig * (0.6 + 0.7 * np.sqrt(np.clip(img, 0, 1))), m

    clean, out, m = go(kind)
    out8 = (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)
    if kind == 'good':
        return out8, None, None
    ref, _, _ = go('good')
    diff = np.abs(clean - ref).max(-1)
    mask = down(m) > 0.45
    seen = ndi.binary_dilation(ndi.gaussian_filter(diff, 0.7) > 0.03, iterations=1)
    seen = ndi.binary_fill_holes(seen)
    mask &= seen
    if not mask.any():
        raise RuntimeError('empty mask')
    return out8, mask, (mask.mean(), diff[mask].mean(), (diff[~ndi.binary_dilation(mask, iterations=2)] > 0.08).sum())


def main(out, seed=20):
    total = 0
    for cat, (fn, kinds) in CATEGORIES.items():
        for split, kind, n in [('train', 'good', 10), ('test', 'good', 10)] + [('test', k, 6) for k in kinds]:
            d = os.path.join(out, cat, split, kind)
            os.makedirs(d, exist_ok=True)
            st = []
            for i in range(n):
                key = [seed, zlib.crc32(f'{cat}/{split}/{kind}'.encode()), i]
                img, mask, q = camera(key, fn, kind)
                Image.fromarray(img).save(os.path.join(d, f'{i:03d}.png'))
                total += 1
                if mask is not None:
                    g = os.path.join(out, cat, 'ground_truth', kind)
                    os.makedirs(g, exist_ok=True)
                    Image.fromarray(mask.astype(np.uint8) * 255).save(os.path.join(g, f'{i:03d}_mask.png'))
                    st.append(q)
            if st:
                st = np.array(st)
                print(f'{cat:14s} {kind:15s} area% {100 * st[:, 0].min():5.2f}-{100 * st[:, 0].max():5.2f}  '
                      f'change {st[:, 1].min():.2f}-{st[:, 1].max():.2f}  changed px outside {int(st[:, 2].max())}', flush=True)
    print(total, 'pictures')


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:3]))
