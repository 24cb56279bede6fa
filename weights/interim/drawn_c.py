"""Toy visual inspection benchmark, MVTec-AD layout, drawn by formulas.
Run: python render.py   -> writes ./data (everything follows from SEED)."""
import os, shutil, sys
import numpy as np
from scipy import ndimage as ni
from PIL import Image, ImageDraw, ImageFont
import matplotlib

SEED = 20417
N_TRAIN, N_GOOD, N_BAD = 5, 12, 5
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, 'data')
S, N = 480, 240                       # drawn at 2x, averaged down
ax = (np.arange(S) + .5) / S * 2 - 1
X, Y = np.meshgrid(ax, ax)
PX = 2 / S
FONTS = os.path.join(os.path.dirname(matplotlib.__file__), 'mpl-data/fonts/ttf')
C = lambda *a: np.array(a, float)
hexc = lambda h: np.array([int(h[i:i + 2], 16) for i in (0, 2, 4)]) / 255.


# ------------------------------------------------------------------ helpers
class Noise:
    """smooth noise that can be sampled at any coordinates"""
    def __init__(s, rng):
        s.g = ni.spline_filter(rng.standard_normal((64, 64)), order=3, mode='grid-wrap')

    def __call__(s, u, v, f, fv=None):
        fv = f if fv is None else fv
        return ni.map_coordinates(s.g, [v * fv + 31.7, u * f + 17.3], order=3, mode='grid-wrap', prefilter=False)

    def fbm(s, u, v, f, octs=3):
        return sum(s(u + 3.1 * k, v - 1.7 * k, f * 2 ** k) * .5 ** k for k in range(octs)) / 1.4


def cov(d, w=1.5): return np.clip(.5 - d / (w * PX), 0, 1)
def sstep(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)
def over(img, col, a): return img + (col - img) * (a[..., None] if np.ndim(a) == 2 else a)
def mul(img, k): return img * (k[..., None] if np.ndim(k) == 2 else k)
def flat(col): return np.broadcast_to(col, (S, S, 3)).copy()


def place(cx, cy, ang, sc):
    c, s = np.cos(ang), np.sin(ang)
    x, y = (X - cx) / sc, (Y - cy) / sc
    return c * x + s * y, -s * x + c * y


def seg(u, v, a, b):
    (ax_, ay), (bx, by) = a, b
    dx, dy = bx - ax_, by - ay
    t = np.clip(((u - ax_) * dx + (v - ay) * dy) / (dx * dx + dy * dy + 1e-12), 0, 1)
    return np.hypot(u - ax_ - t * dx, v - ay - t * dy), t


def path_dist(u, v, pts):
    """distance to a polyline and the arc parameter 0..1 of the nearest point"""
    D = np.full(u.shape, 9.); T = np.zeros(u.shape); n = len(pts) - 1
    for i in range(n):
        d, t = seg(u, v, pts[i], pts[i + 1])
        m = d < D
        D[m] = d[m]; T[m] = (i + t[m]) / n
    return D, T


def walk(r, p, ang, length, n=12, jit=.4, drift=0.):
    pts = [np.array(p, float)]; a = ang
    for i in range(n):
        a += drift / n
        b = a + r.normal(0, jit)
        pts.append(pts[-1] + length / n * r.uniform(.6, 1.4) * C(np.cos(b), np.sin(b)))
    return pts


def curve(r, p, ang, length, n=30, wob=1.5):
    """smooth thread-like curve"""
    k = ni.gaussian_filter1d(r.standard_normal(n + 20), 4)[10:10 + n]
    k = k / (np.std(k) + 1e-9) * wob * 4 / n
    a = ang + np.cumsum(k); st = length / n
    P = np.cumsum(np.stack([np.cos(a), np.sin(a)], 1) * st, 0)
    return [np.array(p, float)] + list(P + p)


def blob(u, v, r, c, rad, rough=.25, asp=1.):
    a0 = r.uniform(0, np.pi)
    x, y = u - c[0], v - c[1]
    x, y = np.cos(a0) * x + np.sin(a0) * y, (-np.sin(a0) * x + np.cos(a0) * y) * asp
    th, rho = np.arctan2(y, x), np.hypot(x, y)
    R = 1 + sum(rough / k ** .8 * r.normal(0, .6) * np.cos(k * th + r.uniform(0, 6.3)) for k in range(2, 9))
    return rho - rad * np.maximum(R, .3)


def relief(h, L, k=1.):
    gy, gx = np.gradient(h, PX)
    return -(gx * L[0] + gy * L[1]) * k


def rbox(u, v, a, b, r=0.):
    qx, qy = np.abs(u) - a + r, np.abs(v) - b + r
    return np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - r


def light(rng):
    a = rng.uniform(-2.6, -1.0)       # light from above, left to right
    return C(np.cos(a), np.sin(a))


def shadow(d, L, off, soft, k):
    """darkening factor cast by shape with sdf d"""
    m = ni.shift(cov(d), [-L[1] * off / PX, -L[0] * off / PX], order=1, mode='nearest')
    return 1 - k * ni.gaussian_filter(m, soft / PX)


def finish(img, rng, L):
    g = 1 + rng.uniform(.03, .14) * (X * L[0] + Y * L[1])
    vig = 1 - rng.uniform(0, .10) * (X ** 2 + Y ** 2)
    img = mul(img, g * vig) * rng.uniform(.88, 1.07) * (1 + rng.normal(0, .015, 3))
    img = ni.gaussian_filter(img, (rng.uniform(.3, .8),) * 2 + (0,))
    img = np.clip(img, 0, 1).reshape(N, 2, N, 2, 3).mean((1, 3))
    nz = rng.normal(0, rng.uniform(.006, .014), (N, N, 3))
    return img, nz


def sample(layer, u, v, ext=1.):
    """sample an S x S layer spanning [-ext, ext] at object coordinates"""
    return ni.map_coordinates(layer, [(v / ext + 1) / 2 * S - .5, (u / ext + 1) / 2 * S - .5], order=1, cval=0)


