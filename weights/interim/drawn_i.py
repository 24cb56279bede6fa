#!/usr/bin/env python3
"""drawn_i.py OUT [SEED]

Draws a small synthetic visual-anomaly-detection benchmark in MVTec AD's
folder layout: OUT/CATEGORY/{train,test}/..., OUT/CATEGORY/ground_truth/...
Needs NumPy, SciPy and Pillow.  Same seed, same pictures.
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage as ndi

SIZE, SS = 256, 2                 # output size, supersampling
N = SIZE * SS
_y, _x = np.mgrid[0:N, 0:N]
X, Y = (_x + .5) / SS, (_y + .5) / SS   # all lengths below are output pixels
N_TRAIN, N_GOOD, N_BAD = 12, 12, 5


# ------------------------------------------------------------------ helpers
def gf(a, s):
    return ndi.gaussian_filter(a, s * SS, mode="nearest")


def step(a, lo, hi):
    t = np.clip((a - lo) / (hi - lo), 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng, s):
    """Smooth noise, zero mean, unit variance, correlation length s."""
    s2 = s * SS
    if s2 <= 4:
        a = ndi.gaussian_filter(rng.standard_normal((N, N)), s2, mode="wrap")
    else:
        f = s2 / 2.5
        m = int(np.ceil(N / f)) + 8
        a = ndi.gaussian_filter(rng.standard_normal((m, m)), 2.5, mode="wrap")
        a /= a.std() + 1e-9
        c = np.arange(N) / f + 3.5
        a = ndi.map_coordinates(a, np.meshgrid(c, c, indexing="ij"), order=3)
        return a
    return (a - a.mean()) / (a.std() + 1e-9)


def tex(rng, u, v, su, sv, m=256, order=1):
    """Noise of correlation length su along u and sv along v."""
    t = ndi.gaussian_filter(rng.standard_normal((m, m)), .7, mode="wrap")
    t /= t.std()
    return ndi.map_coordinates(t, [v / sv + 100, u / su + 100], order=order, mode="grid-wrap")


def frame(cx, cy, deg, sc):
    a = np.deg2rad(deg)
    dx, dy = (X - cx) / sc, (Y - cy) / sc
    return dx * np.cos(a) + dy * np.sin(a), -dx * np.sin(a) + dy * np.cos(a)


def to_pic(p, cx, cy, deg, sc):
    """Object point to picture point."""
    a = np.deg2rad(deg)
    return (cx + sc * (p[0] * np.cos(a) - p[1] * np.sin(a)),
            cy + sc * (p[0] * np.sin(a) + p[1] * np.cos(a)))


def light(rng):
    az = np.deg2rad(-130 + rng.uniform(-25, 25))
    el = np.deg2rad(rng.uniform(44, 56))
    return np.array([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)])


def shade(h, l, amb=.35, shin=30):
    gy, gx = np.gradient(h)
    gx, gy = gx * SS, gy * SS
    n = np.sqrt(gx * gx + gy * gy + 1)
    d = np.maximum((-gx * l[0] - gy * l[1] + l[2]) / n, 0) / l[2]
    hv = l + np.array([0, 0, 1.])
    hv /= np.linalg.norm(hv)
    s = np.maximum((-gx * hv[0] - gy * hv[1] + hv[2]) / n, 0) ** shin
    return amb + (1 - amb) * d, s


def rgb(*c):
    return np.ones((N, N, 3)) * np.array(c)


def over(img, col, a):
    col = np.asarray(col, float)
    return img * (1 - a[..., None]) + col * a[..., None]


def shadow(img, a, l, dist, blur, k):
    sh = np.roll(a, (int(round(-l[1] * dist * SS)), int(round(-l[0] * dist * SS))), (0, 1))
    return img * (1 - k * gf(sh, blur))[..., None]


def aa(inside):
    return ndi.gaussian_filter(inside.astype(float), .8)


def depth(inside):
    return ndi.distance_transform_edt(inside) / SS


def blob(rng, cx, cy, r, irr=.25, asp=1., deg=None, soft=.25):
    u, v = frame(cx, cy, rng.uniform(0, 180) if deg is None else deg, 1)
    d = np.hypot(u / asp, v * asp) / r
    f = 1 - d + irr * noise(rng, r * .4) * np.clip(d, 0, 1.2)
    return np.where(d < 2.2, step(f, 0, soft), 0), np.where(d < 2.2, f, -1)


def stroke(pts, w):
    """Anti-aliased polyline; w is a width or a width per point."""
    k = SS * 2
    im = Image.new("L", (SIZE * k, SIZE * k))
    d = ImageDraw.Draw(im)
    w = np.broadcast_to(w, (len(pts),))
    p = [(float(x) * k, float(y) * k) for x, y in pts]
    for i in range(len(p) - 1):
        ww = max(1, int(round((w[i] + w[i + 1]) / 2 * k)))
        d.line([p[i], p[i + 1]], fill=255, width=ww)
        r = ww / 2
        d.ellipse([p[i][0] - r, p[i][1] - r, p[i][0] + r, p[i][1] + r], fill=255)
    return np.asarray(im.resize((N, N), Image.BOX), float) / 255


def polygon(pts):
    k = SS * 2
    im = Image.new("L", (SIZE * k, SIZE * k))
    ImageDraw.Draw(im).polygon([(float(x) * k, float(y) * k) for x, y in pts], fill=255)
    return np.asarray(im.resize((N, N), Image.BOX), float) / 255


def path(rng, cx, cy, deg, length, n=30, bend=.0, jit=.0):
    """A wandering line whose middle lies at (cx, cy)."""
    a = np.deg2rad(deg) + np.cumsum(rng.normal(0, bend, n)) + rng.normal(0, jit, n)
    p = np.cumsum(np.stack([np.cos(a), np.sin(a)], 1) * length / n, 0)
    return p - p[n // 2] + [cx, cy]


def grow(m, r):
    return ndi.distance_transform_edt(~(m > .3)) <= r * SS


def fibre(rng, img, l, pts, w, col):
    """A thread lying on the surface. Returns picture and its alpha."""
    a = stroke(pts, w)
    img = shadow(img, a, l, 3, 1.2, .7)
    h = np.minimum(depth(a > .5), w / 2)
    d, _ = shade(gf(h * 1.5, .4), l, .45)
    tw = 1 + .10 * noise(rng, .8)
    return over(img, np.array(col) * (d * tw)[..., None], a), a


def finish(rng, img):
    gx, gy = rng.normal(0, .045, 2)
    r2 = ((X - 128) ** 2 + (Y - 128) ** 2) / 128 ** 2
    ill = 1 + gx * (X / 128 - 1) + gy * (Y / 128 - 1) - .05 * r2
    img = img * ill[..., None] * rng.normal(1, .035) * rng.normal(1, .008, 3)
    img = ndi.gaussian_filter(img, (rng.uniform(.7, 1.), ) * 2 + (0,))
    img = img.reshape(SIZE, SS, SIZE, SS, 3).mean((1, 3))
    img = np.clip(img, 0, 1)
    sig = .006 + .010 * np.sqrt(img)
    img = img + sig * (rng.standard_normal((SIZE, SIZE, 1)) * .7 + rng.standard_normal(img.shape) * .6)
    return (np.clip(img, 0, 1) * 255 + .5).astype(np.uint8)


# ---------------------------------------------------------------- metal_key
def metal_key(rng, dr, kind):
    l = light(rng)
    pose = (128 + rng.uniform(-9, 9), 128 + rng.uniform(-9, 9),
            -38 + rng.uniform(-22, 22), rng.uniform(1.12, 1.22))
    u, v = frame(*pose)
    g = rgb(.30, .35, .41)
    felt = .035 * noise(rng, .7) + .025 * noise(rng, 2) + .015 * noise(rng, 30)
    img = g * (1 + felt)[..., None]
    teeth_u = [-30, 2, 9, 14, 20, 27, 33, 40, 47, 53, 60, 67, 73, 80, 94]
    teeth_v = [11, 11, 3, 3, 9, 0, 0, 8, 4, 4, 10, 1, 1, 8, -2]
    u0 = dr.uniform(20, 42)

    def inside(u, v):
        bow = ((np.abs(u + 62) / 34) ** 2.6 + (np.abs(v) / 37) ** 2.6) < 1
        hole = np.hypot((u + 82) / 1., v / 1.35) < 7
        blade = (u > -40) & (u < 95) & (v > -11 + np.maximum(0, u - 86) * 1.1) & \
                (v < np.interp(u, teeth_u, teeth_v))
        collar = (u > -30) & (u < -21) & (np.abs(v) < 15)
        return (bow & ~hole) | blade | collar

    ins0 = inside(u, v)
    mask = np.zeros((N, N), bool)
    if kind == "bent":
        th = np.deg2rad(dr.uniform(19, 30)) * dr.choice([-1, 1])
        t = th * step(u, u0 - 12, u0 + 14)
        u, v = ((u - u0) * np.cos(t) + v * np.sin(t) + u0,
                -(u - u0) * np.sin(t) + v * np.cos(t))
        ins = inside(u, v)
        mask = ins & (u > u0 - 8)
    elif kind == "broken_tip":
        lim = dr.uniform(34, 62)
        tb = np.random.default_rng(dr.integers(1 << 30))
        jag = np.interp(v, np.linspace(-14, 14, 9), tb.normal(0, 2.4, 9)) + v * dr.uniform(-.4, .4)
        ins = ins0 & (u < lim + jag)
        mask = grow(ins0 & ~ins, .8)
    else:
        ins = ins0
    a = aa(ins)
    d = depth(ins)
    h = 2.6 * (1 - np.exp(-d / 1.8))
    h -= 1.5 * step(3.2 - np.abs(v + 4), 0, 1.2) * step(u, -18, -15) * step(92 - u, 0, 6) * (d > 1)
    bowr = ((np.abs(u + 58) / 22) ** 2.4 + (np.abs(v) / 27) ** 2.4)
    h -= 1.1 * step(1.05 - bowr, 0, .08) * step(np.hypot(u + 82, v) - 12, 0, 2)
    # stamped mark: a diamond and two bars
    dia = np.abs(np.abs(u + 54) + np.abs(v) - 10)
    bars = np.minimum(np.abs(np.abs(v) - 17), 9) + 9 * (np.abs(u + 54) > 8)
    h += 1.0 * step(2.2 - np.minimum(dia, bars), 0, 1)
    h = gf(h, .5)
    brush = tex(rng, u, v, 22, .55)
    patina = noise(rng, 9)
    extra = np.zeros((N, N))
    if kind == "scratch":
        on_bow = dr.random() < .55
        c = (dr.uniform(-62, -48), dr.uniform(-8, 8)) if on_bow else (dr.uniform(10, 55), -2)
        px, py = to_pic(c, *pose)
        base = pose[2] + (dr.uniform(30, 150) if on_bow else dr.choice([-1, 1]) * dr.uniform(8, 22))
        for k in range(dr.integers(2, 4)):
            p = path(dr, px + dr.uniform(-7, 7), py + dr.uniform(-7, 7), base + dr.normal(0, 4),
                     dr.uniform(48, 72), bend=.012)
            extra = np.maximum(extra, stroke(p, np.interp(np.linspace(0, 1, len(p)), [0, .3, .8, 1], [.6, 2.2, 1.9, .5])))
        extra *= a
        h = h - 1.4 * gf(extra, .35)
        mask = grow(extra, .9) & ins
    df, sp = shade(h, l, .4, 26)
    _, env = shade(h + .004 * (X * l[1] - Y * l[0]), l, .4, 5)
    col = rgb(.74, .62, .36) * (1 + .05 * brush + .03 * patina)[..., None]
    key = col * (.55 * df + .5 * env)[..., None] + (.34 * sp)[..., None] * np.array([1, .95, .8])
    if kind == "scratch":
        e = gf(extra, .3)
        key = over(key, (.97, .96, .93), np.clip(e * .75, 0, 1) * step(brush + 1.5, 0, 1))
        dk = np.roll(e, (2, 2), (0, 1)) * (1 - e)
        key = key * (1 - .55 * dk)[..., None]
    if kind == "rust":
        m = np.zeros((N, N))
        c0 = (dr.uniform(-62, -46), dr.uniform(-10, 10)) if dr.random() < .5 else (dr.uniform(-10, 55), dr.uniform(-4, 2))
        for k in range(dr.integers(3, 6)):
            px, py = to_pic((c0[0] + dr.normal(0, 9), c0[1] + dr.normal(0, 5)), *pose)
            m = np.maximum(m, blob(dr, px, py, dr.uniform(6, 12), .45, soft=.35)[0])
        n1, n2 = noise(dr, 1.0), noise(dr, 3)
        rc = np.array([.40, .18, .07]) * (1 + .18 * n1 + .15 * n2)[..., None] + (.07 * np.maximum(n2, 0))[..., None] * np.array([1, .55, .1])
        key = over(key, rc * (.5 + .5 * df)[..., None], np.clip(m * .95, 0, 1))
        mask = (m > .3) & ins
    if kind == "paint":
        c = (dr.uniform(-64, -44), dr.uniform(-14, 14)) if dr.random() < .6 else (dr.uniform(0, 60), -3)
        px, py = to_pic(c, *pose)
        m, f = blob(dr, px, py, dr.uniform(9, 13), .3, soft=.08)
        for k in range(dr.integers(1, 4)):
            m2, f2 = blob(dr, px + dr.normal(0, 13), py + dr.normal(0, 13), dr.uniform(2.5, 4), .1, soft=.15)
            m, f = np.maximum(m, m2), np.maximum(f, f2)
        m = m * a
        pd, ps = shade(gf(3 * np.clip(f, 0, .4) ** .5, .5), l, .5, 40)
        pc = [(.72, .10, .10), (.12, .30, .66), (.10, .50, .25)][dr.integers(3)]
        key = over(key, np.array(pc) * pd[..., None] + (.3 * ps * (f > 0))[..., None] * .6, m)
        mask = m > .35
    img = shadow(img, a, l, 5, 2.6, .62)
    img = shadow(img, a, l, 1.5, 1.0, .3)
    return over(img, key, a), mask


# --------------------------------------------------------------- bread_roll
def bread_roll(rng, dr, kind):
    l = light(rng)
    pose = (128 + rng.uniform(-9, 9), 128 + rng.uniform(-9, 9), rng.uniform(-32, 32), rng.uniform(.95, 1.06))
    u, v = frame(*pose)
    A, B = 88 * rng.uniform(.95, 1.05), 61 * rng.uniform(.95, 1.05)
    img = rgb(.74, .76, .77) * (1 + .02 * noise(rng, 25) + .016 * noise(rng, 2.5) + .012 * noise(rng, .6))[..., None]
    r = np.sqrt((u / A) ** 2 + (v / B) ** 2 + 1e-9) + .018 * noise(rng, 22)
    ins0 = r < 1
    ins, mask = ins0, np.zeros((N, N), bool)
    crumb = np.zeros((N, N))
    bite = None
    if kind == "missing_piece":
        t = dr.uniform(0, 2 * np.pi)
        bite = np.zeros((N, N))
        for k in (-1, 0, 1):
            tt = t + k * .26
            q = .97 - .07 * (k == 0)
            c = (A * np.cos(tt) * q, B * np.sin(tt) * q)
            px, py = to_pic(c, *pose)
            bite += np.exp(np.minimum((dr.uniform(20, 26) - np.hypot(X - px, Y - py)) / 2.5, 40))
        bite = 2.5 * np.log(bite + 1e-20) + .6 * noise(dr, 3)
        wall = dr.uniform(6, 9)
        ins = ins0 & (bite < wall)
        crumb = step(bite, -.6, .6) * ins
        ins = ndi.binary_opening(ins, iterations=5)
        mask = ins0 & (bite > -.5)
    a = aa(ins)
    dome = np.clip(1 - r * r, 0, 1)
    bump = noise(rng, 9) * .9 + noise(rng, 3.5) * .32 + noise(rng, 1.2) * .10
    h = 40 * (dome + .015) ** .62 + bump * step(dome, 0, .2)
    # score along the top
    vs = v - 5 * np.sin(u / 40 + rng.uniform(-.6, .6)) - rng.uniform(-4, 4)
    L = A * rng.uniform(.68, .76)
    w = 12.5 * np.sqrt(np.clip(1 - (u / L) ** 2, 0, 1)) * (1 + .12 * noise(rng, 8))
    sc = step(w - np.abs(vs), -1, 3.)
    h = h - 2.6 * gf(sc, 1.0) + 1.6 * gf(step(w + 4 - np.abs(vs), 0, 3) - sc, 1.) + sc * (noise(rng, 1.6) * .45)
    lo, mid = noise(rng, 14), noise(rng, 4)
    bake = np.clip(.5 + .35 * (dome - .5) + .13 * lo + .07 * mid, 0, 1)
    crust = np.array([.84, .61, .33]) * (1 - bake)[..., None] + np.array([.56, .29, .11]) * bake[..., None]
    crust *= (1 + .04 * noise(rng, .8))[..., None]
    inner = np.array([.90, .76, .52]) * (1 + .05 * mid + .05 * noise(rng, 1.2))[..., None]
    col = over(crust, inner, sc * .85)
    flour = step(noise(rng, 1.1) + .6 * lo, 1.5, 2.6) * (1 - sc)
    col = over(col, (.93, .89, .82), .55 * flour)
    gloss = .16
    pit = np.zeros((N, N))
    if kind == "hole":
        for k in range(dr.integers(1, 3)):
            c = (dr.uniform(-.55, .55) * A, dr.choice([-1, 1]) * dr.uniform(.36, .6) * B)
            px, py = to_pic(c, *pose)
            m, f = blob(dr, px, py, dr.uniform(9, 13), .28, soft=.5)
            h = h - 7 * gf(m, .8)
            pit = np.maximum(pit, m)
            mask |= f > -.08
        rim = step(gf(pit, 1.6), .05, .4)
        col = over(col, np.array([.86, .70, .46]) * (1 + .1 * mid)[..., None], rim * .9)
        col = over(col, np.array([.20, .11, .05]) * (1 + .2 * mid)[..., None], step(pit, .25, .95) * .93)
    if kind == "burn":
        c = (dr.uniform(-.5, .5) * A, dr.uniform(-.45, .45) * B)
        px, py = to_pic(c, *pose)
        m, f = blob(dr, px, py, dr.uniform(23, 33), .35, 1.15, soft=.55)
        b = np.clip(m * (1 + .12 * noise(dr, 2)), 0, 1)
        col = over(col, np.array([.34, .16, .06]), step(b, 0, .5))
        col = over(col, np.array([.085, .06, .05]) * (1 + .2 * noise(dr, 1.2))[..., None], step(b, .2, .85) * .95)
        h = h + .5 * b * noise(dr, 2.2)
        gloss *= 1
        mask = (m > .15) & ins
    fuzz = np.zeros((N, N))
    if kind == "mould":
        c = np.array([dr.uniform(-.5, .5) * A, dr.uniform(-.5, .5) * B])
        for k in range(dr.integers(2, 5)):
            p = to_pic(c + dr.normal(0, 1, 2) * [17, 11] * (k > 0), *pose)
            m, f = blob(dr, p[0], p[1], dr.uniform(9, 16) * (1 if k == 0 else .75), .35, soft=.5)
            fuzz = np.maximum(fuzz, m)
        fuzz *= ins
        col = over(col, np.array([.86, .88, .83]) * (1 + .07 * noise(dr, .9))[..., None], step(fuzz, 0, .4) * .9)
        col = over(col, np.array([.30, .45, .40]) * (1 + .14 * noise(dr, 1.5))[..., None], step(fuzz, .35, .9) * .92)
        h = h + 1.4 * gf(fuzz, 1) + .3 * fuzz * noise(dr, .8)
        mask = fuzz > .12
    if bite is not None:
        por = noise(dr, 1.6)
        cc = np.array([.93, .85, .68]) * (1 + .05 * noise(dr, 1))[..., None]
        cc = over(cc, (.68, .55, .36), step(por, .7, 1.6))
        cc = cc * (1 - .045 * np.clip(bite, 0, 9))[..., None]
        col = over(col, cc, crumb)
        h = np.where(bite > 0, h - .7 * np.clip(bite, 0, 12) + .3 * por, h)
        h = gf(h, .5)
    df, sp = shade(h, l, .48, 14)
    df = np.clip(df, .3, 1.28)
    roll = col * df[..., None] + (gloss * sp * (1 - np.maximum(np.maximum(sc, crumb), np.maximum(fuzz, pit))))[..., None]
    roll *= (1 - .35 * step(r, .86, 1.02))[..., None]
    img = shadow(img, a, l, 11, 7, .48)
    img = shadow(img, a, l, 3, 2, .35)
    img = over(img, roll, a)
    if kind == "plastic_piece":
        c = (dr.uniform(-.5, .5) * A, dr.uniform(-.5, .5) * B)
        px, py = to_pic(c, *pose)
        n = dr.integers(5, 8)
        an = np.sort(dr.uniform(0, 2 * np.pi, n) * .25 + np.arange(n) * 2 * np.pi / n)
        ro = dr.uniform(0, np.pi)
        q = np.stack([np.cos(an) * dr.uniform(13, 19), np.sin(an) * dr.uniform(6, 10)], 1) * dr.uniform(.75, 1.15, (n, 1))
        q = q @ np.array([[np.cos(ro), np.sin(ro)], [-np.sin(ro), np.cos(ro)]]) + [px, py]
        m = polygon(q)
        img = shadow(img, m, l, 3, 1.2, .55)
        pu, pv = frame(px, py, np.rad2deg(ro) + 20, 1)
        hh = 1.6 * np.sin(pu / 4.5 + dr.uniform(0, 6)) + np.minimum(depth(m > .5), 1.2)
        pd, ps = shade(gf(hh, .6), l, .5, 20)
        pc = np.array([(.12, .36, .78), (.10, .58, .62), (.80, .14, .20)][dr.integers(3)])
        img = over(img, pc * pd[..., None] + (.5 * ps)[..., None] * .8, m)
        mask = grow(m, .5)
    return img, mask


# ------------------------------------------------------------ rubber_gasket
def rubber_gasket(rng, dr, kind):
    l = light(rng)
    pose = (128 + rng.uniform(-9, 9), 128 + rng.uniform(-9, 9), rng.uniform(-24, 24), rng.uniform(.96, 1.06))
    u, v = frame(*pose)
    img = rgb(.77, .76, .72) * (1 + .02 * noise(rng, 30) + .012 * noise(rng, 1.5) + .015 * tex(rng, X, Y, 14, .7))[..., None]
    hw, hh, cr = 96, 62, 24
    qx, qy = np.abs(u) - hw + cr, np.abs(v) - hh + cr
    sd = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - cr
    # waist between the bores
    sd = np.maximum(sd, 16 - np.hypot(u, np.abs(v) - hh - 6))
    bores = [(-44, 0), (44, 0)]
    bolts = [(-80, -45), (80, -45), (-80, 45), (80, 45), (0, -34), (0, 34)]
    bd = np.minimum(*[np.hypot(u - x, v - y) for x, y in bores]) - 34
    hd = [np.hypot(u - x, v - y) - 7.5 for x, y in bolts]
    plain = np.minimum.reduce(hd)
    ins0 = (sd < 0) & (bd > 0) & (plain > 0)
    ins, mask = ins0, np.zeros((N, N), bool)
    dent = np.zeros((N, N))
    if kind == "cut":
        s = dr.choice([-1, 1])
        t = np.deg2rad(dr.choice([dr.uniform(-62, 62), dr.uniform(75, 110), dr.uniform(-110, -75)]))
        c = (s * (44 + 47 * np.cos(t)), 47 * np.sin(t))
        pu = to_pic(c, *pose)
        p = path(dr, pu[0], pu[1], pose[2] + np.rad2deg(np.arctan2(np.sin(t), s * np.cos(t))) + dr.uniform(-18, 18),
                 68, 34, .03, .12)
        cut = stroke(p, dr.uniform(3.0, 4.6) * np.linspace(.8, 1.25, len(p))[::dr.choice([-1, 1])])
        # keep the slit on one side of the bore
        near = np.hypot(u - c[0], v - c[1]) < 34
        cut = cut * near
        rem = (cut > .5) & ins0
        ins = ins0 & ~rem
        mask = grow(rem, .8)
    elif kind == "missing_piece":
        if dr.random() < .6:
            t = dr.uniform(0, 2 * np.pi)
            c = (np.clip(120 * np.cos(t), -92, 92), np.clip(120 * np.sin(t), -59, 59))
            rr = dr.uniform(15, 20)
        else:
            t = dr.uniform(-1.2, 1.2)
            s = dr.choice([-1, 1])
            c = (s * (44 + 36 * np.cos(t)), 36 * np.sin(t))
            rr = dr.uniform(11, 14)
        px, py = to_pic(c, *pose)
        f = rr * (1 + .16 * noise(dr, 5)) - np.hypot(X - px, Y - py)
        ins = ins0 & (f < 0)
        mask = grow(ins0 & ~ins, .6)
    elif kind == "blocked_hole":
        for i in dr.permutation(6)[:dr.integers(1, 3)]:
            fill = hd[i] < 1
            ins = ins | fill
            dent = np.maximum(dent, step(-hd[i], -.8, 2.2) * (1 + .15 * noise(dr, 2)))
            mask |= hd[i] < .8
    elif kind == "excess_material":
        m = np.zeros((N, N), bool)
        if dr.random() < .6:
            t = dr.uniform(0, 2 * np.pi)
            c = np.array([np.clip(130 * np.cos(t), -95, 95), np.clip(130 * np.sin(t), -61, 61)])
        else:
            t = dr.uniform(0, 2 * np.pi)
            c = np.array([dr.choice([-44, 44]) + 33 * np.cos(t), 33 * np.sin(t)])
        for k in range(3):
            px, py = to_pic(c + dr.normal(0, 4, 2), *pose)
            m |= blob(dr, px, py, dr.uniform(9, 14), .22)[0] > .3
        m &= plain > -1
        m = ndi.binary_opening(m, iterations=2)
        ins = ins0 | (m & (plain > 0))
        lab, _ = ndi.label(ins)
        ins = lab == np.argmax(np.bincount(lab[ins]))
        mask = ndi.binary_opening(ins & ~ins0, iterations=1)
    a = aa(ins)
    d = depth(ins)
    h = 3.0 * (1 - np.exp(-d / 1.3))
    bead = 1.5 * np.exp(-((bd - 6.5) / 2.0) ** 2) + 1.3 * np.exp(-((sd + 5.5) / 1.8) ** 2) * (bd > 11)
    h = h + bead * step(d, .5, 3)
    if kind == "excess_material":
        ex = gf((ins & ~ins0).astype(float), 1)
        h = h - 1.5 * ex + .5 * ex * noise(dr, 2)
    h = h - 3.2 * dent + .5 * dent * noise(rng, 1.5)
    h = gf(h, .5) + .03 * noise(rng, .8)
    df, sp = shade(h, l, .45, 18)
    col = rgb(.17, .27, .25) * (1 + .08 * noise(rng, 1.0) + .05 * noise(rng, 12))[..., None]
    col = over(col, (.42, .48, .45), .35 * step(noise(rng, .8), 2.2, 3.2))
    col = over(col, (.30, .33, .31), .75 * step(dent, .2, .8))
    g = col * df[..., None] + (.13 * sp)[..., None]
    if kind == "grease":
        i = dr.integers(4)
        t = dr.uniform(0, 2 * np.pi)
        c = [(dr.uniform(-6, 6), dr.uniform(-20, 20)), (-80, dr.uniform(-25, 25)), (80, dr.uniform(-25, 25)),
             (44 * dr.choice([-1, 1]) + dr.uniform(-9, 9), 46 * dr.choice([-1, 1]))][i]
        px, py = to_pic(c, *pose)
        m, f = blob(dr, px, py, dr.uniform(13, 19), .35, 1.15, soft=.12)
        for k in range(2):
            m2, f2 = blob(dr, px + dr.normal(0, 13), py + dr.normal(0, 10), dr.uniform(4, 7), .2, soft=.2)
            m, f = np.maximum(m, m2), np.maximum(f, f2)
        hg = gf(4 * np.clip(f, 0, .5) ** .5 + .5 * noise(dr, 3) * m, .7)
        pd, ps = shade(hg, l, .5, 35)
        gc = np.array([.74, .62, .26])
        g = over(g, gc * pd[..., None] + (.45 * ps * (f > .05))[..., None] * .7, m * .9)
        mask = (m > .3) & ins
    img = shadow(img, a, l, 4, 2.0, .55)
    img = shadow(img, a, l, 1.2, .8, .3)
    return over(img, g, a), mask


# --------------------------------------------------------------- wood_board
def wood_board(rng, dr, kind):
    l = light(rng)
    deg = rng.uniform(-9, 9)
    u, v = frame(128 + rng.uniform(-40, 40), 128 + rng.uniform(-40, 40), deg, rng.uniform(.92, 1.1))
    wv = tex(rng, u, v, 130, 60, order=3) * 9 + tex(rng, u, v, 300, 24, order=3) * 8 + tex(rng, u, v, 50, 12, order=3)
    wv = gf(wv, 2)
    per = rng.uniform(13, 17)
    ph = (v + wv) / per + rng.uniform(0, 9)
    ring = (ph % 1)
    ring = np.where(ring < .82, ring / .82, (1 - ring) / .18)
    ring = gf(ring, .5) ** 1.6
    streak = tex(rng, u, v + wv * .6, 60, .7)
    fine = tex(rng, u, v + wv * .6, 24, .45)
    pore = step(tex(rng, u, v + wv * .6, 7, .55), 1.5, 2.4)
    col = np.array([.78, .60, .40]) * (1 - (.21 + .07 * tex(rng, u, v, 200, 20, order=3)).clip(.05, .36) * ring)[..., None] + np.array([-.02, -.05, -.07]) * ring[..., None]
    col = col * (1 + .035 * streak + .025 * fine + .03 * noise(rng, 30))[..., None]
    col = over(col, (.40, .25, .14), .45 * pore)
    h = -.35 * pore - .12 * ring + .05 * streak
    mask = np.zeros((N, N), bool)
    cx, cy = dr.uniform(60, 196, 2)
    dark = np.zeros((N, N))
    if kind == "scratch":
        m = np.zeros((N, N))
        base = deg + dr.choice([-1, 1]) * dr.uniform(25, 90)
        for k in range(dr.integers(1, 4)):
            p = path(dr, cx + dr.normal(0, 9), cy + dr.normal(0, 9), base + dr.normal(0, 6), dr.uniform(55, 110), 40, .018, .03)
            m = np.maximum(m, stroke(p, np.interp(np.linspace(0, 1, 40), [0, .25, .8, 1], [.8, 2.6, 2.2, .6])))
        h = h - 1.8 * gf(m, .5)
        col = over(col, np.array([.93, .82, .64]) * (1 + .05 * fine)[..., None], gf(m, .3) * .8)
        mask = grow(m, .7)
    if kind == "crack":
        p = path(dr, cx * .4 + 77, cy, deg + dr.normal(0, 3), dr.uniform(95, 160), 60, .03, .22)
        m = stroke(p, np.interp(np.linspace(0, 1, 60), [0, .35, .6, 1], [.6, 3.2, 4.0, .6]) * dr.uniform(.8, 1.2, 60))
        if dr.random() < .7:
            q = p[dr.integers(20, 40)]
            b = path(dr, q[0], q[1], deg + dr.choice([-1, 1]) * 14, 50, 30, .03, .2)
            m = np.maximum(m, stroke(b, np.linspace(1.8, .5, 30)))
        h = h - 2.5 * gf(m, .6)
        dark = gf(m, .25) * .9
        mask = grow(m, .6)
    if kind == "hole":
        for k in range(dr.integers(1, 4)):
            r = dr.uniform(8, 11) if k == 0 else dr.uniform(4, 7)
            px, py = (cx, cy) if k == 0 else (cx + dr.choice([-1, 1]) * dr.uniform(18, 32), cy + dr.uniform(-26, 26))
            m, f = blob(dr, px, py, r, .07, soft=.25)
            h = h - 4 * gf(m, .7)
            ring2 = step(f, -.18, -.02) * (1 - m)
            col = over(col, (.90, .76, .56), ring2 * .5)
            dark = np.maximum(dark, m * .93)
            # the far wall of the bore catches a little light
            dark = dark * (1 - .35 * m * step((X - px) * -l[0] + (Y - py) * -l[1], r * .25, r * .8))
            mask |= f > -.12
    if kind == "stain":
        m, f = blob(dr, cx, cy, dr.uniform(27, 40), .30, 1.15, soft=.10)
        for k in range(dr.integers(1, 4)):
            m2, f2 = blob(dr, cx + dr.normal(0, 36), cy + dr.normal(0, 36), dr.uniform(4, 8), .15, soft=.2)
            m, f = np.maximum(m, m2), np.maximum(f, f2)
        edge = m * (1 - step(f, .02, .22))
        tint = dr.choice(3)
        c = np.array([(.52, .40, .36), (.40, .42, .60), (.62, .36, .36)][tint])
        col = col * (1 - (m * (.80 + .1 * noise(dr, 8)))[..., None] * (1 - c)) * (1 - .25 * edge)[..., None]
        mask = m > .3
    if kind == "burn":
        m, f = blob(dr, cx, cy, dr.uniform(22, 32), .22, dr.uniform(1, 1.25), soft=.7)
        col = over(col, np.array([.40, .22, .10]) * (1 + .08 * fine)[..., None], step(m, 0, .5) * .8)
        col = over(col, np.array([.07, .055, .05]) * (1 + .25 * fine)[..., None], step(m, .25, .85) * .93)
        h = h - .8 * m + .25 * m * noise(dr, 1.2)
        mask = m > .18
    col = over(col, np.array([.10, .06, .035]), np.clip(dark, 0, 1))
    df, sp = shade(h, l, .4, 12)
    return col * df[..., None] + (.05 * sp)[..., None], mask


# ------------------------------------------------------------- ceramic_tile
def ceramic_tile(rng, dr, kind):
    l = light(rng)
    deg, sc = rng.uniform(-5, 5), rng.uniform(.95, 1.06)
    cx0, cy0 = 128 + rng.uniform(-45, 45), 128 + rng.uniform(-45, 45)
    pose = (cx0, cy0, deg, sc)
    u, v = frame(*pose)
    P, G = 122., 3.0
    iu, iv = np.floor(u / P + .5), np.floor(v / P + .5)
    p, q = u - iu * P, v - iv * P
    e = P / 2 - np.maximum(np.abs(p), np.abs(q)) - G
    # rounded tile corners
    cq = np.hypot(np.maximum(np.abs(p) - P / 2 + G + 5, 0), np.maximum(np.abs(q) - P / 2 + G + 5, 0))
    e = np.minimum(e, 5 - cq + 0)
    e = e + .25 * noise(rng, 3)
    tile = step(e, -.6, .6)
    # hand-printed blue motif
    pj, qj = p + .5 * noise(rng, 6), q + .5 * noise(rng, 6)
    rad, th = np.hypot(pj, qj), np.arctan2(qj, pj)
    petal = 31 * np.abs(np.cos(2 * th)) ** .6 - rad
    core = 6.5 - rad
    ringd = 1.9 - np.abs(rad - 38)
    cd = np.hypot(np.abs(pj) - P / 2, np.abs(qj) - P / 2)
    arc = 2.6 - np.abs(cd - 26)
    dot = 9 - cd
    side = 4.6 - (np.abs(np.minimum(np.hypot(np.abs(pj) - 49, qj), np.hypot(pj, np.abs(qj) - 49))))
    pr = np.maximum.reduce([np.minimum(petal, rad - 9), core, ringd, arc, dot, side])
    pr = step(pr, -.6, .7)
    tone = 1 + .10 * noise(rng, 5) + .06 * noise(rng, 1.2)
    mask = np.zeros((N, N), bool)
    cx, cy = dr.uniform(62, 194, 2)
    lim = np.zeros((N, N))
    if kind == "print_fault":
        # centre of a motif that lies well in the picture
        best = None
        for i in range(-2, 3):
            for j in range(-2, 3):
                c = to_pic((i * P, j * P), *pose)
                dd = np.hypot(c[0] - 128, c[1] - 128)
                if best is None or dd < best[0]:
                    best = (dd, c)
        t = dr.uniform(0, 2 * np.pi)
        px, py = best[1][0] + 22 * np.cos(t), best[1][1] + 22 * np.sin(t)
        m, f = blob(dr, px, py, dr.uniform(21, 29), .2, 1.1, soft=.15)
        if dr.random() < .5:      # ink missing
            lost = pr * m
            mask = ndi.binary_fill_holes(ndi.binary_closing(lost > .35, iterations=8))
            pr = pr * (1 - .96 * m)
        else:                     # ink smeared
            an = dr.uniform(0, 2 * np.pi)
            sm = pr.copy()
            for k in range(1, 25):
                s = k * .9 * SS
                sm = np.maximum(sm, np.roll(pr, (int(s * np.sin(an)), int(s * np.cos(an))), (0, 1)) * (1 - k / 34))
            m = np.clip(m * 1.2, 0, 1)
            new = np.maximum(pr, m * sm * .92)
            mask = ndi.binary_fill_holes(ndi.binary_closing((new - pr) > .2, iterations=5))
            pr = new
    glaze = np.array([.89, .875, .82]) * (1 + .012 * noise(rng, 14))[..., None]
    tt = np.random.default_rng(int(rng.integers(1 << 30))).normal(0, .018, (9, 9))
    glaze = glaze * (1 + tt[(iv.astype(int) + 4) % 9, (iu.astype(int) + 4) % 9])[..., None]
    ink = np.array([.15, .25, .52]) * tone[..., None]
    col = over(glaze, ink, pr * .94)
    h = 1.7 * (1 - np.exp(-np.clip(e, 0, 99) / 1.8)) + .05 * noise(rng, 9)
    grout = np.array([.60, .57, .53]) * (1 + .06 * noise(rng, .9) + .05 * noise(rng, 3))[..., None]
    hg = .08 * noise(rng, 1)
    if kind == "missing_grout":
        # walk along a joint
        best = None
        for i in range(-2, 3):
            for j in range(-2, 3):
                for o in (0, 1):
                    c = ((i + .5) * P, j * P) if o == 0 else (i * P, (j + .5) * P)
                    w = to_pic(c, *pose)
                    dd = np.hypot(w[0] - 128, w[1] - 128) + dr.uniform(0, 45)
                    if best is None or dd < best[0]:
                        best = (dd, c, o)
        c, o = best[1], best[2]
        off = dr.uniform(-18, 18)
        ln = dr.uniform(22, 34)
        al, ac = (v - c[1], u - c[0]) if o == 0 else (u - c[0], v - c[1])
        m = step(ln - np.abs(al - off) + 1.8 * noise(dr, 2), 0, 3) * (np.abs(ac) < 7) * (1 - tile)
        grout = over(grout, np.array([.13, .11, .10]) * (1 + .2 * noise(dr, 1.2))[..., None], m * .95)
        hg = hg - 2.5 * m
        mask = m > .4
    body = np.array([.70, .40, .26]) * (1 + .07 * noise(dr, .9) + .06 * noise(dr, 3))[..., None]
    chip = np.zeros((N, N))
    if kind == "chip":
        # on a tile edge inside the picture
        while True:
            k, s = dr.integers(-2, 3), dr.uniform(-1.4, 1.4) * P
            c = ((k + .5) * P, s) if dr.random() < .5 else (s, (k + .5) * P)
            px, py = to_pic((c[0] + dr.choice([-1, 1]) * 5, c[1] + dr.choice([-1, 1]) * 5), *pose)
            if 40 < px < 216 and 40 < py < 216:
                break
        m, f = blob(dr, px, py, dr.uniform(12, 18), .35, 1.1, soft=.15)
        # break one tile only
        ui, vi = frame(*pose)
        at = (np.floor(ui / P + .5) * 10 + np.floor(vi / P + .5))
        lab = at[int(np.clip(py * SS, 0, N - 1)), int(np.clip(px * SS, 0, N - 1))]
        chip = m * (at == lab) * tile
        h = h - 2.2 * gf(chip, .5) + chip * (.45 * noise(dr, 1.8) + .8 * np.clip(f, 0, .6) * -1)
        col = over(col, body, step(chip, .2, .8))
        mask = chip > .3
    h = np.where(tile > .5, h, hg)
    if kind == "crack":
        n = 44
        p1 = path(dr, cx, cy, dr.uniform(0, 180), dr.uniform(95, 150), n, .10, .35)
        m = stroke(p1, np.interp(np.linspace(0, 1, n), [0, .3, .7, 1], [1.2, 2.6, 2.3, 1.]))
        for k in range(dr.integers(1, 3)):
            i = dr.integers(10, n - 10)
            dirn = np.rad2deg(np.arctan2(*(p1[i + 2] - p1[i - 2])[::-1])) + dr.choice([-1, 1]) * dr.uniform(30, 60)
            b = path(dr, 0, 0, dirn, dr.uniform(25, 50), 16, .10, .35)
            b = b - b[0] + p1[i]
            m = np.maximum(m, stroke(b, np.linspace(1.7, .8, 16)))
        m = m * tile
        h = h - .7 * gf(m, .4)
        col = over(col, np.array([.16, .12, .10]), gf(m, .2) * .92)
        mask = grow(m, .6)
    gl = 1.0
    col = over(grout, col, tile)
    if kind == "stain":
        m, f = blob(dr, cx, cy, dr.uniform(19, 29), .35, 1.15, soft=.5)
        for k in range(2):
            m2, _ = blob(dr, cx + dr.normal(0, 24), cy + dr.normal(0, 24), dr.uniform(5, 9), .3, soft=.5)
            m = np.maximum(m, m2)
        c = np.array([(.62, .38, .14), (.44, .40, .20), (.40, .30, .24)][dr.integers(3)])
        k = np.clip(m * (.85 + .12 * noise(dr, 3)), 0, 1)
        col = over(col, col * c, k)
        gl = 1 - .7 * m
        mask = m > .2
    df, sp = shade(gf(h, .4), l, .5, 40)
    hot = np.exp(-((X - 128 - 150 * l[0]) ** 2 + (Y - 128 - 150 * l[1]) ** 2) / (2 * 85 ** 2))
    return (col * df[..., None] * .95 + (tile * gl * (1 - chip) * (.22 * sp * (np.abs(e) < 6) + .07 * hot))[..., None]), mask


# ----------------------------------------------------------- checked_fabric
def checked_fabric(rng, dr, kind):
    l = light(rng)
    deg, sc = rng.uniform(-11, 11), rng.uniform(.94, 1.07)
    cx0, cy0 = 128 + rng.uniform(-40, 40), 128 + rng.uniform(-40, 40)
    u0, v0 = frame(cx0, cy0, deg, sc)
    u = u0 + 1.6 * noise(rng, 40) + .35 * noise(rng, 9)
    v = v0 + 1.6 * noise(rng, 40) + .35 * noise(rng, 9)
    cx, cy = dr.uniform(66, 190, 2)
    T = 3.8
    mask = np.zeros((N, N), bool)
    gap = np.zeros((N, N))
    if kind == "cut":
        an = dr.uniform(0, 180)
        a, b = frame(cx, cy, an, 1)
        L, w = dr.uniform(30, 48), dr.uniform(5.5, 8.5)
        prof = w * np.sqrt(np.clip(1 - (a / L) ** 2, 0, 1)) * (1 + .12 * noise(dr, 2))
        b = b - 3 * np.sin(a / 25)
        gap = step(prof - np.abs(b), -.3, .8) * (np.abs(a) < L)
        lift = np.exp(-np.maximum(np.abs(b) - prof, 0) / 4.) * step(L + 5 - np.abs(a), 0, 16)
    if kind == "hole":
        g1, f = blob(dr, cx, cy, dr.uniform(13, 20), .30, 1.1, soft=.12)
        gap = g1
        lift = np.exp(-np.maximum(-f, 0) * 4)
    U, V = u / T, v / T
    i, j = np.floor(U).astype(int), np.floor(V).astype(int)
    fu, fv = U - i - .5, V - j - .5

    def plaid(k):
        m = k % 20
        c = np.zeros(k.shape, int)                      # 0 cream
        c[(m >= 3) & (m < 8)] = 1                       # 1 red
        c[(m == 11) | (m == 12)] = 2                    # 2 navy
        c[(m == 15) | (m == 16)] = 2
        return c
    pal = np.array([[.86, .81, .70], [.66, .17, .17], [.16, .20, .36], [.08, .62, .42]])
    cw, cf = plaid(i), plaid(j + 7)
    if kind == "colour_fault":
        a, b = (u0 - (cx - 128), v0 - (cy - 128)) if dr.random() < .5 else (v0 - (cy - 128), u0 - (cx - 128))
        warp = a is not None and (np.abs(np.gradient(a)[1]).mean() < np.abs(np.gradient(a)[0]).mean())
        # threads dyed wrongly over a stretch
        idx = i if warp else j
        along = v if warp else u
        pc = (int(np.clip(cy * SS, 0, N - 1)), int(np.clip(cx * SS, 0, N - 1)))
        k0, n = idx[pc], dr.integers(4, 8)
        L = dr.uniform(38, 80)
        thr = (idx >= k0) & (idx < k0 + n) & (np.abs(along - along[pc]) < L + 6 * ((idx * 7919) % 5 - 2))
        new = 3
        if warp:
            cw = np.where(thr, new, cw)
        else:
            cf = np.where(thr, new, cf)
        mask = thr
    hw = np.sqrt(np.clip(1 - (fu / .54) ** 2, 0, 1)) * (.62 + .5 * np.cos(np.pi * (fv)) * np.where((i + j) % 2 == 0, 1, -1))
    hf = np.sqrt(np.clip(1 - (fv / .54) ** 2, 0, 1)) * (.62 + .5 * np.cos(np.pi * (fu)) * np.where((i + j) % 2 == 1, 1, -1))
    top = hw > hf
    tb = np.random.default_rng(int(rng.integers(1 << 30)))
    vw, vf = tb.normal(0, .045, 512), tb.normal(0, .045, 512)
    cwc = pal[cw] * (1 + vw[i % 512])[..., None]
    cfc = pal[cf] * (1 + vf[j % 512])[..., None]
    t = gf(top.astype(float), .15)
    col = cfc * (1 - t)[..., None] + cwc * t[..., None]
    fibre_n = np.where(top, tex(rng, u + v * .5, v, .7, 2.2), tex(rng, u, v + u * .5, 2.2, .7))
    col = col * (1 + .07 * fibre_n + .04 * noise(rng, 4))[..., None]
    h = np.maximum(hw, hf)
    col = col * (.62 + .38 * np.clip(h, 0, 1))[..., None]
    hh = gf(h * 1.1, .35) + 1.2 * noise(rng, 28)
    if kind in ("hole", "cut"):
        hh = hh + 3.0 * gf(lift * (1 - gap), 1.0)
    df, _ = shade(hh, l, .5)
    img = col * np.clip(df, .3, 1.35)[..., None]
    if kind == "stain":
        m, f = blob(dr, cx, cy, dr.uniform(24, 36), .32, 1.15, soft=.2)
        for k in range(dr.integers(1, 4)):
            m2, f2 = blob(dr, cx + dr.normal(0, 32), cy + dr.normal(0, 32), dr.uniform(4, 8), .2, soft=.3)
            m, f = np.maximum(m, m2), np.maximum(f, f2)
        edge = m * (1 - step(f, .05, .3))
        c = np.array([(.46, .33, .20), (.33, .33, .31), (.50, .42, .14)][dr.integers(3)])
        k = np.clip(m * (.82 + .1 * noise(dr, 5)), 0, 1)
        img = over(img, img * c, k) * (1 - .2 * edge)[..., None]
        img = over(img, c * .45, .3 * m)
        mask = m > .3
    if kind in ("hole", "cut"):
        under = rgb(.10, .10, .105) * (1 + .1 * noise(dr, 1))[..., None]
        rim = step(gf(gap, 1.3), .06, .4) * (1 - gap)
        img = over(img, img * .35 + np.array([.58, .54, .47]), rim * .45)
        under = under * (1 - .5 * np.roll(1 - gap, (int(-l[1] * 6), int(-l[0] * 6)), (0, 1)))[..., None]
        img = over(img, under, gap)
        mask = gap > .3
        # frayed ends reaching into the opening
        edge = np.argwhere((gap > .4) & (gap < .7))
        fr = np.zeros((N, N))
        gy, gx = np.gradient(gf(gap, 1.5))
        for k in range(dr.integers(16, 26)):
            y, x = edge[dr.integers(len(edge))]
            nx, ny = gx[y, x], gy[y, x]
            an = np.rad2deg(np.arctan2(ny, nx)) + dr.normal(0, 35)
            ln = dr.uniform(5, 12) if kind == "hole" else dr.uniform(3, 7)
            b = path(dr, 0, 0, an, ln, 10, .18)
            b = b - b[1] + [x / SS, y / SS]
            s = stroke(b, np.linspace(1.3, .6, 10))
            y2, x2 = np.clip(y - int(6 * np.sign(ny)), 0, N - 1), np.clip(x - int(6 * np.sign(nx)), 0, N - 1)
            img = over(img, pal[[0, 0, 1, 2][dr.integers(4)]] * dr.uniform(.75, 1.), s)
            fr = np.maximum(fr, s)
        mask = mask | (fr > .4)
        mask = ndi.binary_closing(grow(mask, .6), iterations=3)
    if kind == "loose_thread":
        n = 90
        tcol = [(.97, .96, .93), (.08, .08, .09), (.14, .52, .26)][dr.integers(3)]
        a = dr.uniform(0, 2 * np.pi) + np.cumsum(np.cumsum(dr.normal(0, .011, n)) + dr.normal(0, .05, n))
        ln = dr.uniform(110, 170)
        p = np.cumsum(np.stack([np.cos(a), np.sin(a)], 1) * ln / n, 0)
        p = p - p.mean(0) + [cx * .5 + 64, cy * .5 + 64]
        img, s = fibre(dr, img, l, p, dr.uniform(3.2, 4.2), tcol)
        mask = grow(s, .4)
    return img, mask


# --------------------------------------------------------------------- main
CATEGORIES = {
    "metal_key": (metal_key, ["bent", "broken_tip", "paint", "rust", "scratch"]),
    "bread_roll": (bread_roll, ["burn", "hole", "missing_piece", "mould", "plastic_piece"]),
    "rubber_gasket": (rubber_gasket, ["blocked_hole", "cut", "excess_material", "grease", "missing_piece"]),
    "wood_board": (wood_board, ["burn", "crack", "hole", "scratch", "stain"]),
    "ceramic_tile": (ceramic_tile, ["chip", "crack", "missing_grout", "print_fault", "stain"]),
    "checked_fabric": (checked_fabric, ["colour_fault", "cut", "hole", "loose_thread", "stain"]),
}


def draw(fn, kind, key):
    for attempt in range(20):
        rng = np.random.default_rng(key + [1])
        dr = np.random.default_rng(key + [2, attempt])
        img, mask = fn(rng, dr, kind)
        pic = finish(rng, img)
        m = np.asarray(mask, float).reshape(SIZE, SS, SIZE, SS).mean((1, 3)) >= .4
        if kind is None or m.sum() >= 60:
            break
    return pic, m


def main(out, seed):
    out = Path(out)
    n_img = n_mask = 0
    for ci, (cat, (fn, kinds)) in enumerate(CATEGORIES.items()):
        jobs = [("train/good", None, N_TRAIN), ("test/good", None, N_GOOD)]
        jobs += [("test/" + k, k, N_BAD) for k in kinds]
        for ji, (sub, kind, n) in enumerate(jobs):
            d = out / cat / sub
            d.mkdir(parents=True, exist_ok=True)
            for i in range(n):
                pic, m = draw(fn, kind, [seed, ci, ji, i])
                Image.fromarray(pic).save(d / f"{i:03d}.png")
                n_img += 1
                if kind:
                    g = out / cat / "ground_truth" / kind
                    g.mkdir(parents=True, exist_ok=True)
                    Image.fromarray((m * 255).astype(np.uint8)).save(g / f"{i:03d}_mask.png")
                    n_mask += 1
                    if m.sum() < 60:
                        print("small mask:", cat, kind, i, int(m.sum()))
        print(cat, "done", flush=True)
    print(n_img, "images,", n_mask, "masks")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20240)
