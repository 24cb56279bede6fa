#!/usr/bin/env python
"""Synthetic anomaly-detection benchmark in MVTec AD's layout.

    make.py [--out DIR] [--seed N] [--jobs N] [--only cat,cat] [--sheets DIR]

Every category is a function that fills a height map, an albedo map and gloss maps; one renderer
shades them (normals, soft shadows by marching the height map, ambient occlusion, specular light).
The flawless twin of every defective picture is rendered from the same random numbers; the mask is
where the two differ visibly, so it covers just what the defect changed.
"""
import argparse, os, shutil, sys, zlib
from multiprocessing import Pool
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

N = 256
SS = 2                       # samples per pixel and axis
F = np.float32
TAU = 2 * np.pi


# ------------------------------------------------------------------ helpers
def grid():
    a = ((np.arange(N * SS) + 0.5) / SS).astype(F)
    return np.meshgrid(a, a)


def lin(c):
    return np.asarray(c, F) ** F(2.2)


def sm(d, w=1.0):
    """coverage of a signed distance (negative inside), soft over w pixels"""
    return np.clip(0.5 - d / w, 0, 1).astype(F)


def step(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return (t * t * (3 - 2 * t)).astype(F)


def mix(a, b, t):
    if np.ndim(a) == 3 or np.ndim(b) == 3 or np.shape(a) == (3,) or np.shape(b) == (3,):
        t = t[..., None]
    return a * (1 - t) + b * t


class Noise:
    """smooth value noise, wrapped, 0..1"""
    def __init__(self, rng, n=64):
        self.g = rng.random((n, n)).astype(F)
        self.n = n

    def __call__(self, u, v, su, sv=None):
        sv = su if sv is None else sv
        x, y = u / su, v / sv
        xi, yi = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        fx, fy = (x - xi).astype(F), (y - yi).astype(F)
        fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
        n, g = self.n, self.g
        x0, y0, x1, y1 = xi % n, yi % n, (xi + 1) % n, (yi + 1) % n
        a = g[y0, x0] * (1 - fx) + g[y0, x1] * fx
        b = g[y1, x0] * (1 - fx) + g[y1, x1] * fx
        return a * (1 - fy) + b * fy

    def fbm(self, u, v, su, sv=None, octaves=4):
        s, amp, tot = 0, 1.0, 0
        sv = su if sv is None else sv
        for k in range(octaves):
            s = s + amp * self(u + 17.3 * k * su, v + 9.1 * k * sv, su / 2 ** k, sv / 2 ** k)
            tot += amp
            amp *= 0.5
        return s / tot


def poly_dist(x, y, pts, pad=14):
    """distance to a polyline and position (0..1) along it; far pixels get 1e3"""
    D = np.full(x.shape, 1e3, F)
    T = np.zeros(x.shape, F)
    pts = np.asarray(pts, float)
    seg = np.hypot(*np.diff(pts, axis=0).T)
    cum = np.r_[0, np.cumsum(seg)]
    for k in range(len(pts) - 1):
        a, b = pts[k], pts[k + 1]
        lo, hi = np.minimum(a, b) - pad, np.maximum(a, b) + pad
        sel = (x > lo[0]) & (x < hi[0]) & (y > lo[1]) & (y < hi[1])
        if not sel.any():
            continue
        px, py = x[sel] - a[0], y[sel] - a[1]
        d = b - a
        t = np.clip((px * d[0] + py * d[1]) / (d @ d + 1e-9), 0, 1)
        q = np.hypot(px - t * d[0], py - t * d[1])
        old = D[sel]
        w = q < old
        D[sel] = np.where(w, q, old)
        T[sel] = np.where(w, (cum[k] + t * seg[k]) / cum[-1], T[sel])
    return D, T


def walk(rng, p, ang, length, stepn=7, jit=0.45):
    """a jagged path (crack)"""
    pts = [np.array(p, float)]
    h, n = ang, max(3, int(length / stepn))
    for _ in range(n):
        a = h + rng.normal(0, jit)
        h = ang + 0.6 * (h - ang) + rng.normal(0, 0.12)
        pts.append(pts[-1] + stepn * rng.uniform(0.6, 1.4) * np.array([np.cos(a), np.sin(a)]))
    return np.array(pts)


def arc(rng, p, ang, length, bend=0.5, n=14):
    """a smooth, slightly bent path centred at p (scratch)"""
    t = np.linspace(-0.5, 0.5, n)
    k = rng.uniform(-bend, bend)
    a = ang + k * t
    d = np.stack([np.cos(a), np.sin(a)], 1) * length / n
    q = np.cumsum(d, 0)
    return q - q.mean(0) + np.asarray(p)


def box(u, v, a, b, r):
    qx, qy = np.abs(u) - (a - r), np.abs(v) - (b - r)
    return np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - r


def blob(rng, u, v, p, R, ecc=1.5, rough=0.5, fine=0.18):
    """signed distance-like field of an irregular blob"""
    a = rng.uniform(0, TAU)
    e = rng.uniform(1.0, ecc) ** 0.5
    n = Noise(rng)
    du, dv = u - p[0], v - p[1]
    x, y = np.cos(a) * du + np.sin(a) * dv, -np.sin(a) * du + np.cos(a) * dv
    d = np.hypot(x / e, y * e)
    return (d - R * (1 + rough * (n(du + 99, dv + 99, R * 0.8) - 0.5) * 2 * 0.7
                     + fine * (n(du + 300, dv + 300, R * 0.22) - 0.5) * 2)).astype(F)


class Ctx:
    """one picture: maps, the random numbers of its natural variety (r) and of its defect (d)"""
    def __init__(self, seed, dseed, kind, i=0):
        self.i = i                   # number within its kind: variants are dealt out in turn
        self.foot = None             # extent of a defect that has no edge of its own (dent)
        self.r = np.random.default_rng(seed)
        self.d = np.random.default_rng(dseed)
        self.kind = kind
        self.X, self.Y = grid()
        s = self.X.shape
        self.h = np.zeros(s, F)
        self.alb = np.zeros(s + (3,), F)
        self.spec = np.full(s, 0.04, F)
        self.gloss = np.full(s, 20, F)
        self.metal = np.zeros(s, F)
        self.coat = None             # second, transparent surface: highlights only
        self.coat_spec = None

    def turn(self, options, first=0):
        return options[(self.i + first) % len(options)]

    def pose(self, rot, shift=7, scale=0.04):
        r = self.r
        a = r.uniform(-1, 1) * rot
        s = 1 + r.uniform(-scale, scale)
        cx, cy = N / 2 + r.uniform(-shift, shift), N / 2 + r.uniform(-shift, shift)
        dx, dy = self.X - F(cx), self.Y - F(cy)
        c, n = F(np.cos(a) / s), F(np.sin(a) / s)
        self.ang = a
        return c * dx + n * dy, -n * dx + c * dy

    def light(self, az=-2.2, spread=0.8, el=(0.80, 1.10), amb=(0.34, 0.46)):
        r = self.r
        self.az = az + r.uniform(-spread, spread)
        self.el = r.uniform(*el)
        self.amb = r.uniform(*amb)
        self.sun = r.uniform(0.92, 1.12)
        self.warm = r.uniform(-0.035, 0.035)
        self.vig = r.uniform(0.0, 0.14)
        self.fall = r.uniform(0.0, 0.16)
        self.blur = r.uniform(0.25, 0.75)
        self.noise = r.uniform(0.005, 0.013)
        self.nseed = int(r.integers(1 << 31))

    def paint(self, cover, col, h=None, spec=None, gloss=None, metal=None):
        self.alb = mix(self.alb, np.asarray(col, F), cover)
        if h is not None:
            self.h = mix(self.h, h, cover)
        for n, x in (('spec', spec), ('gloss', gloss), ('metal', metal)):
            if x is not None:
                setattr(self, n, mix(getattr(self, n), x, cover))


def normals(h):
    gy, gx = np.gradient(h)
    gx, gy = gx * SS, gy * SS
    n = 1 / np.sqrt(gx * gx + gy * gy + 1)
    return -gx * n, -gy * n, n


def shifted(h, dx, dy):
    p = int(max(abs(dx), abs(dy)))
    q = np.pad(h, p, mode='edge')
    H, W = h.shape
    return q[p + dy:p + dy + H, p + dx:p + dx + W]


def render(c):
    """linear picture, N x N x 3"""
    h = ndi.gaussian_filter(c.h, 0.45 * SS)
    nx, ny, nz = normals(h)
    lx, ly, lz = np.cos(c.az) * np.cos(c.el), np.sin(c.az) * np.cos(c.el), np.sin(c.el)
    dif = np.clip(nx * lx + ny * ly + nz * lz, 0, 1)
    # soft shadow: steepest horizon towards the light, compared with its elevation
    slope = np.full(h.shape, -9, F)
    reach = (h.max() - h.min()) / np.tan(c.el) * 1.25 + 1
    last = None
    for t in np.geomspace(1.2, max(reach, 2), 14):
        dx, dy = int(round(np.cos(c.az) * t * SS)), int(round(np.sin(c.az) * t * SS))
        if (dx, dy) in ((0, 0), last):
            continue
        last = (dx, dy)
        slope = np.maximum(slope, (shifted(h, dx, dy) - h) / F(np.hypot(dx, dy) / SS))
    te = np.tan(c.el)
    sh = 1 - step(te * 0.62, te * 1.25, slope)
    sh = ndi.gaussian_filter(sh, 0.6 * SS)
    ao = np.ones_like(h)
    for s, k in ((2.0, 0.22), (6.0, 0.16)):
        ao -= k * np.clip((ndi.gaussian_filter(h, s * SS) - h) / s, 0, 1.6)
    hx, hy, hz = lx, ly, lz + 1
    hn = np.sqrt(hx * hx + hy * hy + hz * hz)
    ndh = np.clip((nx * hx + ny * hy + nz * hz) / hn, 0, 1)
    spec = c.spec * ndh ** c.gloss * (0.15 + 0.85 * sh)
    # metals mirror a soft room: bright towards the light, dim away from it
    rx, ry = 2 * nz * nx, 2 * nz * ny
    room = 0.46 + 0.42 * np.tanh(1.6 * (rx * np.cos(c.az) + ry * np.sin(c.az))) \
        + 0.10 * np.cos(5 * (rx * np.sin(c.az) - ry * np.cos(c.az)))
    amb = c.amb * ao * (0.75 + 0.25 * nz)
    body = amb + c.sun * dif * sh / max(lz, 0.5) * (1 - c.amb)
    met = ao * (0.30 * body + 0.85 * room * (0.45 + 0.55 * sh))
    col = c.alb * mix(body, met, c.metal)[..., None]
    col += spec[..., None] * mix(np.ones(3, F), c.alb * 1.3, c.metal)
    if c.coat is not None:
        ax, ay, az = normals(ndi.gaussian_filter(c.coat, 0.45 * SS))
        k = np.clip((ax * hx + ay * hy + az * hz) / hn, 0, 1) ** 42
        fres = (1 - np.clip(az, 0, 1)) ** 1.5
        col = col * (1 - 0.35 * np.clip(fres * c.coat_spec, 0, 1))[..., None]
        col += (c.coat_spec * (0.55 * k + 0.16 * fres))[..., None]
    # camera
    col = col.reshape(N, SS, N, SS, 3).mean((1, 3))
    y, x = np.mgrid[0:N, 0:N] / (N - 1) - 0.5
    g = 1 - c.vig * 2 * (x * x + y * y) + c.fall * (x * np.cos(c.az) + y * np.sin(c.az))
    col = col * g[..., None] * np.array([1 + c.warm, 1, 1 - c.warm])
    col = ndi.gaussian_filter(col, (c.blur, c.blur, 0))
    col = np.clip(col, 0, None)
    col = np.where(col > 0.75, 0.75 + 0.25 * np.tanh((col - 0.75) / 0.25), col)   # soft shoulder
    return np.clip(col, 0, 1) ** (1 / 2.2)


def finish(img, c):
    r = np.random.default_rng(c.nseed)
    n = r.normal(0, c.noise, img.shape) * 0.6 + r.normal(0, c.noise, img.shape[:2])[..., None]
    return (np.clip(img + n, 0, 1) * 255 + 0.5).astype(np.uint8)


# ------------------------------------------------------------------ defects used more than once
def scratches(c, u, v, p, ang, length, n, width, col, depth=0.8, gap=5, spec=0.1, where=None, bend=0.5, metal=None):
    d = c.d
    for k in range(n):
        off = (k - (n - 1) / 2) * gap * d.uniform(0.7, 1.3)
        q = np.array([p[0] - np.sin(ang) * off, p[1] + np.cos(ang) * off])
        q = q + d.uniform(-0.15, 0.15) * length * np.array([np.cos(ang), np.sin(ang)])
        D, T = poly_dist(u, v, arc(d, q, ang + d.uniform(-.06, .06), length * d.uniform(0.75, 1.1), bend))
        w = width * d.uniform(0.8, 1.2) * (0.35 + 0.65 * np.sin(np.pi * np.clip(T, 0.02, 0.98)) ** 0.5)
        cov = sm(D - w / 2, 0.9) if where is None else sm(D - w / 2, 0.9) * where
        c.h = c.h - depth * cov + depth * 0.5 * sm(np.abs(D - w * 0.9) - 0.5, 0.8) * (cov.max() > 0) * (1 if where is None else where)
        c.paint(cov * 0.92, col, spec=spec, metal=metal)


def crack(c, u, v, p, ang, length, width, col, depth, where=None, branches=2, jit=0.5):
    d = c.d
    main = walk(d, p, ang, length, 6, jit)
    paths = [(main, width, True)]
    for _ in range(branches):
        k = d.integers(len(main) // 4, max(len(main) // 4 + 1, int(len(main) * 0.75)))
        paths.append((walk(d, main[k], ang + d.choice([-1, 1]) * d.uniform(0.5, 1.0),
                           length * d.uniform(0.2, 0.4), 5, jit), width * 0.7, False))
    for q, w, m in paths:
        D, T = poly_dist(u, v, q)
        ww = w * (1.1 - 0.75 * T)
        cov = sm(D - ww / 2, 1.0)
        if where is not None:
            cov = cov * where
        c.h = c.h - depth * cov
        c.paint(cov * 0.95, col, spec=0.0)
    return main


# ------------------------------------------------------------------ categories
def gear(c):
    """brass spur gear on dark green felt"""
    r, d, kind = c.r, c.d, c.kind
    u, v = c.pose(np.pi, 7, 0.035)
    nz, nf = Noise(r), Noise(r)
    c.light()
    felt = nf.fbm(c.X, c.Y, 3.2, octaves=3)
    c.alb[:] = lin((0.13, 0.30, 0.22)) * (0.65 + 0.7 * felt)[..., None] * r.uniform(0.85, 1.15)
    c.h = 1.1 * felt
    T, root, tip = 14, 74.0, 95.0
    rad, th = np.hypot(u, v), np.arctan2(v, u)
    ph = th * T / TAU
    idx = np.floor(ph + 0.5).astype(int) % T
    p = np.abs(ph - np.floor(ph + 0.5))
    tooth = step(0.0, 1.0, np.clip((0.335 - p) / 0.15, 0, 1))
    chipn = Noise(d)
    if kind == 'broken_tooth':
        k0, n = d.integers(T), d.choice([1, 1, 2])
        n = int(n)
        left = 0.02 + 0.30 * chipn(th * 60 + 300, rad * 0 + 5, 4.0) - 0.10 * (n == 1)
        for k in range(n):
            tooth = np.where(idx == (k0 + k) % T, np.minimum(tooth, np.clip(left, 0, 1)), tooth)
    R = root + (tip - root) * tooth
    sd = (rad - R) * 0.75
    cov = sm(sd, 1.0)
    H = 11 - 1.6 * step(-3.5, 0, sd)
    web = sm(np.abs(rad - 45) - 19, 3)
    H = H - 2.6 * web
    hub = sm(rad - 27, 2)
    H = H + 1.5 * hub
    ring = nz(rad, rad * 0, 1.3) - 0.5
    fine = nz(rad * 1.0 + 40, th * 30, 0.9, 40) - 0.5
    tone = 1 + 0.22 * ring + 0.16 * fine + 0.25 * (nz.fbm(u, v, 40) - 0.5)
    brass = lin((0.84, 0.68, 0.36)) * tone[..., None] * r.uniform(0.92, 1.08)
    H = H + 0.16 * ring * (1 - 0.5 * web)
    c.paint(cov, brass, H, 0.42, 26.0, 0.85)
    # holes: bore with keyway, five lightening holes
    bore = np.minimum(rad - 14.5, box(u - 14, v, 6, 4.2, 0.8))
    hole = sm(bore, 1)
    cent = [(45.5 * np.cos(TAU * k / 5 + .3), 45.5 * np.sin(TAU * k / 5 + .3)) for k in range(5)]
    for a, b in cent:
        hole = np.maximum(hole, sm(np.hypot(u - a, v - b) - 12.5, 1))
        c.h += 0.9 * sm(np.abs(np.hypot(u - a, v - b) - 14) - 1.0, 1.5)
    ff = lin((0.10, 0.24, 0.17)) * (0.5 + 0.7 * felt)[..., None]
    c.paint(hole, ff, 1.1 * felt, 0.0, 20.0, 0.0)
    solid = cov * (1 - hole)
    if kind == 'broken_tooth':
        # raw fracture face along the stump
        br = np.zeros_like(sd)
        for k in range(n):
            br = np.maximum(br, (idx == (k0 + k) % T).astype(F))
        face = br * cov * sm(np.abs(sd + 2.2) - 2.6, 1.5) * sm(0.36 - (0.5 - p) - 0.02, 0.02)
        c.h -= face * 3 * chipn(u, v, 2.0)
        c.paint(face * 0.9, lin((0.62, 0.58, 0.50)) * (0.5 + 0.8 * chipn(u, v, 1.6))[..., None], spec=0.2, metal=0.3)
    if kind == 'tarnish':
        rr, aa = d.choice([d.uniform(24, 60), d.uniform(60, 84)]), d.uniform(0, TAU)
        b = blob(d, u, v, (rr * np.cos(aa), rr * np.sin(aa)), d.uniform(17, 25), 2.0, 0.6, 0.5)
        n1 = Noise(d)
        t = sm(b, 5) * solid * (0.62 + 0.38 * step(0.3, 0.55, n1.fbm(u, v, 7)))
        colr = [lin((0.33, 0.55, 0.48)), lin((0.36, 0.20, 0.10)), lin((0.50, 0.24, 0.22))]
        colr = c.turn(colr)
        c.paint(t, colr * (0.6 + 0.8 * n1.fbm(u, v, 4))[..., None], spec=0.03, metal=0.1)
        c.h += 0.5 * t * n1.fbm(u, v, 3)
    if kind == 'scratch':
        aa, rr = d.uniform(0, TAU), d.uniform(22, 66)
        light = c.turn([True, False])
        scratches(c, u, v, (rr * np.cos(aa), rr * np.sin(aa)), d.uniform(0, TAU), d.uniform(60, 90),
                  int(d.integers(2, 4)), d.uniform(2.6, 3.4), lin((1.0, 0.99, 0.93)) if light else lin((0.24, 0.18, 0.10)),
                  1.0, 6, 0.3, solid)
    if kind == 'clogged_hole':
        k = d.integers(5)
        n1 = Noise(d)
        cols = [lin((0.16, 0.14, 0.13)), lin((0.72, 0.70, 0.66)), lin((0.76, 0.58, 0.28)), lin((0.45, 0.25, 0.16)), lin((0.20, 0.42, 0.32))]
        b = blob(d, u, v, cent[k], d.uniform(12.5, 15.5), 1.3, 0.25, 0.2)
        b = np.where(np.hypot(u - cent[k][0], v - cent[k][1]) > 12.5, b, -3)
        t = sm(b, 1.5) * cov
        c.paint(t, c.turn(cols) * (0.7 + 0.6 * n1.fbm(u, v, 5))[..., None],
                8.2 + 3.2 * n1.fbm(u, v, 8) + 1.5 * step(0, -8, b), 0.18, 30.0, 0.0)


def biscuit(c):
    """rectangular butter biscuit on a slate-blue tray"""
    r, d, kind = c.r, c.d, c.kind
    u, v = c.pose(0.22, 8, 0.04)
    nt, nb, nf = Noise(r), Noise(r), Noise(r)
    c.light()
    tr = nt.fbm(c.X, c.Y, 9, octaves=4)
    c.alb[:] = lin((0.27, 0.34, 0.43)) * (0.78 + 0.44 * tr)[..., None] * r.uniform(0.85, 1.15)
    c.h = 0.8 * tr
    c.spec[:] = 0.05
    A, B = 92, 66
    q = np.where(np.abs(u) / A > np.abs(v) / B, v, u)
    sd = box(u, v, A, B, 12) - 2.0 * np.abs(np.sin(np.pi * q / 13.2)) + 0.9 * (nb(u, v, 9) - 0.5)
    cut = np.full(u.shape, -50, F)
    dn = Noise(d)
    if kind == 'broken_corner':
        sx, sy = d.choice([-1, 1]), d.choice([-1, 1])
        a = d.uniform(0.45, 1.15)
        dirx, diry = sx * np.cos(a), sy * np.sin(a)
        off = (A - 5) * np.cos(a) + (B - 5) * np.sin(a) - d.uniform(24, 34)
        cut = (u * dirx + v * diry - off + 7 * (dn.fbm(u, v, 16) - 0.5) * 2).astype(F)
    full = sd
    sd = np.maximum(sd, cut)
    cov = sm(sd, 1.0)
    fine = nf.fbm(u, v, 5, octaves=4)
    H = 11 * np.sqrt(np.clip(1 - np.clip(1 + full / 9, 0, 1) ** 2, 0, 1)) + 1.8 * fine
    H += 1.1 * sm(np.abs(full + 13) - 1.6, 2)                       # embossed frame
    oval = np.abs(np.hypot(u / 1.55, v) - 26) - 1.5
    H += 1.0 * sm(oval, 2)
    brown = step(-15, 0, full) * 0.62 + 0.55 * (nb.fbm(u, v, 34) - 0.42) + 0.30 * (fine - 0.5)
    brown = np.clip(brown + r.uniform(-0.04, 0.08), 0, 1)
    alb = mix(np.broadcast_to(lin((0.90, 0.73, 0.46)), c.alb.shape), lin((0.66, 0.40, 0.17)), brown)
    alb = alb * (0.86 + 0.28 * nf(u, v, 1.4))[..., None]
    for i in range(-3, 4):
        for j in range(-2, 3):
            du, dv = u - i * 23.5 - r.normal(0, .35), v - j * 22.5 - r.normal(0, .35)
            D = np.hypot(du, dv)
            H -= 4.0 * sm(D - 2.1, 1.6)
            H += 0.6 * sm(np.abs(D - 4) - .8, 1.5)
            alb = mix(alb, lin((0.40, 0.24, 0.11)), 0.75 * sm(D - 2.0, 1.4))
    if kind == 'broken_corner':
        f = sm(-cut - 6 - 3 * dn(u, v, 4), 2.5)
        alb = mix(alb, lin((0.95, 0.84, 0.62)) * (0.72 + 0.5 * dn(u, v, 1.6))[..., None], f * 0.85)
        H = H - f * (1.5 + 4.0 * dn(u, v, 3.0))
    c.paint(cov, alb, H, 0.03, 12.0)
    if kind == 'broken_corner':
        for _ in range(int(d.integers(3, 7))):
            g = off + d.uniform(9, 30)
            t = d.uniform(-22, 22)
            p = (g * dirx - t * diry, g * diry + t * dirx)
            b = blob(d, u, v, p, d.uniform(1.8, 3.6), 1.8, 0.5)
            c.paint(sm(b, 0.8), lin((0.88, 0.70, 0.42)), 3.5 - 0.6 * np.clip(b + 3, 0, 3), 0.03)
    inside = lambda m: (d.uniform(-A + m, A - m), d.uniform(-B + m, B - m))
    if kind == 'burnt':
        b = blob(d, u, v, inside(14), d.uniform(17, 25), 2.2, 0.6, 0.35)
        t = step(7, -9, b) * cov
        c.paint(t * 0.93, lin((0.20, 0.12, 0.07)) * (0.6 + 0.8 * dn.fbm(u, v, 4))[..., None], spec=0.06)
        c.h -= 0.8 * t * dn.fbm(u, v, 5)
    if kind == 'crack':
        side = d.integers(2)
        t = d.uniform(-0.8, 0.8)
        if side:
            s = d.choice([-1, 1]); p = (t * A, s * (B + 2)); ang = -s * np.pi / 2 + d.uniform(-.5, .5)
        else:
            s = d.choice([-1, 1]); p = (s * (A + 2), t * B); ang = (np.pi if s > 0 else 0) + d.uniform(-.5, .5)
        crack(c, u, v, p, ang, d.uniform(85, 125), d.uniform(4.6, 6.0), lin((0.30, 0.17, 0.08)), 5, cov, int(d.integers(1, 3)))
    if kind == 'foreign_piece':
        p = inside(16)
        a0 = d.uniform(0, TAU)
        du, dv = u - p[0], v - p[1]
        b = np.full(u.shape, -99, F)
        for k in range(int(d.integers(3, 6))):
            a = a0 + TAU * k / 4.0 + d.uniform(-.3, .3)
            b = np.maximum(b, du * np.cos(a) + dv * np.sin(a) - d.uniform(7, 13))
        b = np.maximum(b, np.hypot(du, dv) - 15)
        colr = [(0.12, 0.42, 0.75), (0.20, 0.55, 0.25), (0.92, 0.93, 0.95), (0.75, 0.12, 0.15), (0.62, 0.44, 0.24)]
        colr = c.turn(colr)
        tilt = c.h.max() + 1 + 0.14 * (du * np.cos(a0) + dv * np.sin(a0))
        c.paint(sm(b, 1), lin(colr) * (0.9 + 0.2 * dn(u, v, 6))[..., None], tilt, 0.14, 40.0)


def comb(c):
    """teal plastic comb on pale paper"""
    r, d, kind = c.r, c.d, c.kind
    u, v = c.pose(0.30, 7, 0.03)
    v = v + 4
    npap, ns = Noise(r), Noise(r)
    c.light()
    pp = npap.fbm(c.X, c.Y, 2.2, octaves=2)
    c.alb[:] = lin((0.87, 0.84, 0.77)) * (0.93 + 0.14 * pp)[..., None] * r.uniform(0.88, 1.04)
    c.h = 0.5 * pp
    dn = Noise(d)
    pitch, T, L = 11.6, 15, 66.0
    top = -10.0
    sd = box(u, v + 30, 101, 23, 13)                                   # spine
    sd = np.maximum(sd, -(np.hypot(u - 84, v + 32) - 7.5))              # hanging hole
    lo, hi = (0, 0)
    miss, bent = {}, {}
    if kind == 'missing_tooth':
        k0 = int(d.integers(0, T - 2))
        for k in range(int(d.integers(1, 4))):
            miss[k0 + k] = d.uniform(0.02, 0.45) if d.random() < 0.75 else 0.04
    if kind == 'bent_tooth':
        k0, n = int(d.integers(1, T - 2)), int(d.integers(1, 3))
        s = d.choice([-1, 1]) * d.uniform(14, 23)
        for k in range(n):
            bent[k0 + k] = s * (1 + 0.12 * k * d.uniform(-1, 1))
    for k in range(T):
        x0 = (k - (T - 1) / 2) * pitch
        t = (v - top) / L
        lenk = L
        w = 3.7 - 1.3 * np.clip(t, 0, 1)
        x = u - x0
        if k in bent:
            x = x - bent[k] * np.clip((t - 0.15) / 0.85, 0, 1) ** 1.4
            lenk = L * 0.95
        if k in miss:
            lenk = L * miss[k] + 2.5 * (dn(u, v * 0, 2.2) - 0.5) * 2
        end = v - (top + lenk)
        tip = np.where(end > -3, 3 - np.sqrt(np.clip(9 - np.clip(end + 3, 0, 3) ** 2, 0, 9)), 0) if k not in miss else 0
        s_ = np.maximum(np.maximum(np.abs(x) - w + tip, end), top - 6 - v)
        if k in bent:
            s_ = s_ * 0.9
        sd = np.minimum(sd, s_)
    for s in (-1, 1):                                                  # end guards
        t = np.clip((v - top) / L, 0, 1)
        sd = np.minimum(sd, np.maximum(box(u - s * 94, v - 20, 7 - 1.5 * t, 38, 5), -60))
    cov = sm(sd, 1.0)
    H = 3.0 + 5.5 * np.sqrt(np.clip(1 - np.clip(1 + sd / 4.0, 0, 1) ** 2, 0, 1))
    groove = np.abs(v + 21) - 1.0
    groove = np.maximum(groove, np.abs(u) - 72)
    H = H - 1.4 * sm(groove, 1.5)
    for k in range(6):                                                 # moulded lozenges
        H = H + 1.2 * sm((np.abs(u + 60 - 22 * k) + np.abs(v + 35) * 1.3 - 7.5), 2)
    swirl = ns.fbm(u + 10 * ns(u, v, 25), v, 26, 14)
    alb = mix(np.broadcast_to(lin((0.08, 0.47, 0.50)), c.alb.shape), lin((0.16, 0.66, 0.64)), step(0.3, 0.7, swirl))
    alb = alb * r.uniform(0.92, 1.08)
    c.paint(cov, alb, H, 0.55, 46.0)
    if kind == 'burn':
        p = (d.uniform(-88, 70), d.choice([d.uniform(-48, -14), d.uniform(-50, -12)]))
        b = blob(d, u, v, p, d.uniform(15, 21), 1.9, 0.5, 0.3)
        t = step(4, -8, b) * cov
        bub = dn.fbm(u, v, 6)
        c.paint(t * 0.95, mix(np.broadcast_to(lin((0.36, 0.27, 0.14)), c.alb.shape), lin((0.10, 0.08, 0.07)), step(0, -9, b)) * (0.6 + 0.8 * bub)[..., None], spec=0.25, gloss=18.0)
        c.h += t * (3.5 * (bub - 0.55) * 2)
    if kind == 'gum':
        p = (d.uniform(-80, 80), d.uniform(-16, 42))
        b = blob(d, u, v, p, d.uniform(12, 15), 1.9, 0.5, 0.2)
        colr = [(0.90, 0.58, 0.62), (0.93, 0.90, 0.84), (0.20, 0.62, 0.62), (0.80, 0.72, 0.40)]
        colr = c.turn(colr)
        c.paint(sm(b, 1.2), lin(colr) * (0.85 + 0.3 * dn.fbm(u, v, 6))[..., None],
                7.5 + 3.5 * np.sqrt(np.clip(-b / 9, 0, 1)) + 1.2 * dn.fbm(u, v, 5), 0.2, 18.0)
    if kind == 'scratch':
        p = (d.uniform(-70, 62), d.uniform(-38, -22))
        scratches(c, u, v, p, d.uniform(-0.55, 0.55) + d.choice([0, np.pi]), d.uniform(55, 85), int(d.integers(2, 4)),
                  d.uniform(3.0, 3.8), c.turn([lin((0.84, 0.93, 0.90)), lin((0.03, 0.16, 0.19))]), 0.9, 7.0, 0.1, cov * sm(v + 9, 1))


def blister_pack(c):
    """silver blister pack with salmon tablets on dark cloth"""
    r, d, kind = c.r, c.d, c.kind
    u, v = c.pose(0.17, 6, 0.03)
    nb, ns = Noise(r), Noise(r)
    c.light(amb=(0.40, 0.50))
    wv = np.sin(c.X * 2.1) * np.sin(c.Y * 2.1)
    bg = nb.fbm(c.X, c.Y, 14)
    c.alb[:] = lin((0.30, 0.25, 0.33)) * (0.8 + 0.4 * bg + 0.12 * wv)[..., None] * r.uniform(0.8, 1.15)
    c.h = 0.4 * wv
    sd = box(u, v, 106, 79, 12)
    cov = sm(sd, 1)
    warp = ns.fbm(u, v, 45, octaves=3)
    dia = np.cos((u + v) * TAU / 7) + np.cos((u - v) * TAU / 7)
    H = 5 + 2.6 * warp + 0.16 * dia
    # cross-shaped perforation
    per = np.minimum(np.maximum(np.abs(v) - 0.8, np.abs(((u + 500) % 9) - 4.5) - 2.8), np.maximum(np.abs(u) - 0.8, np.abs(((v + 500) % 9) - 4.5) - 2.8))
    H = H - 1.2 * sm(per, 1)
    foil = lin((0.74, 0.75, 0.78)) * (0.92 + 0.16 * ns(u, v, 3) - 0.35 * sm(per, 1))[..., None]
    c.paint(cov, foil, H, 0.25, 16.0, 0.55)
    cent = [(x, y) for y in (-40, 40) for x in (-79, -27, 27, 79)]
    dn = Noise(d)
    bad = set()
    if kind in ('missing_tablet', 'broken_tablet', 'discoloured_tablet'):
        n = 1 if kind == 'missing_tablet' else int(d.integers(1, 3))
        bad = {(7 * c.i + {'missing_tablet': 1, 'broken_tablet': 4, 'discoloured_tablet': 6}[kind]) % 8}
        if n == 2:
            bad.add(int(d.integers(8)))
    dome = np.zeros_like(c.h)
    dmask = np.zeros_like(c.h)
    for k, (a, b) in enumerate(cent):
        R, P = 23.5, 17.5
        D = np.hypot(u - a, v - b)
        # pocket rim and floor
        c.h = c.h + 1.6 * sm(np.abs(D - R - 1) - 1.3, 1.6)
        c.alb = c.alb * (1 - 0.22 * sm(D - R, 2))[..., None]
        dome = np.maximum(dome, 15 * np.sqrt(np.clip(1 - (D / R) ** 2, 0, 1)) ** 0.7)
        dmask = np.maximum(dmask, sm(D - R, 1.5))
        # tablet: each lies a little differently
        jx, jy, ja = r.normal(0, 1.1), r.normal(0, 1.1), r.uniform(0, TAU)
        tone = r.uniform(0.94, 1.05)
        tu, tv = u - a - jx, v - b - jy
        x, y = np.cos(ja) * tu + np.sin(ja) * tv, -np.sin(ja) * tu + np.cos(ja) * tv
        t = np.hypot(x, y) - P
        bt = np.full(t.shape, -40, F)
        if k in bad and kind == 'missing_tablet':
            continue
        if k in bad and kind == 'broken_tablet':
            ba = d.uniform(0, TAU)
            bt = (tu * np.cos(ba) + tv * np.sin(ba) - d.uniform(-4, 3) + 4.5 * (dn.fbm(u, v, 7) - .5) * 2).astype(F)
            t = np.maximum(t, bt)
        ht = 6 + 7.5 * np.sqrt(np.clip(1 - np.clip(1 + t / 5, 0, 1) ** 2, 0, 1))
        ht = ht - 1.8 * sm(np.abs(y) - 0.9, 1.5)
        colr = lin((0.90, 0.56, 0.46)) * tone * (0.94 + 0.12 * ns(u, v, 1.5))[..., None]
        if k in bad and kind == 'broken_tablet':
            f = sm(np.abs(bt + 2) - 2.5, 1.5)
            colr = mix(colr, lin((0.97, 0.88, 0.80)), f)
            ht = ht - f * 4 * dn(u, v, 2.5)
        if k in bad and kind == 'discoloured_tablet':
            base = lin([(0.62, 0.44, 0.22), (0.82, 0.80, 0.52), (0.50, 0.30, 0.30), (0.92, 0.88, 0.80)][(c.i + k) % 4])
            m = step(0.22, 0.44, dn.fbm(u, v, 15)) if d.random() < 0.6 else np.ones_like(t)
            colr = mix(colr, base * (0.8 + 0.4 * dn.fbm(u, v, 4))[..., None], m)
        c.paint(sm(t, 1), colr, ht, 0.06, 14.0, 0.0)
        if k in bad and kind == 'broken_tablet':
            for _ in range(int(d.integers(4, 9))):
                q = d.uniform(3, 15); z = ba + d.uniform(-1.0, 1.0)
                e = blob(d, u, v, (a + q * np.cos(z), b + q * np.sin(z)), d.uniform(1.0, 2.4), 1.6)
                c.paint(sm(e, 0.8), lin((0.93, 0.66, 0.56)), 9.0, 0.05, 14.0, 0.0)
    if kind == 'torn_foil':
        # a ragged tear on the flat foil: torn edge, dark gap, a flap bent up
        x0, y0 = d.choice([-53, 0, 53]) + d.uniform(-3, 3), d.uniform(-50, 50)
        if d.random() < 0.5:
            x0, y0 = d.uniform(-85, 85), d.uniform(-5, 5)
        vert = abs(y0) > 8
        ang = (np.pi / 2 if vert else 0) + d.uniform(-0.25, 0.25)
        Ln = d.uniform(42, 62)
        q = arc(d, (x0, y0), ang, Ln, 0.5)
        q = q + d.normal(0, 1.3, q.shape)
        D, T = poly_dist(u, v, q, 22)
        w = d.uniform(7, 10) * np.sin(np.pi * np.clip(T, 0.01, 0.99)) ** 0.8 + 2.5 * (dn(u, v, 3.0) - 0.5)
        t = sm(D - w / 2, 1) * cov
        rim = sm(np.abs(D - w / 2 - 1.7) - 1.4 - 1.2 * dn(u, v, 5), 1) * cov * sm(D - 12, 1)
        c.h = c.h + 2.2 * rim
        c.paint(rim * 0.8, lin((0.93, 0.93, 0.91)), metal=0.2, spec=0.2)
        inner = [(0.17, 0.14, 0.17), (0.56, 0.46, 0.38)][c.i % 2]
        c.paint(t, lin(inner) * (0.7 + 0.6 * dn(u, v, 4))[..., None], 0.8, 0.0, 20.0, 0.0)
    c.coat, c.coat_spec = dome, dmask * 0.9


def button(c):
    """maroon marbled coat button on natural linen"""
    r, d, kind = c.r, c.d, c.kind
    u, v = c.pose(np.pi, 9, 0.05)
    nw, nm, nl = Noise(r), Noise(r), Noise(r)
    c.light()
    # linen: plain weave with uneven threads
    la = r.uniform(-0.2, 0.2)
    x, y = np.cos(la) * c.X + np.sin(la) * c.Y, -np.sin(la) * c.X + np.cos(la) * c.Y
    x, y = x + 1.2 * (nl(x, y, 22) - .5), y + 1.2 * (nl(x + 70, y, 22) - .5)
    P = 4.6
    i, j = np.floor(x / P), np.floor(y / P)
    fx, fy = (x / P - i - .5) * np.pi, (y / P - j - .5) * np.pi
    over = ((i + j) % 2) == 0
    wh = np.where(over, np.cos(fx) * (0.6 + 0.4 * np.cos(fy)), np.cos(fy) * (0.6 + 0.4 * np.cos(fx)))
    tt = np.where(over, nw(x, y, P, 40), nw(x + 31, y, 40, P))
    c.h = (1.7 * wh).astype(F)
    c.alb[:] = lin((0.80, 0.73, 0.59)) * (0.66 + 0.34 * tt + 0.22 * wh)[..., None] * r.uniform(0.88, 1.05)
    R = 88.0
    rad = np.hypot(u, v)
    dn = Noise(d)
    sd = rad - R
    bite = np.full(rad.shape, 50, F)
    if kind == 'chip':
        a = d.uniform(-0.5, 0.5) + TAU * c.i / 5 - c.ang
        rr = R + d.uniform(-3, 4)
        bite = blob(d, u, v, (rr * np.cos(a), rr * np.sin(a)), d.uniform(22, 27), 1.6, 0.35, 0.15)
        sd = np.maximum(sd, -(bite + 7))
    cov = sm(sd, 1)
    H = 12.0 - 5.5 * np.clip(1 + (rad - R) / 7, 0, 1) ** 2
    H = H - 4.0 * step(70, 60, rad)
    H = H + 1.1 * sm(np.abs(rad - 36) - 2, 2.5)
    mu, mv = u + 26 * nm(u, v, 40), v + 26 * nm(u + 200, v, 40)
    mar = nm.fbm(mu, mv, 22, 55, 4)
    vein = np.abs(nm.fbm(mu + 400, mv, 36, 60, 3) - 0.5)
    alb = mix(np.broadcast_to(lin((0.34, 0.07, 0.11)), c.alb.shape), lin((0.60, 0.17, 0.19)), step(0.34, 0.66, mar))
    alb = mix(alb, lin((0.78, 0.42, 0.36)), 0.7 * step(0.035, 0.0, vein))
    c.paint(cov, alb * r.uniform(0.9, 1.12), H, 0.5, 55.0)
    hole = np.zeros_like(rad)
    hh = []
    for sx in (-1, 1):
        for sy in (-1, 1):
            D = np.hypot(u - sx * 15, v - sy * 15)
            hole = np.maximum(hole, sm(D - 8, 1))
            c.h += 0.8 * sm(np.abs(D - 10) - 1.2, 1.5)
            hh.append((sx * 15, sy * 15))
    c.paint(hole, c.alb * 0 + lin((0.60, 0.54, 0.43)) * (0.6 + 0.4 * tt)[..., None], 1.7 * wh, 0.0, 20.0)
    solid = cov * (1 - hole)
    if kind == 'chip':
        f = sm(bite, 1.2) * cov
        dep = np.clip(-bite, 0, 9)
        c.h = c.h - f * (1.2 + 0.75 * dep + 1.6 * (dn(u, v, 5) - .5) + 0.8 * np.sin(dep * 1.4))
        c.paint(f * 0.9, lin((0.80, 0.52, 0.46)) * (0.7 + 0.5 * dn.fbm(u, v, 4))[..., None], spec=0.06, gloss=10.0)
    if kind == 'crack':
        if d.random() < 0.5:
            a = d.uniform(0, TAU)
            p = ((R + 2) * np.cos(a), (R + 2) * np.sin(a)); ang = a + np.pi + d.uniform(-0.7, 0.7)
        else:
            p = hh[d.integers(4)]; ang = np.arctan2(p[1], p[0]) + d.uniform(-0.8, 0.8)
        lt = c.turn([True, False])
        crack(c, u, v, p, ang, d.uniform(80, 110), d.uniform(5.2, 6.4), lin((0.86, 0.66, 0.58)) if lt else lin((0.06, 0.02, 0.03)), 4, solid, int(d.integers(1, 3)), 0.4)
    if kind == 'paint':
        a, rr = d.uniform(0, TAU), d.uniform(14, 84)
        p = np.array([rr * np.cos(a), rr * np.sin(a)])
        colr = lin([(0.92, 0.92, 0.88), (0.90, 0.76, 0.20), (0.16, 0.34, 0.62), (0.80, 0.45, 0.40), (0.10, 0.10, 0.11)][c.i % 5])
        R0 = d.uniform(12, 17)
        base = c.h.copy()
        for k in range(int(d.integers(2, 6))):
            q = p if k == 0 else p + d.normal(0, 20, 2)
            b = blob(d, u, v, q, R0 if k == 0 else d.uniform(2.5, 4.5), 1.5, 0.35, 0.1)
            c.paint(sm(b, 1), colr, base * 0.5 + ndi.gaussian_filter(base, 3 * SS) * 0.5 + 1.8 * np.sqrt(np.clip(-b / 5, 0, 1)), 0.45, 40.0)
    if kind == 'scuff':
        a, rr = d.uniform(0, TAU), d.uniform(25, 76)
        p = np.array([rr * np.cos(a), rr * np.sin(a)])
        b = blob(d, u, v, p, d.uniform(17, 22), 2.2, 0.4, 0.3)
        sa = d.uniform(0, TAU)
        st = Noise(d)(np.cos(sa) * u + np.sin(sa) * v, -np.sin(sa) * u + np.cos(sa) * v, 26, 1.7)
        t = step(5, -7, b) * step(0.30, 0.55, st) * solid
        c.h -= 0.7 * t
        c.paint(t * 0.8, lin((0.84, 0.70, 0.66)), spec=0.03, gloss=8.0)


def knitted_fabric(c):
    """mustard jersey with cream stripes"""
    r, d, kind = c.r, c.d, c.kind
    u, v = c.pose(0.10, 20, 0.04)
    n1, n2 = Noise(r), Noise(r)
    c.light(el=(0.75, 1.05))
    dn = Noise(d)
    u = u + 3.0 * (n1(u, v, 60) - .5)
    v = v + 3.5 * (n1(u + 500, v, 70) - .5)
    px, py = 15.0, 12.0
    uu, vv = u, v
    if kind == 'snag':
        sp = np.array([d.uniform(-85, 85), d.uniform(-85, 85)])
        gw = d.uniform(20, 26)
        g = np.exp(-((u - sp[0]) / gw) ** 2 - ((v - sp[1]) / 7) ** 2)
        vv = v + 5.5 * g * np.sign(v - sp[1]) * 0.8                       # rows drawn together
    x = uu / px
    i = np.floor(x)
    lx = (x - i - 0.5) * px
    j = np.floor(vv / py)
    best = np.full(u.shape, -9, F)
    rowb = np.zeros(u.shape)
    colr_t = np.zeros(u.shape)
    for s in (-1, 1):
        for k in (-1, 0, 1):
            dx = lx - s * px * 0.245
            dy = vv - (j + k + 0.5) * py
            a = s * 0.42
            e1 = np.cos(a) * dx + np.sin(a) * dy
            e2 = -np.sin(a) * dx + np.cos(a) * dy
            q = 1 - (e1 / (px * 0.262)) ** 2 - (e2 / (py * 0.80)) ** 2
            hh = 4.6 * np.sqrt(np.clip(q, 0, 1)) - 0.10 * e2 * 1.2 + np.where(q > 0, 0, -6)
            tw = np.sin((e1 * 0.9 + s * e2 * 0.75) * 2.2)                     # twist of the yarn
            hh = hh + 0.20 * tw * (q > 0)
            w = hh > best
            best = np.where(w, hh, best)
            rowb = np.where(w, j + k, rowb)
            colr_t = np.where(w, tw, colr_t)
    best = np.clip(best, -1.5, 9)
    off = r.integers(0, 9)
    row = (rowb + off) % 9
    cream = (row < 2) | (row == 4)
    fuzz = n2.fbm(u, v, 2.4, octaves=2)
    mott = n2(i * 7.0, rowb * 7.0, 3.1)
    alb = np.where(cream[..., None], lin((0.90, 0.86, 0.74)), lin((0.80, 0.56, 0.14)))
    if kind == 'wrong_yarn':
        j0, i0 = d.integers(-8, 8), d.integers(-7, 6)
        n = int(d.integers(4, 9)); rows = int(d.integers(1, 3))
        sel = (rowb >= j0) & (rowb < j0 + rows) & (i >= i0) & (i < i0 + max(3, n // rows))
        wc = [(0.66, 0.16, 0.16), (0.22, 0.40, 0.34), (0.46, 0.28, 0.14), (0.30, 0.32, 0.55), (0.90, 0.86, 0.74)]
        wc = c.turn(wc)
        alb = np.where(sel[..., None], np.where(cream[..., None] & (c.i % 5 == 4), lin((0.80, 0.56, 0.14)), lin(wc)), alb)
    alb = alb * (0.70 + 0.30 * fuzz + 0.22 * mott + 0.07 * colr_t)[..., None]
    c.alb = (alb * (0.55 + 0.45 * step(-1.5, 1.5, best))[..., None] * r.uniform(0.9, 1.08)).astype(F)
    c.h = (best + 0.8 * fuzz).astype(F)
    c.spec[:] = 0.02
    c.gloss[:] = 8
    pos = lambda: np.array([d.uniform(-95, 95), d.uniform(-95, 95)])
    if kind == 'hole':
        p = pos()
        b = blob(d, u, v, p, d.uniform(14, 20), 1.8, 0.4, 0.3)
        b = b - 0.9 * best + 1.5                                             # follows the stitches
        under = [(0.16, 0.13, 0.11), (0.42, 0.36, 0.32), (0.75, 0.72, 0.70)]
        under = c.turn(under)
        t = sm(b, 1.2)
        c.paint(t, lin(under) * (0.8 + 0.4 * dn(u, v, 3))[..., None], -7.0 + 0 * b, 0.0)
        yc = c.alb
        for _ in range(int(d.integers(2, 5))):                               # loose ends
            a = d.uniform(0, TAU)
            q = p + 14 * np.array([np.cos(a), np.sin(a)])
            D, _t = poly_dist(u, v, arc(d, q, a + d.uniform(-1, 1), d.uniform(16, 24), 3.0), 8)
            c.paint(sm(D - 1.4, 1) , lin((0.82, 0.60, 0.20)), 2.5 - 0.4 * np.clip(D, 0, 3) ** 2, 0.02)
    if kind == 'stain':
        b = blob(d, u, v, pos(), d.uniform(18, 26), 2.0, 0.5, 0.15)
        t = step(3, -3, b)
        edge = np.exp(-((b + 2.5) / 3.0) ** 2)
        tint = [(0.42, 0.30, 0.20), (0.40, 0.52, 0.68), (0.66, 0.28, 0.34), (0.30, 0.30, 0.30)]
        tint = c.turn(tint)
        k = np.clip(t * (0.75 + 0.2 * dn.fbm(u, v, 12)) + 0.25 * edge * t, 0, 1)
        c.alb = mix(c.alb, c.alb * lin(tint) * 1.3, k)
    if kind == 'snag':
        a = d.uniform(0, TAU)
        Ln, wd = d.uniform(34, 46), d.uniform(10, 14)
        t = np.linspace(0, 1, 26)
        al = np.sin(np.pi * t) ** 0.8 * Ln
        ac = (t - 0.5) * 6 + wd * np.sin(TAU * t) * 0.9
        pts = sp + np.stack([np.cos(a) * al - np.sin(a) * ac, np.sin(a) * al + np.cos(a) * ac], 1)
        D, T = poly_dist(u, v, pts, 10)
        yr = lin((0.88, 0.64, 0.20)) if c.turn([True, False]) else lin((0.93, 0.89, 0.78))
        yr = yr * (0.85 + 0.25 * np.sin(T * 90))[..., None]
        c.paint(sm(D - 2.9, 1), yr, 8.0 + 6 * np.sin(np.pi * T) - 0.5 * D ** 2, 0.02)


def brushed_steel(c):
    """brushed stainless sheet with two rolled seams"""
    r, d, kind = c.r, c.d, c.kind
    u, v = c.pose(0.14, 14, 0.04)
    n1, n2, n3 = Noise(r), Noise(r), Noise(r)
    c.light(el=(0.80, 1.05))
    st = n1(u, v, 60, 0.8) * 0.45 + n2(u, v, 110, 1.7) * 0.35 + n3(u, v, 35, 0.55) * 0.35 - 0.57
    bands = n2(u * 0.2 + 30, v, 90, 11) - 0.5
    c.h = (0.42 * st + 1.2 * n3.fbm(u, v, 90, octaves=2)).astype(F)
    tone = 1 + 0.55 * st + 0.22 * bands + 0.16 * (n3(u, v, 120) - .5)
    c.alb[:] = lin((0.66, 0.67, 0.69)) * np.clip(tone, 0.3, 2)[..., None] * r.uniform(0.88, 1.1)
    for s in (-58, 62):                                                   # rolled beads
        q = np.abs(v - s)
        c.h = c.h + 2.6 * np.sqrt(np.clip(1 - (q / 6.5) ** 2, 0, 1)).astype(F)
        c.alb *= (1 - 0.2 * sm(np.abs(q - 7) - 0.8, 1))[..., None]
    c.metal[:] = 0.85
    c.spec[:] = 0.18
    c.gloss[:] = 14
    dn = Noise(d)
    pos = (d.uniform(-95, 95), d.uniform(-95, 95))
    if kind == 'scratch':
        lt = c.turn([True, False])
        scratches(c, u, v, pos, d.choice([1, -1]) * d.uniform(0.35, 1.5), d.uniform(60, 95), int(d.integers(1, 4)),
                  d.uniform(3.6, 4.4), lin((1.0, 1.0, 1.0)) if lt else lin((0.22, 0.22, 0.24)), 1.3, 8, 0.3, None, 0.8,
                  0.0 if lt else None)
    if kind == 'dent':
        e = d.uniform(1.0, 1.6)
        a = d.uniform(0, TAU)
        x, y = u - pos[0], v - pos[1]
        x, y = np.cos(a) * x + np.sin(a) * y, -np.sin(a) * x + np.cos(a) * y
        R = d.uniform(17, 23)
        q = np.hypot(x * e ** .5, y / e ** .5) / R * (1 + 0.16 * (dn(u, v, 16) - .5))
        bowl = np.where(q < 1, -(1 - q * q) ** 2, 0) + 0.12 * np.exp(-((q - 1.08) / 0.13) ** 2)
        c.h = (c.h + R * d.uniform(0.36, 0.50) * bowl).astype(F)
        c.foot = q < 0.97
    if kind == 'rust':
        b = np.full(u.shape, 99, F)
        for k in range(int(d.integers(2, 6))):
            q = np.array(pos) + (0 if k == 0 else d.normal(0, 15, 2))
            b = np.minimum(b, blob(d, u, v, q, d.uniform(13, 17) if k == 0 else d.uniform(4, 9), 1.8, 0.6, 0.5))
        n = dn.fbm(u, v, 7)
        halo = step(6, -3, b) * 0.5
        c.paint(halo, lin((0.62, 0.46, 0.30)), metal=0.5)
        t = sm(b + 5 * (n - 0.5), 3)
        c.paint(t * 0.95, mix(np.broadcast_to(lin((0.62, 0.33, 0.14)), c.alb.shape), lin((0.32, 0.15, 0.08)), step(0.35, 0.65, n)), spec=0.0, metal=0.0)
        c.h = c.h + t * 1.8 * dn.fbm(u, v, 3)
    if kind == 'heat_tint':
        b = blob(d, u, v, pos, d.uniform(19, 25), 2.0, 0.35, 0.05)
        t = np.clip(-b / 20, 0, 1)
        stops = np.array([[.76, .68, .46], [.72, .50, .24], [.52, .27, .36], [.26, .30, .56], [.42, .60, .70]])
        kk = np.linspace(0, 1, 5)
        tint = np.stack([np.interp(t, kk, stops[:, i]) for i in range(3)], -1)
        w = step(2, -5, b)
        g = np.clip(tone, 0.3, 2)[..., None]
        c.alb = mix(c.alb, (lin(tint) * g * 0.95).astype(F), w * 0.9)


def terrazzo(c):
    """terrazzo floor: pale cement with coloured stone chips"""
    r, d, kind = c.r, c.d, c.kind
    u, v = c.pose(np.pi, 30, 0.05)
    n1, n2, n3 = Noise(r), Noise(r), Noise(r)
    c.light(el=(0.85, 1.15))
    dn = Noise(d)
    cem = n1.fbm(u, v, 26)
    c.alb[:] = lin((0.83, 0.81, 0.76)) * (0.84 + 0.24 * cem + 0.10 * n2(u, v, 1.2))[..., None]
    c.h = (0.25 * n2(u, v, 1.5)).astype(F)
    wu, wv = u + 7 * (n3(u, v, 12) - .5), v + 7 * (n3(u + 400, v, 12) - .5)
    pal = np.array([(0.42, 0.27, 0.22), (0.60, 0.62, 0.62), (0.74, 0.55, 0.36), (0.52, 0.60, 0.53),
                    (0.94, 0.92, 0.88), (0.32, 0.34, 0.37), (0.76, 0.47, 0.40)])
    big = None
    for G, frac, gap, lo in ((34.0, 0.62, 5.0, 0.34), (13.0, 0.40, 2.4, 0.30)):
        m = int(420 / G)
        gx, gy = np.meshgrid(np.arange(-m // 2, m // 2 + 1), np.arange(-m // 2, m // 2 + 1))
        pts = np.stack([gx.ravel(), gy.ravel()], 1) * G + r.uniform(-.46, .46, (gx.size, 2)) * G
        on = r.random(len(pts)) < frac
        ci = r.integers(0, len(pal), len(pts))
        size = r.uniform(lo, 0.62, len(pts)) * G
        val = r.uniform(0.85, 1.12, len(pts))
        (d1, i1) = cKDTree(pts).query(np.stack([wu.ravel(), wv.ravel()], 1), k=2)
        a, b = d1[:, 0].reshape(u.shape), d1[:, 1].reshape(u.shape)
        idx = i1[:, 0].reshape(u.shape)
        sd = np.maximum(gap / 2 - (b - a) / 2, a - size[idx])
        if big is None:
            cov = sm(sd, 1) * on[idx]
            big = (pts, on, size, sd, idx, cov)
        else:
            cov = sm(sd, 1) * on[idx] * (1 - step(0.02, 0.2, ndi.gaussian_filter(big[5], 1.0 * SS)))
        stone = lin(pal)[ci[idx]] * (val[idx] * (0.78 + 0.3 * n2.fbm(u + 31 * idx, v, 8) + 0.10 * n1(u, v, 1.0)))[..., None]
        c.paint(cov, stone, spec=0.22, gloss=40.0)
    c.alb = (c.alb * r.uniform(0.9, 1.05)).astype(F)
    c.spec = np.maximum(c.spec, 0.10).astype(F)
    cx, cy = N / 2 - c.X, N / 2 - c.Y
    ctr = lambda m: d.uniform(m, N - m)
    # the defects are placed in picture coordinates
    x, y = c.X, c.Y
    if kind == 'crack':
        p = (ctr(15), ctr(15))
        ang = np.arctan2(128 - p[1], 128 - p[0]) + d.uniform(-0.6, 0.6)
        lt = d.random() < 0.3
        crack(c, x, y, p, ang, d.uniform(110, 170), d.uniform(4.2, 5.6), lin((0.16, 0.13, 0.11)), 3.5, None, int(d.integers(1, 4)), 0.5)
    if kind == 'missing_chip':
        pts, on, size, sd, idx, cov = big
        h, w = idx.shape
        area = np.bincount(idx.ravel(), (sd < 0).ravel() * on[idx].ravel(), minlength=len(pts)) / SS ** 2
        edge = np.unique(np.r_[idx[:6].ravel(), idx[-6:].ravel(), idx[:, :6].ravel(), idx[:, -6:].ravel()])
        ok = np.setdiff1d(np.where((area > 430) & (area < 1500))[0], edge)
        k = d.choice(ok) if len(ok) else int(np.argmax(area))
        t = sm(sd - 1.0 + 2 * (dn(u, v, 3) - .5), 1) * (idx == k)
        n = dn.fbm(u, v, 5)
        shade_ = c.turn([0.34, 0.58, 0.44, 0.66, 0.50])
        c.paint(t, lin((shade_, shade_ * 0.95, shade_ * 0.86)) * (0.6 + 0.7 * n)[..., None], -10 + 4.5 * n + 0 * sd, 0.0, 10.0)
    if kind == 'stain':
        b = blob(d, x, y, (ctr(24), ctr(24)), d.uniform(22, 30), 2.0, 0.5, 0.12)
        t = step(3, -2, b)
        edge = np.exp(-((b + 2.5) / 2.6) ** 2)
        tint = [(0.62, 0.44, 0.27), (0.55, 0.62, 0.80), (0.80, 0.45, 0.52), (0.52, 0.52, 0.50)]
        tint = c.turn(tint)
        k = np.clip(t * (0.72 + 0.25 * dn.fbm(x, y, 14)) + 0.35 * edge * t, 0, 1)
        c.alb = mix(c.alb, c.alb * lin(tint), k).astype(F)
    if kind == 'gum':
        b = blob(d, x, y, (ctr(20), ctr(20)), d.uniform(15, 19), 1.6, 0.4, 0.12)
        colr = [(0.22, 0.21, 0.20), (0.88, 0.62, 0.64), (0.52, 0.66, 0.70), (0.80, 0.70, 0.34), (0.74, 0.46, 0.38)]
        colr = c.turn(colr)
        n = dn.fbm(x, y, 9)
        c.paint(sm(b, 1.2), lin(colr) * (0.8 + 0.35 * n)[..., None], 7.0 * np.sqrt(np.clip(-b / 8, 0, 1)) + 2.2 * n, 0.12, 14.0)


CATS = {
    'gear': (gear, ['broken_tooth', 'tarnish', 'scratch', 'clogged_hole']),
    'biscuit': (biscuit, ['broken_corner', 'burnt', 'crack', 'foreign_piece']),
    'comb': (comb, ['missing_tooth', 'bent_tooth', 'burn', 'gum', 'scratch']),
    'blister_pack': (blister_pack, ['missing_tablet', 'broken_tablet', 'discoloured_tablet', 'torn_foil']),
    'button': (button, ['chip', 'crack', 'paint', 'scuff']),
    'knitted_fabric': (knitted_fabric, ['hole', 'stain', 'snag', 'wrong_yarn']),
    'brushed_steel': (brushed_steel, ['scratch', 'dent', 'rust', 'heat_tint']),
    'terrazzo': (terrazzo, ['crack', 'missing_chip', 'stain', 'gum']),
}


# ------------------------------------------------------------------ pictures, masks, files
def key(*a):
    return zlib.crc32('/'.join(map(str, a)).encode())


def make_mask(good, bad, foot=None):
    """where the defective picture differs visibly from its flawless twin"""
    e = np.abs(bad - good).max(2)
    e = ndi.gaussian_filter(e, 0.5)
    m = (e > 0.055)
    seed = e > 0.11
    lab, n = ndi.label(m, np.ones((3, 3)))
    keep = np.zeros(n + 1, bool)
    if n:
        size = ndi.sum(m, lab, np.arange(n + 1))
        top = ndi.maximum(seed, lab, np.arange(n + 1)) > 0
        keep = (size >= 8) & top
        keep[0] = False
    m = keep[lab]
    disk = np.hypot(*np.mgrid[-1:2, -1:2]) <= 1.5
    m = ndi.binary_closing(np.pad(m, 4), disk)[4:-4, 4:-4]
    fill = ndi.binary_fill_holes(m) & ~m                  # close small gaps only
    lab, n = ndi.label(fill)
    if n:
        size = ndi.sum(fill, lab, np.arange(n + 1))
        ok = size < 40
        ok[0] = False
        m |= ok[lab]
    if foot is not None:                                  # the surface differs there, if not the tone
        m |= foot.reshape(N, SS, N, SS).mean((1, 3)) > 0.5
    return m, e


def picture(job):
    out, seed, cat, split, kind, idx = job
    fn = CATS[cat][0]
    s = key(seed, cat, split, kind, idx)
    if kind == 'good':
        c = Ctx(s, 0, None)
        fn(c)
        Image.fromarray(finish(render(c), c)).save(f'{out}/{cat}/{split}/good/{idx:03d}.png')
        return cat, kind, idx, 0, 0, 0, 0
    c0 = Ctx(s, 0, None)
    fn(c0)
    g = render(c0)
    for attempt in range(25):
        c = Ctx(s, key(s, 'defect', attempt), kind, idx)
        fn(c)
        assert c.nseed == c0.nseed
        b = render(c)
        m, e = make_mask(g, b, c.foot)
        frac = m.mean()
        if not 0.0055 <= frac <= 0.058:
            continue
        # visible when reduced to 120 x 120
        small = lambda a: np.asarray(Image.fromarray((a * 255).astype(np.uint8)).resize((120, 120), Image.BOX)).astype(float) / 255
        es = np.abs(small(b) - small(g)).max(2)
        if e[m].mean() >= (0.11 if cat == 'brushed_steel' else 0.15) and (es > 0.14).sum() >= 65:
            break
    Image.fromarray(finish(b, c)).save(f'{out}/{cat}/{split}/{kind}/{idx:03d}.png')
    Image.fromarray((m * 255).astype(np.uint8)).save(f'{out}/{cat}/ground_truth/{kind}/{idx:03d}_mask.png')
    return cat, kind, idx, attempt, frac, e[m].mean() if m.any() else 0, (es > 0.14).sum()


def sheets(out, dest, cats):
    os.makedirs(dest, exist_ok=True)
    for cat in cats:
        rows = []
        rd = lambda p: np.asarray(Image.open(p).convert('RGB'))
        p = f'{out}/{cat}'
        rows.append(('good', [rd(f'{p}/train/good/{i:03d}.png') for i in range(5)]))
        for k in CATS[cat][1]:
            im = [rd(f'{p}/test/{k}/{i:03d}.png') for i in range(5)]
            ol = []
            for i, a in enumerate(im):
                m = np.asarray(Image.open(f'{p}/ground_truth/{k}/{i:03d}_mask.png')) > 0
                e = ndi.binary_dilation(m) & ~m
                a = a.copy()
                a[e] = (255, 0, 255)
                ol.append(a)
            rows.append((k, im))
            rows.append((k + ' mask', ol))
        W = Image.new('RGB', (5 * 260, len(rows) * 260))
        for y, (t, ims) in enumerate(rows):
            for x, a in enumerate(ims):
                W.paste(Image.fromarray(a), (x * 260, y * 260))
            ImageDraw.Draw(W).text((3, y * 260 + 2), t, fill=(255, 255, 0), stroke_width=1, stroke_fill=(0, 0, 0))
        W.save(f'{dest}/{cat}.png')
        T = Image.new('RGB', (6 * 122, 0 + 122 * ((12 + 5 * len(CATS[cat][1]) + 5) // 6)))
        ims = [rd(f'{p}/test/good/{i:03d}.png') for i in range(12)] + [rd(f'{p}/test/{k}/{i:03d}.png') for k in CATS[cat][1] for i in range(5)]
        for n, a in enumerate(ims):
            T.paste(Image.fromarray(a).resize((120, 120), Image.LANCZOS), (n % 6 * 122, n // 6 * 122))
        T.save(f'{dest}/{cat}_120.png')


def main():
    ap = argparse.ArgumentParser()
    here = os.path.dirname(os.path.abspath(__file__))
    ap.add_argument('--out', default=f'{here}/data')
    ap.add_argument('--seed', type=int, default=20240)
    ap.add_argument('--jobs', type=int, default=2)
    ap.add_argument('--only', default='')
    ap.add_argument('--sheets', default=f'{here}/sheets')
    a = ap.parse_args()
    cats = a.only.split(',') if a.only else list(CATS)
    jobs = []
    for cat in cats:
        shutil.rmtree(f'{a.out}/{cat}', ignore_errors=True)
        for split, kind, n in [('train', 'good', 5), ('test', 'good', 12)] + [('test', k, 5) for k in CATS[cat][1]]:
            os.makedirs(f'{a.out}/{cat}/{split}/{kind}', exist_ok=True)
            if kind != 'good':
                os.makedirs(f'{a.out}/{cat}/ground_truth/{kind}', exist_ok=True)
            jobs += [(a.out, a.seed, cat, split, kind, i) for i in range(n)]
    with Pool(a.jobs) as pool:
        for cat, kind, idx, att, frac, con, vis in pool.imap(picture, jobs):
            if kind != 'good':
                print(f'{cat:16s}{kind:20s}{idx:4d}  tries {att + 1:2d}  area {100 * frac:5.2f}%  contrast {con:.3f}  seen at 120: {vis}'
                      + ('   REJECTED-BUT-KEPT' if att == 24 else ''), flush=True)
    sheets(a.out, a.sheets, cats)


if __name__ == '__main__':
    main()