# ------------------------------------------------------------------ wall clock
def wall_clock(rng, D, r):
    L = light(rng); nz = Noise(rng)
    cx, cy, ang = *rng.uniform(-.14, .14, 2), rng.uniform(-.16, .16)
    R = rng.uniform(.66, .8)
    u, v = place(cx, cy, ang, R); rho, th = np.hypot(u, v), np.arctan2(v, u)
    wall = hexc(['7f9aa8', 'a8a27c'][rng.integers(2)]) * rng.uniform(.9, 1.1)
    per, ph = rng.uniform(.2, .3), rng.uniform(0, 1)
    img = mul(flat(wall), 1 + .09 * sstep(-.2, .2, np.sin((X / per + ph) * 2 * np.pi)) + .02 * nz.fbm(X, Y, 14))
    img = mul(img, shadow((rho - 1) * R, L, .07, .05, .55))
    rimc = hexc(['5a3626', '7c2a28'][rng.integers(2)])
    prof = np.cos((rho - .93) / .07 * 1.3)
    bev = ((u * L[0] + v * L[1]) / (rho + 1e-6)) * np.sign(rho - .93) * (1 - prof)
    img = over(img, np.clip(mul(flat(rimc), .85 + .55 * prof) + .35 * bev[..., None] * .6, 0, 1), cov((rho - 1) * R))
    dial = hexc('f1ead6') * rng.uniform(.92, 1.0)
    inner = cov((rho - .87) * R)
    face = mul(flat(dial), 1 - .10 * sstep(.5, .95, rho) + .008 * nz.fbm(u, v, 9))
    ink = hexc('26241f')
    t60 = (th / (2 * np.pi) * 60) % 1; t60 = np.minimum(t60, 1 - t60) * 2 * np.pi / 60 * rho
    t12 = (th / (2 * np.pi) * 12) % 1; t12 = np.minimum(t12, 1 - t12) * 2 * np.pi / 12 * rho
    face = over(face, ink, np.maximum(cov(np.maximum(t60 - .006, np.abs(rho - .81) - .02) * R),
                                      cov(np.maximum(t12 - .016, np.abs(rho - .80) - .035) * R)))
    skip = set(r.choice(12, r.choice([1, 1, 2]), replace=False)) if D == 'missing_numeral' else set()
    lay = Image.new('L', (S, S), 0); dr = ImageDraw.Draw(lay)
    f = ImageFont.truetype(os.path.join(FONTS, 'DejaVuSans-Bold.ttf'), 40)
    for h in range(12):
        if h in skip: continue
        a = h * np.pi / 6 - np.pi / 2
        dr.text((S / 2 + .64 * np.cos(a) * S / 2, S / 2 + .64 * np.sin(a) * S / 2), str(h or 12), font=f, fill=255, anchor='mm')
    face = over(face, ink, sample(np.asarray(lay) / 255., u, v))
    if D == 'water_stain':
        a, q = r.uniform(0, 6.28), r.uniform(.15, .7)
        d = blob(u, v, r, (q * np.cos(a), q * np.sin(a)), r.uniform(.10, .28), .3, r.uniform(1, 1.6))
        st = r.uniform(.5, 1)
        k = (cov(d, 8) * .45 + np.exp(-(d / .018) ** 2) * .8) * st
        face = face * (1 - np.clip(k, 0, 1)[..., None] * (1 - hexc('b98a4e')))
    mins = rng.uniform(0, 720); am = (mins % 60) / 60 * 2 * np.pi - np.pi / 2; ah = mins / 720 * 2 * np.pi - np.pi / 2
    asec = rng.uniform(0, 6.28); handc = hexc('1c1c22')
    which = r.choice(['m', 'm', 'h']) if D == 'bent_hand' else None
    bend = r.choice([-1, 1]) * r.uniform(.45, 1.2); frac = r.uniform(.35, .6)
    hands = np.zeros((S, S))
    for nm, a, ln, w in (('h', ah, .46, .038), ('m', am, .72, .027)):
        tail = -.1 * C(np.cos(a), np.sin(a))
        if nm == which:
            k1 = frac * ln * C(np.cos(a), np.sin(a)); k2 = k1 + (1 - frac) * ln * C(np.cos(a + bend), np.sin(a + bend))
            d, t = path_dist(u, v, [tail, k1, k2])
        else:
            d, t = seg(u, v, tail, ln * C(np.cos(a), np.sin(a)))
        hands = np.maximum(hands, cov((d - w * (1 - .55 * t)) * R))
    sh = ni.gaussian_filter(ni.shift(hands, [-L[1] * 5, -L[0] * 5], order=1), 2)
    face = over(mul(face, 1 - .3 * sh), handc, hands)
    d, _ = seg(u, v, -.15 * C(np.cos(asec), np.sin(asec)), .75 * C(np.cos(asec), np.sin(asec)))
    face = over(face, hexc('c03028'), np.maximum(cov((d - .009) * R), cov((rho - .045) * R)))
    # glass glare: a harmless bright band
    gl = np.exp(-((u * L[0] + v * L[1] - rng.uniform(.3, .6)) / .12) ** 2) * rng.uniform(.03, .14)
    face = over(face, 1., gl)
    if D == 'cracked_glass':
        a = r.uniform(0, 6.28); p = r.uniform(.4, .86) * C(np.cos(a), np.sin(a))
        main = walk(r, p, a + np.pi + r.normal(0, .5), r.uniform(.5, 1.2), 10, .28)
        lines = [main]
        for _ in range(r.integers(1, 4)):
            q = main[r.integers(1, 8)]
            lines.append(walk(r, q, a + np.pi + r.choice([-1, 1]) * r.uniform(.4, 1.1), r.uniform(.15, .5), 6, .25))
        st = r.uniform(.55, .95)
        for p_ in lines:
            d, t = path_dist(u, v, p_); w = .011 * (1 - .6 * t)
            face = over(face, 1., .8 * st * cov((path_dist(u - .012, v - .012, p_)[0] - w) * R))
            face = over(face, hexc('5b646b'), st * cov((d - w) * R))
    img = over(img, face, inner)
    return finish(img, rng, L)


# ------------------------------------------------------------------ pencil
def pencil(rng, D, r):
    L = light(rng); nz = Noise(rng)
    ang = np.deg2rad(rng.uniform(-58, -22)); cx, cy = rng.uniform(-.08, .08, 2)
    sc = rng.uniform(.88, 1.0); w = rng.uniform(.118, .132)
    u, v = place(cx, cy, ang, sc)
    pu, pv = place(*rng.uniform(-.2, .2, 2), rng.uniform(-.12, .12), 1.)
    paper = mul(flat(hexc('ece9df') * rng.uniform(.9, 1.)), 1 + .012 * nz.fbm(X, Y, 20))
    lp = .2; q = ((pv / lp) % 1 - .5) * lp
    paper = over(paper, hexc('7fa3c8'), .75 * cov(np.abs(q) - .006))
    paper = over(paper, hexc('c9626a'), .75 * cov(np.abs(pu + .62) - .007))
    Ln = .92; e1, f1, b1 = -Ln + .17, -Ln + .36, Ln - .40
    half = np.where(u < b1, w, w * np.clip((Ln - u) / (Ln - b1), 0, 1))
    half = np.where(u < f1, w * .97, half); half = np.where(u < e1, w * .88, half)
    endr = np.where(u < -Ln + .05, np.sqrt(np.clip(1 - ((-Ln + .05 - u) / .05) ** 2, 0, 1)), 1)
    half = half - .02 * (1 - endr)
    d = np.maximum(np.abs(v) - half, np.maximum(-Ln - u, u - Ln + .012))
    jag = .018 * r.standard_normal(40)
    if D == 'broken_tip':
        cut = Ln - r.uniform(.1, .27)
        d = np.maximum(d, u - cut - np.interp(v, np.linspace(-w, w, 40), ni.gaussian_filter1d(jag, .8)) - r.normal(0, .5) * v)
    if D == 'torn_eraser':
        cut = -Ln + r.uniform(.06, .15); sl = r.choice([-1, 1]) * r.uniform(.1, .7)
        d = np.maximum(d, cut + np.interp(v, np.linspace(-w, w, 40), ni.gaussian_filter1d(jag, 1.2) * 1.6) + sl * v - u)
    img = mul(paper, shadow(d * sc, L, .06, .03, .5))
    x = v / w
    lit = 1 if L @ C(-np.sin(ang), np.cos(ang)) < 0 else -1     # which side faces the light
    facet = np.where(np.abs(x) < .5, .92, np.where(x * lit < 0, 1.08, .62))
    edge = np.exp(-((np.abs(x) - .5) / .05) ** 2)
    bodyc = hexc('e0a81e') + C(rng.normal(0, .02), rng.normal(0, .03), rng.normal(0, .02))
    body = mul(flat(bodyc), facet + .12 * edge + .01 * nz(u, v, 6, 60))
    woodc = mul(flat(hexc('d9b383')), (1.02 - .35 * np.clip(x * lit * w / (half + 1e-3), -1, 1) ** 1) + .05 * nz(u, v, 5, 80))
    round_ = 1.05 - .4 * (x * lit * .5 + .5) - .25 * x ** 2
    col = body.copy()
    lay = Image.new('L', (S, S), 0)
    ImageDraw.Draw(lay).text((S * .5 + rng.uniform(-60, 30), S * .5), 'OFFICE  2 HB', font=ImageFont.truetype(os.path.join(FONTS, 'DejaVuSans-Bold.ttf'), 24), fill=255, anchor='mm')
    col = over(col, hexc('5a3d10'), .8 * sample(np.asarray(lay) / 255., u, v, 1.))
    if D == 'peeled_paint':
        dd = np.full((S, S), 9.)
        c0 = C(r.uniform(f1 + .1, b1 - .1), r.uniform(-.8, .8) * w)
        for _ in range(r.integers(1, 4)):
            dd = np.minimum(dd, blob(u, v, r, c0 + C(r.normal(0, .1), r.normal(0, .03)), r.uniform(.035, .09), .4, r.uniform(1, 2)))
        bare = mul(flat(hexc('e3cba6')), .80 + .35 * facet - .12 + .07 * nz(u, v, 6, 70))
        col = over(col, hexc('7a5512'), .8 * cov(dd - .01)); col = over(col, bare, cov(dd))
    if D == 'tooth_marks':
        c0 = C(r.uniform(f1 + .15, b1 - .15), 0); h = np.zeros((S, S)); dk = np.zeros((S, S))
        for _ in range(r.integers(4, 9)):
            c = c0 + C(r.normal(0, .13), r.uniform(-.9, .9) * w)
            b = blob(u, v, r, c, r.uniform(.018, .034), .2, r.uniform(1, 1.7))
            h -= .008 * (1 - sstep(-.02, .012, b)); dk = np.maximum(dk, 1 - sstep(-.015, .01, b))
        on = cov((u - b1 + .03) * sc) * cov((f1 + .02 - u) * sc)
        st = r.uniform(.6, 1)
        col = mul(col, 1 - .28 * st * dk * on); col = col + (np.clip(relief(h, L, .7), -.3, .3) * on * st)[..., None]
    scal = b1 + .05 * (np.where(np.abs(x) < .5, 1 - (x / .5) ** 2, 1 - ((np.abs(x) - .75) / .25) ** 2)) - .03
    col = over(col, woodc, cov((scal - u) * sc))
    gr = mul(flat(hexc('3a3a3e')), 1.5 - .8 * np.clip(x * lit * 3, -1, 1) * .5)
    tipu = Ln - .13 + .01 * nz(v, v * 0, 12)
    col = over(col, gr, cov((tipu - u) * sc))
    if D == 'broken_tip': col = over(col, hexc('8a6f4d'), .7 * cov(np.abs(u - cut) - .02) * (u < cut + .05))
    ridg = .8 + .2 * np.cos((u - e1) / (f1 - e1) * 2 * np.pi * 4)
    met = mul(flat(hexc('b9bcae')), round_ * ridg + .25 * np.exp(-((x * lit + .35) / .15) ** 2))
    col = over(col, met, cov((u - f1) * sc))
    er = mul(flat(hexc('d98a8c') * rng.uniform(.93, 1.05)), round_ + .04 * nz.fbm(u, v, 12))
    col = over(col, er, cov((u - e1) * sc))
    img = over(img, col, cov(d * sc))
    return finish(img, rng, L)


# ------------------------------------------------------------------ coat button
def coat_button(rng, D, r):
    L = light(rng); nz = Noise(rng)
    cx, cy = rng.uniform(-.2, .2, 2); R = rng.uniform(.56, .7); ang = rng.uniform(0, 6.28)
    # herringbone tweed
    cu, cv = place(0, 0, rng.uniform(-.3, .3), 1.); zig = np.abs(((cu / .36 + rng.uniform(0, 1)) % 1) - .5) * .36
    tw = np.sin((cv + zig * 1.6) / .052 * 2 * np.pi); fine = np.sin(cu / .03 * 2 * np.pi) * .3
    cl = hexc(['5a6475', '6b6a5a'][rng.integers(2)]) * rng.uniform(.9, 1.1)
    cloth = mul(flat(cl), 1 + .16 * tw + .08 * fine + .10 * nz.fbm(cu, cv, 25) + .03 * nz(X, Y, 3))
    u, v = place(cx, cy, ang, R); rho, th = np.hypot(u, v), np.arctan2(v, u)
    d = rho - 1; chip = None
    if D == 'chipped_edge':
        a = r.uniform(0, 6.28, 7)[-1]; q = r.uniform(.93, 1.04)
        chip = blob(u, v, r, (q * np.cos(a), q * np.sin(a)), r.uniform(.13, .3), .3, r.uniform(1, 1.6))
        d = np.maximum(d, -chip)
    hs = .2
    hole = np.full((S, S), 9.); skip = r.integers(4) if D == 'missing_hole' else -1
    for i in range(4):
        if i == skip: continue
        a = np.pi / 4 + i * np.pi / 2
        hole = np.minimum(hole, np.hypot(u - hs * np.cos(a) * 1.15, v - hs * np.sin(a) * 1.15) - .09)
    full = np.maximum(d, -hole)
    img = mul(cloth, shadow(full * R, L, .05, .03, .6))
    h = .16 * np.exp(-((rho - .84) / .11) ** 2) - .10 * sstep(.92, 1., rho) - .05 * sstep(.62, .45, rho)
    h = h - .06 * np.exp(-np.maximum(hole, 0) / .02)
    sw = nz.fbm(u + .15 * nz(u, v, 2), v, 3.2, 3)
    c1, c2 = hexc('7a4522') * rng.uniform(.9, 1.1), hexc('c98c4c') * rng.uniform(.9, 1.1)
    mat = c2 + (c1 - c2) * sstep(-.7, .8, sw)[..., None]
    sh = relief(h, L, .30) * R
    mat = mat * (1 + np.clip(sh, -.5, .5))[..., None] + (np.clip(sh - .22, 0, 1) * .5)[..., None]
    gx, gy = u * np.cos(ang) - v * np.sin(ang), u * np.sin(ang) + v * np.cos(ang)   # picture frame
    spec = np.exp(-(((gx - .45 * L[0]) / .2) ** 2 + ((gy - .45 * L[1]) / .12) ** 2)) * rng.uniform(.05, .25)
    mat = over(mat, 1., spec)
    if D == 'crack':
        a = r.uniform(0, 6.28); q = r.choice([.98, r.uniform(.3, .95)])
        pts = walk(r, (q * np.cos(a), q * np.sin(a)), a + np.pi + r.normal(0, .45), r.uniform(.4, 1.3), 12, .35)
        dd, t = path_dist(u, v, pts); wd = r.uniform(.014, .026) * (1 - .7 * t)
        st = r.uniform(.7, 1)
        mat = over(mat, hexc('f0d6a8'), .55 * st * cov((path_dist(u + .02 * 1, v + .02, pts)[0] - wd) * R))
        mat = over(mat, hexc('25130a'), st * cov((dd - wd) * R))
    if chip is not None:
        mat = over(mat, hexc('e3c394'), .85 * cov((chip - .045 - .012 * nz(u, v, 14)) * R, 3))
    img = over(img, mat, cov(full * R))
    if D == 'loose_thread':
        a, q = r.uniform(0, 6.28), r.uniform(.2, 1.15)
        pts = curve(r, (q * np.cos(a), q * np.sin(a)), r.uniform(0, 6.28), r.uniform(.6, 1.7), 34, r.uniform(.4, 1.4))
        dd, t = path_dist(u, v, pts); tc = hexc(['d8d3c4', 'b5433c', '2c2f36', '8fa36a'][r.integers(4)])
        ds, _ = path_dist(u, v, [p + .035 * C(L[0], L[1]) * -1 for p in pts])
        img = mul(img, 1 - .35 * (1 - sstep(.0, .05, ds)))
        img = over(img, mul(flat(tc), 1 - .25 * (dd / .02) ** 2 + .15 * np.sin(t * 220)), cov((dd - .02) * R))
    return finish(img, rng, L)


# ------------------------------------------------------------------ waffle
def waffle(rng, D, r):
    L = light(rng); nz = Noise(rng)
    cx, cy = rng.uniform(-.1, .1, 2); ang = rng.uniform(-.6, .6); H = rng.uniform(.54, .62)
    tu, tv = place(0, 0, rng.uniform(-.2, .2), 1.); o = rng.uniform(0, 1, 2)
    ck = lambda z: sstep(-.12, .12, np.sin(z))
    chk = ck(tu / .3 * 2 * np.pi + o[0] * 6) + ck(tv / .3 * 2 * np.pi + o[1] * 6)
    cc = hexc(['a83a3a', '3a5f9a'][rng.integers(2)])
    img = mul(over(flat(hexc('ece8e0')), cc, chk / 2 * .9), 1 + .03 * nz.fbm(X, Y, 30))
    pc = C(cx * .5, cy * .5); rp = np.hypot(X - pc[0], Y - pc[1]); PR = rng.uniform(.95, 1.02)
    img = mul(img, shadow(rp - PR, L, .05, .05, .45))
    pl = flat(hexc('d8dde0') * rng.uniform(.95, 1.05))
    hp = .06 * sstep(.68, .8, rp / PR) - .03 * sstep(.95, 1, rp / PR)
    pl = mul(pl, 1 + np.clip(relief(hp, L, .35), -.25, .2))
    pl = over(pl, hexc('4a6a9c'), .8 * cov(np.abs(rp / PR - .92) - .012))
    img = over(img, pl, cov(rp - PR))
    u, v = place(cx, cy, ang, H)
    wob = .02 * nz(u, v, 2.2) + .012 * nz(u, v, 6)
    d = rbox(u, v, 1, 1, .2) + wob
    if D == 'bite':
        side = r.uniform(-.9, .9); k = r.integers(4)
        c0 = [C(side, 1.02), C(side, -1.02), C(1.02, side), C(-1.02, side)][k]
        tang = C(1, 0) if k < 2 else C(0, 1)
        rad = r.uniform(.15, .26); n = r.integers(2, 5)
        for i in range(n):
            c = c0 + tang * (i - (n - 1) / 2) * rad * 1.1 + r.normal(0, .04, 2)
            d = np.maximum(d, -(np.hypot(u - c[0], v - c[1]) - rad * r.uniform(.85, 1.15) + .02 * nz(u, v, 12)))
    img = mul(img, shadow(d * H, L, .05, .035, .5))
    n = 5; g = 2 / n * .96
    iu, iv = np.floor(u / g + n / 2), np.floor(v / g + n / 2)
    pu, pv = (u / g + n / 2) % 1 - .5, (v / g + n / 2) % 1 - .5
    pock = rbox(pu, pv, .33, .33, .1) + .02 * nz(u, v, 8)
    inside = (iu >= 0) & (iu < n) & (iv >= 0) & (iv < n)
    dep = (1 - sstep(-.12, .06, pock)) * inside
    if D == 'filled_pocket':
        i0, j0 = r.integers(0, n, 2); cells = [(i0, j0)]
        for _ in range(r.integers(0, 3)): cells.append((min(n - 1, cells[-1][0] + r.integers(0, 2)), min(n - 1, cells[-1][1] + r.integers(0, 2))))
        lv = r.uniform(0, .25)
        for i, j in cells: dep = np.where((iu == i) & (iv == j), dep * lv, dep)
    h = -.10 * dep + .05 * np.sqrt(np.clip(-d, 0, .12)) / .35 + .006 * nz.fbm(u, v, 14)
    toast = np.clip(.45 + .22 * nz.fbm(u, v, 1.6, 2) + .35 * (1 - dep) - .25, 0, 1) + .12 * sstep(-.12, 0, d)
    light_c, dark_c = hexc('e9bd6c') * rng.uniform(.95, 1.03), hexc('a9652a') * rng.uniform(.95, 1.05)
    col = light_c + (dark_c - light_c) * np.clip(toast, 0, 1)[..., None]
    if D == 'burnt_patch':
        c = r.uniform(-.8, .8, 2); b = blob(u, v, r, c, r.uniform(.2, .45), .35, r.uniform(1, 1.6)) + .06 * nz.fbm(u, v, 7)
        col = over(col, hexc('38200f'), r.uniform(.5, .92) * (1 - sstep(-.16, .08, b)))
    col = mul(col, 1 + np.clip(relief(h, L, .75) * H, -.4, .3) - .10 * dep + .03 * nz.fbm(u, v, 24))
    # shade inside the pockets on the side of the light
    sh = ni.shift(1 - dep, [-L[1] * .05 * H / PX, -L[0] * .05 * H / PX], order=1, mode='nearest')
    col = mul(col, 1 - .35 * ni.gaussian_filter(sh, 2) * dep)
    if D == 'mould':
        c0 = r.uniform(-.75, .75, 2); mc = hexc(['8fa58c', 'a9b4b0', '6d8a7c'][r.integers(3)])
        for _ in range(r.integers(2, 7)):
            b = blob(u, v, r, c0 + r.normal(0, .2, 2), r.uniform(.07, .19), .25) + .03 * nz.fbm(u, v, 18)
            col = over(col, mul(flat(mc), 1 + .1 * nz.fbm(u, v, 22)), r.uniform(.7, .95) * (1 - sstep(-.07, .04, b)))
            col = over(col, hexc('dfe6e0'), .5 * np.exp(-(b / .025) ** 2))
    img = over(img, col, cov(d * H))
    return finish(img, rng, L)


# ------------------------------------------------------------------ gear wheel
def gear_wheel(rng, D, r):
    L = light(rng); nz = Noise(rng)
    cx, cy = rng.uniform(-.13, .13, 2); R = rng.uniform(.68, .78); ang = rng.uniform(0, 6.28)
    mu, mv = place(*rng.uniform(-.2, .2, 2), rng.uniform(-.25, .25), 1.)
    mc = hexc('2f6b52') * rng.uniform(.9, 1.12)
    img = mul(flat(mc), 1 + .04 * nz.fbm(X, Y, 26) + .05 * nz(X, Y, 2))
    line = lambda p, w: np.maximum(cov(np.abs((mu / p) % 1 - .5) * p - w), cov(np.abs((mv / p) % 1 - .5) * p - w))
    img = over(img, hexc('a9c9a2'), .30 * line(.1, .003)); img = over(img, hexc('c8dcae'), .6 * line(.5, .006))
    u, v = place(cx, cy, ang, R); rho, th = np.hypot(u, v), np.arctan2(v, u)
    nt = 16; ph = (th / (2 * np.pi) * nt) % 1
    prof = sstep(.1, .27, np.abs(ph - .5) * -1 + .5 - .12)        # 0 in the gap, 1 on the tooth
    tooth_id = np.floor(th / (2 * np.pi) * nt) % nt
    rad = .82 + .18 * prof
    if D == 'broken_tooth':
        t0 = r.integers(nt); k = r.choice([1, 1, 2])
        for t in [(t0 + i) % nt for i in range(k)]:
            lvl = .82 + r.uniform(-.03, .08) + r.uniform(-.3, .3) * (ph - .5) + .012 * nz(u, v, 14)
            rad = np.where(tooth_id == t, np.minimum(rad, lvl), rad)
    d = rho - rad
    bore = np.maximum(rho - .17, -9); key = rbox(u - .17, v, .07, .05); bore = np.minimum(bore, key)
    nh = 6; lh = np.full((S, S), 9.); fill = r.integers(nh) if D == 'undrilled_hole' else -1
    for i in range(nh):
        if i == fill: continue
        a = (i + .5) / nh * 2 * np.pi
        lh = np.minimum(lh, np.hypot(u - .5 * np.cos(a), v - .5 * np.sin(a)) - .125)
    full = np.maximum(np.maximum(d, -bore), -lh)
    img = mul(img, shadow(full * R, L, .05, .03, .6))
    gth = th + ang
    ani = np.cos(2 * (gth - np.arctan2(L[1], L[0]) - .5)) * .13 + np.cos(3 * gth + 1) * .03
    brush = .05 * nz(rho * 1.0, th * .15, 60, 3) + .03 * nz(rho, th * .1, 130, 4)
    st = mul(flat(hexc('a4a8ac') * rng.uniform(.9, 1.1)), 1 + ani + brush)
    h = -.05 * sstep(-.05, 0., full) + .05 * (1 - sstep(.26, .29, rho)) - .03 * (sstep(.31, .34, rho) - sstep(.68, .71, rho))
    if D == 'rust':
        a, q = r.uniform(0, 6.28), r.uniform(.25, .95)
        b = blob(u, v, r, (q * np.cos(a), q * np.sin(a)), r.uniform(.14, .34), .35, r.uniform(1, 1.8)) + .07 * nz.fbm(u + 5, v, 8)
        rc = mul(flat(hexc('8d4b24')), 1 + .25 * nz.fbm(u, v + 4, 14))
        st = over(st, rc, r.uniform(.55, .95) * (1 - sstep(-.08, .03, b)))
    st = mul(st, 1 + np.clip(relief(h, L, .35) * R, -.45, .4))
    if D == 'scratch':
        st0 = r.uniform(.6, 1.); col = [hexc('eef1f3'), hexc('3d4044')][r.integers(2)]
        for _ in range(r.integers(1, 4)):
            a, q = r.uniform(0, 6.28), r.uniform(.3, .9); p0 = C(q * np.cos(a), q * np.sin(a))
            pts = walk(r, p0, a + np.pi / 2 + r.normal(0, .8), r.uniform(.3, .9), 8, .05, r.normal(0, .3))
            dd, t = path_dist(u, v, pts); wd = r.uniform(.010, .018) * np.sqrt(np.clip(1 - (2 * t - 1) ** 2, .05, 1))
            st = over(st, col, st0 * cov((dd - wd) * R)); st = mul(st, 1 - .25 * st0 * cov((np.abs(dd - 2 * wd) - wd * .6) * R))
    img = over(img, st, cov(full * R))
    return finish(img, rng, L)


# ------------------------------------------------------------------ brick wall
def brick_wall(rng, D, r):
    L = light(rng); nz = Noise(rng); n2 = Noise(rng)
    sc = rng.uniform(.88, 1.1); u, v = place(*rng.uniform(-.3, .3, 2), rng.uniform(-.05, .05), sc)
    bl, bh, mo = .62, .235, .021
    tab = rng.standard_normal((64, 64)); tab2 = rng.uniform(0, 1, (64, 64))
    wu, wv = u + .006 * nz(u, v, 9) + .003 * nz(u, v, 26), v + .006 * n2(u, v, 9) + .003 * n2(u, v, 26)
    def cells(a, b):
        row = np.floor(b / bh); x = a / bl + .5 * (row % 2); cl = np.floor(x)
        return row.astype(int), cl.astype(int), (x - cl - .5) * bl, (b / bh - row - .5) * bh
    row, cl, x, y = cells(wu, wv)
    tone = tab[row % 64, cl % 64]; dark = tab2[row % 64, cl % 64]
    def brickcol(tone, dark, a, b):
        base = hexc('9c4f3a')[None, None] * (1 + .13 * tone)[..., None] + (tone * .03)[..., None] * C(-.2, .4, .5)
        base = np.where((dark < .10)[..., None], base * .58 + .02, base)           # some over-fired bricks
        return mul(base, 1 + .08 * nz.fbm(a, b, 9) + .05 * n2(a, b, 50))
    d = rbox(x, y, bl / 2 - mo, bh / 2 - mo, .025)
    mort = mul(flat(hexc('b9b1a2') * base_m(rng)), 1 + .07 * n2.fbm(u, v, 30))
    m = cov(d * sc, 2.5)
    col = brickcol(tone, dark, u, v); h = .03 * (1 - sstep(-.03, .01, d)) + .004 * nz.fbm(u, v, 22)
    img = over(mort, col, m)
    if D == 'tilted_brick':
        i, j = None, None
        for _ in range(60):
            py, pxx = r.integers(25, S - 25, 2); i, j = row[py, pxx], cl[py, pxx]
            c = C((j + .5 - .5 * (i % 2)) * bl, (i + .5) * bh)
            if np.abs(m[(row == i) & (cl == j)]).size > 9000 * sc * sc * .9: break
        cell = cov((rbox(wu - c[0], wv - c[1], bl / 2 - mo * .2, bh / 2 - mo * .2, .02)) * sc, 2.5)
        img = over(img, mul(mort, .6), cell); h = h * (1 - cell)
        a = r.choice([-1, 1]) * r.uniform(.12, .3); du, dv = wu - c[0] - r.normal(0, .015), wv - c[1] - r.normal(0, .01)
        ru, rv = np.cos(a) * du + np.sin(a) * dv, -np.sin(a) * du + np.cos(a) * dv
        k = r.uniform(.86, 1)
        dd = rbox(ru, rv, (bl / 2 - mo) * k, bh / 2 - mo * 1.1, .025)
        t_ = tab[i % 64, j % 64]; dk = tab2[i % 64, j % 64]
        img = mul(img, shadow(dd * sc, L, .03, .012, .4)); mm = cov(dd * sc, 2.5)
        img = over(img, brickcol(np.full((S, S), t_), np.full((S, S), dk), u, v), mm)
        h = h * (1 - mm) + (.03 * (1 - sstep(-.03, .01, dd)) + .004 * nz.fbm(u, v, 22)) * mm
    img = mul(img, 1 + np.clip(relief(h, L, .45), -.4, .35))
    img = mul(img, 1 + .06 * n2(u, v, 1.3))
    if D == 'crack':
        p = r.uniform(-.8, .8, 2); a = r.uniform(0, 6.28); pts = walk(r, p, a, r.uniform(.5, 1.5), 18, .6)
        br = walk(r, pts[r.integers(4, 14)], a + r.choice([-1, 1]) * .8, r.uniform(.15, .4), 7, .5)
        st = r.uniform(.75, 1); W = r.uniform(.011, .026)
        for pp in (pts, br):
            dd, t = path_dist(X, Y, pp); w = W * (1 - .7 * t) + .004 * nz(X, Y, 18)
            img = over(img, hexc('d2a58e'), .35 * st * cov(path_dist(X - .012, Y - .012, pp)[0] - w))
            img = over(img, hexc('1f1512'), st * cov(dd - w))
    if D == 'graffiti':
        p = r.uniform(-.7, .7, 2); pts = curve(r, p, r.uniform(0, 6.28), r.uniform(.7, 2.0), 36, r.uniform(.9, 2.2))
        dd, t = path_dist(X, Y, pts); w = r.uniform(.025, .055); gc = hexc(['3f7fb5', '4f9a55', 'd9d9d2', '7d4a96', 'c9a62e'][r.integers(5)])
        al = r.uniform(.6, .92) * (1 - sstep(w * .6, w * 1.7, dd + .010 * n2(X, Y, 40)))
        img = over(img, mul(flat(gc), 1 + np.clip(relief(h, L, .3), -.3, .3)), al)
    if D == 'salt_bloom':
        c = r.uniform(-.75, .75, 2); b = blob(X, Y, r, c, r.uniform(.18, .42), .35, r.uniform(1, 1.8)) + .10 * nz.fbm(X, Y, 5)
        al = r.uniform(.62, .92) * (1 - sstep(-.15, .06, b)) * np.clip(.85 + .35 * n2.fbm(X, Y, 16), 0.1, 1)
        img = over(img, hexc('e4e0da'), al)
    return finish(img, rng, L)


def base_m(rng): return rng.uniform(.88, 1.05)


# ------------------------------------------------------------------ knitted fabric
def knitted_fabric(rng, D, r):
    L = light(rng); nz = Noise(rng); n2 = Noise(rng)
    sc = rng.uniform(.9, 1.12); u0, v0 = place(*rng.uniform(-.5, .5, 2), rng.uniform(-.2, .2), sc)
    cw, rh = .17, .125
    u = u0 + .022 * nz(u0, v0, 1.6) + .004 * nz(u0, v0, 7); v = v0 + .022 * n2(u0, v0, 1.6) + .004 * n2(u0, v0, 7)
    cxx = u / cw; colI = np.floor(cxx).astype(int); x = cxx - colI - .5; axx = np.abs(x)
    t = v / rh + 1.5 * axx; rowI = np.floor(t).astype(int); y = t - rowI - .5
    leg = np.clip(1 - ((axx - .25) / .27) ** 2, 0, 1) * np.clip(1 - (y / .5) ** 2, 0, 1)
    h = np.sqrt(leg)
    fib = np.sin((y * 2.2 + axx * np.where(x > 0, 1, 1) * 5) * 2 * np.pi) * .07
    base = np.clip(hexc('5c7b94') * rng.uniform(.85, 1.1) + rng.normal(0, .025, 3), 0, 1)
    per, off = 9, rng.integers(9); band = ((rowI + off) % per) < 2
    yarn2 = np.clip(base * .45 + hexc('eee5d2') * .6, 0, 1)
    colr = np.where(band[..., None], yarn2, base) * np.ones((S, S, 1))
    if D == 'wrong_yarn':
        oc = hexc(['c7852e', '3c3f47', 'b64a58', '4a8f80'][r.integers(4)]); st = r.uniform(.6, 1)
        py, px_ = r.integers(60, S - 60, 2); j0, i0 = colI[py, px_], rowI[py, px_]
        m = np.zeros((S, S), bool); horiz = r.random() < .5
        for _ in range(r.integers(2, 8)):
            m |= (colI == j0) & (rowI == i0)
            if horiz: j0 += 1
            else: i0 += r.integers(0, 2); j0 += r.choice([-1, 0, 1])
        colr = over(colr, oc, st * m)
    sh = .42 + .62 * h + fib * h + np.clip(relief(.03 * h, L, .45), -.22, .22) + .04 * n2.fbm(u, v, 30)
    img = mul(colr, sh)
    if D == 'dropped_stitch':
        py, px_ = r.integers(110, S - 110, 2); j0 = colI[py, px_]; i0 = rowI[py, px_]; n = r.integers(3, 9)
        vv = v / rh
        width = .62 * np.clip(np.minimum(vv - i0 + n / 2 + .2, i0 + n / 2 - vv + .2) * 1.2, 0, 1)
        xx = (u / cw - j0 - .5)
        g = cov((np.abs(xx) - width * .85) * cw * sc, 3) * (width > .02)
        rung = np.exp(-((((vv + .12 * np.cos(xx * 3) + .05 * nz(u, v, 6)) % 1) - .5) / .13) ** 2)
        back = mul(colr, r.uniform(.3, .45) + .5 * rung)
        img = over(img, back, g)
    if D == 'moth_hole':
        py, px_ = r.uniform(-.75, .75, 2)
        b = blob(X, Y, r, (px_, py), r.uniform(.07, .2), .3, r.uniform(1, 1.6)) + .018 * nz(X, Y, 14)
        under = mul(flat(hexc(['2a2522', 'cbb49a', '8c8c90'][r.integers(3)])), 1 + .05 * n2(X, Y, 30))
        edge_sh = 1 - .45 * ni.gaussian_filter(ni.shift(1 - cov(b), [-L[1] * 8, -L[0] * 8], order=1, mode='nearest'), 3)
        out = mul(under, edge_sh)
        for _ in range(r.integers(2, 5)):                                    # frayed ends
            a = r.uniform(0, 6.28); rr = .14
            pts = curve(r, (px_ + rr * np.cos(a), py + rr * np.sin(a)), a + np.pi + r.normal(0, .5), r.uniform(.08, .2), 14, 2)
            dd, _ = path_dist(X, Y, pts); out = over(out, base * .85, cov(dd - .012))
        img = mul(img, 1 - .3 * np.exp(-(np.maximum(b, 0) / .02)))
        img = over(img, out, cov(b, 3))
    if D == 'pulled_loop':
        p = r.uniform(-.65, .65, 2); a = r.uniform(0, 6.28); ln = r.uniform(.18, .42); wdt = r.uniform(.06, .13)
        s_ = np.linspace(0, 1, 26); lx = ln * np.sin(np.pi * s_) ** .8; ly = .85 * wdt * np.cos(np.pi * s_) * (1 + .9 * np.sin(np.pi * s_)) + .25 * r.uniform(-1, 1) * lx
        wob = .06 * ni.gaussian_filter1d(r.standard_normal(26), 3)
        P = np.stack([p[0] + np.cos(a) * lx - np.sin(a) * (ly + wob), p[1] + np.sin(a) * lx + np.cos(a) * (ly + wob)], 1)
        pts = list(P); dd, t = path_dist(X, Y, pts); ds, _ = path_dist(X, Y, [q - .05 * L for q in pts])
        img = mul(img, 1 - .5 * (1 - sstep(.01, .055, ds)))
        yc = [base, yarn2][r.integers(2)]
        en = sstep(0, .16, t) * sstep(1, .84, t)
        img = over(img, mul(flat(yc), (.6 + .5 * en) - .5 * (dd / .034) ** 2 + .10 * np.sin(t * 110 + dd * 120)), cov(dd - .012 - .02 * en))
    return finish(img, rng, L)


# ------------------------------------------------------------------ parquet floor
def parquet_floor(rng, D, r):
    L = light(rng); nz = Noise(rng); n2 = Noise(rng)
    ang = np.pi / 4 * rng.integers(0, 2) + rng.uniform(-.15, .15); sc = rng.uniform(.9, 1.1)
    u, v = place(*rng.uniform(-.4, .4, 2), ang, sc); c = .58; ns = 4
    ci, cj = np.floor(u / c).astype(int), np.floor(v / c).astype(int)
    x, y = (u / c - ci), (v / c - cj); ori = (ci + cj) % 2
    if D == 'turned_block':
        py, px_ = r.integers(120, S - 120, 2); i0, j0 = ci[py, px_], cj[py, px_]
        if r.random() < .4:
            ori = np.where((ci == i0) & (cj == j0), 1 - ori, ori)
        else:                                            # block sits crooked in its square
            a = r.choice([-1, 1]) * r.uniform(.10, .26); dx, dy = x - .5, y - .5; inn = (ci == i0) & (cj == j0)
            k = 1.12
            x = np.where(inn, .5 + k * (np.cos(a) * dx + np.sin(a) * dy), x); y = np.where(inn, .5 + k * (-np.sin(a) * dx + np.cos(a) * dy), y)
    out = (x < 0) | (x > 1) | (y < 0) | (y > 1)
    al = np.where(ori == 0, x, y); ac = np.where(ori == 0, y, x)
    st = np.clip(np.floor(ac * ns), 0, ns - 1).astype(int); sf = ac * ns - st - .5
    tab = rng.standard_normal((64, 64, ns)); tab2 = rng.uniform(0, 1, (64, 64, ns, 3))
    tone = tab[ci % 64, cj % 64, st]; kn = tab2[ci % 64, cj % 64, st]
    offs = tab2[ci % 64, cj % 64, st, 1] * 20
    A, B = al * c + offs, ac * c + offs * 1.7
    # knot: grain bends round it
    ka, kb = (al - .2 - .6 * kn[..., 1]) * c, (sf * .145 - (kn[..., 2] - .5) * .06)
    has = kn[..., 0] < .10; kd = np.hypot(ka * .8, kb * 1.0)
    B2 = B + np.where(has, .03 * np.exp(-(kd / .06) ** 2) * np.sign(kb), 0)
    grain = .6 * nz(A, B2, 2.2, 40) + .5 * n2(A, B2, 5, 90) + .4 * nz(A + 9, B2, .9, 14)
    col = flat(hexc('b07d4a') * rng.uniform(.9, 1.08)) * (1 + .10 * tone)[..., None] + (tone * .012)[..., None] * C(-1, 0, 1)
    col = mul(col, 1 + .085 * grain)
    col = over(col, hexc('4a2c16'), np.where(has, .8 * np.exp(-(kd / .022) ** 2), 0))
    gap = np.minimum((.5 - np.abs(sf)) / ns, np.minimum(al, 1 - al)) * c
    col = over(col, hexc('3a2413'), .75 * cov((gap - .005) * sc, 2.2))
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) * c
    col = over(col, hexc('2c1a0d'), .8 * cov((edge - .007) * sc, 2.2)); col = np.where(out[..., None], hexc('2a190d'), col)
    if D == 'burn':
        p = r.uniform(-.8, .8, 2); b = blob(X, Y, r, p, r.uniform(.06, .17), .18, r.uniform(1, 2.2)) + .015 * nz.fbm(X, Y, 10)
        s0 = r.uniform(.6, .95)
        col = over(col, hexc('5a3216'), .7 * s0 * (1 - sstep(-.02, .10, b))); col = over(col, hexc('1c1410'), s0 * (1 - sstep(-.06, .01, b)))
        if r.random() < .5: col = over(col, hexc('8d8279'), .5 * (1 - sstep(-.12, -.05, b)))
    if D == 'water_ring':
        p = r.uniform(-.7, .7, 2); s0 = r.uniform(.35, .65)
        for _ in range(r.integers(1, 3)):
            q = p + r.normal(0, .12, 2); R = r.uniform(.17, .33); th = np.arctan2(Y - q[1], X - q[0])
            arc = np.clip(.75 + .6 * np.cos(th - r.uniform(0, 6.28)) + .25 * nz(th * .4, th * 0, 5), .0, 1)
            w = r.uniform(.022, .04); dd = np.abs(np.hypot(X - q[0], Y - q[1]) - R)
            col = over(col, hexc('ebe2d2'), s0 * arc * (1 - sstep(w * .4, w * 1.3, dd)) + .08 * s0 * cov(np.hypot(X - q[0], Y - q[1]) - R, 4))
    sheen = np.exp(-((X * L[1] - Y * L[0] - rng.uniform(-.6, .6)) / .35) ** 2) * rng.uniform(.0, .16)
    col = over(col, hexc('fff4e4'), sheen * .8)
    if D == 'scratch':
        s0 = r.uniform(.6, .95); sc_ = [hexc('eed9b6'), hexc('5c3c20')][int(r.random() < .35)]; a = r.uniform(0, 6.28); p = r.uniform(-.6, .6, 2)
        for _ in range(r.integers(1, 4)):
            pts = walk(r, p + r.normal(0, .08, 2), a + r.normal(0, .12), r.uniform(.4, 1.2), 12, .06, r.normal(0, .6))
            dd, t = path_dist(X, Y, pts); w = r.uniform(.009, .017) * np.sqrt(np.clip(1 - (2 * t - 1) ** 2, .05, 1))
            col = over(col, sc_, s0 * cov(dd - w)); col = mul(col, 1 - .25 * s0 * cov(np.abs(dd - 2 * w) - .5 * w))
    return finish(col, rng, L)


CATS = {
    'wall_clock': (wall_clock, ['missing_numeral', 'cracked_glass', 'bent_hand', 'water_stain']),
    'pencil': (pencil, ['broken_tip', 'tooth_marks', 'peeled_paint', 'torn_eraser', ]),
    'coat_button': (coat_button, ['chipped_edge', 'crack', 'missing_hole', 'loose_thread']),
    'waffle': (waffle, ['bite', 'burnt_patch', 'filled_pocket', 'mould']),
    'gear_wheel': (gear_wheel, ['broken_tooth', 'rust', 'scratch', 'undrilled_hole']),
    'brick_wall': (brick_wall, ['crack', 'graffiti', 'salt_bloom', 'tilted_brick']),
    'knitted_fabric': (knitted_fabric, ['dropped_stitch', 'moth_hole', 'pulled_loop', 'wrong_yarn']),
    'parquet_floor': (parquet_floor, ['scratch', 'water_ring', 'burn', 'turned_block']),
}


def to8(img, nz): return np.round(np.clip(img + nz, 0, 1) * 255).astype(np.uint8)
def save(a, *p):
    fn = os.path.join(OUT, *p); os.makedirs(os.path.dirname(fn), exist_ok=True); Image.fromarray(a).save(fn)


def mask_of(a, b, thr=.035, solid=False):
    m = np.abs(a - b).max(2) > thr
    k = 6 if solid else 2                              # a moved part counts as a whole
    m = ni.binary_closing(np.pad(m, 8), iterations=k)[8:-8, 8:-8]
    if solid: m = ni.binary_fill_holes(m)
    lab, n = ni.label(m, np.ones((3, 3)))
    if n:
        sz = ni.sum(m, lab, range(1, n + 1)); m = np.isin(lab, 1 + np.flatnonzero(sz >= 8))
    holes, n = ni.label(~m)
    if n:                                              # fill pinholes only
        sz = ni.sum(~m, holes, range(1, n + 1)); m |= np.isin(holes, 1 + np.flatnonzero(sz < 25))
    return m


def main(only=None):
    for ci, (cat, (fn, defects)) in enumerate(CATS.items()):
        if only and cat not in only: continue
        shutil.rmtree(os.path.join(OUT, cat), ignore_errors=True)
        R = lambda *k: np.random.default_rng([SEED, ci, *k])
        for i in range(N_TRAIN): save(to8(*fn(R(0, i), None, R(9))), cat, 'train', 'good', f'{i:03d}.png')
        for i in range(N_GOOD): save(to8(*fn(R(1, i), None, R(9))), cat, 'test', 'good', f'{i:03d}.png')
        for k, D in enumerate(defects):
            for i in range(N_BAD):
                clean, nz = fn(R(2, k, i), None, R(9))
                for t in range(40):                    # redraw defects that fall out of sight
                    bad, nz = fn(R(2, k, i), D, R(3, k, i, t))
                    m = mask_of(clean, bad, solid=D in ('tilted_brick', 'turned_block')); n = m.sum()
                    if {'missing_numeral': 40, 'graffiti': 1200}.get(D, 90) <= n <= 9000 and np.abs(clean - bad).max(2)[m].mean() > .09: break
                else: print('weak', cat, D, i, n)
                save(to8(bad, nz), cat, 'test', D, f'{i:03d}.png')
                save((m * 255).astype(np.uint8), cat, 'ground_truth', D, f'{i:03d}_mask.png')
        print(cat, flush=True)


if __name__ == '__main__': main(sys.argv[1:])
