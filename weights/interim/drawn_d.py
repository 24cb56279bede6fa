"""A small procedural benchmark for (zero-shot) image anomaly detection.

    make.py [--seed 0] [--out DIR] [--only CATEGORY ...] [--sheets] [--check]

Eight categories in MVTec AD's folder layout under DIR (default: data beside
this file).  Every defective picture is drawn twice from the same pose, colour,
light and texture, once flawless and once damaged; the mask is where the two
differ visibly.  --sheets also writes contact sheets beside this file, --check
prints how well trivial baselines do.
"""
import argparse
import colorsys
import os
import shutil

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage as ndi
from scipy.spatial import cKDTree
from scipy.stats import rankdata
from skimage.morphology import remove_small_holes, remove_small_objects

HERE = os.path.dirname(os.path.abspath(__file__))
N, S = 240, 2                      # final size, supersampling
W = N * S
F = np.float32
Y, X = [((a + .5) / S).astype(F) for a in np.mgrid[0:W, 0:W]]
FONT = os.path.join(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans-Bold.ttf')


# ------------------------------------------------------------------ helpers
def C(*a):
    return np.array(a, F)


def hsv(h, s, v):
    return C(*colorsys.hsv_to_rgb(h % 1, min(max(s, 0), 1), min(max(v, 0), 1)))


def ss(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def cov(sd, soft=.5):
    """Coverage of the inside (sd < 0) of a signed distance in pixels."""
    return np.clip(.5 - sd / (2 * soft), 0, 1).astype(F)


def mix(a, b, t):
    t = np.asarray(t, F)
    if t.ndim == 2:
        t = t[..., None]
    return a * (1 - t) + b * t


def full(c):
    return np.broadcast_to(np.asarray(c, F), (W, W, 3)).copy()


def noise(rng, scale, aspect=1.0):
    """Smooth noise of unit deviation, `scale` pixels coarse."""
    sy, sx = scale * S, scale * S * aspect
    fy, fx = max(1, int(sy / 2)), max(1, int(sx / 2))
    h, w = W // fy + 4, W // fx + 4
    a = ndi.gaussian_filter(rng.standard_normal((h, w)).astype(F), (sy / fy / 2, sx / fx / 2))
    a = (a - a.mean()) / a.std()
    yy = np.arange(W, dtype=F) / fy + 1
    xx = np.arange(W, dtype=F) / fx + 1
    return ndi.map_coordinates(a, np.meshgrid(yy, xx, indexing='ij'), order=1, mode='nearest')


def fbm(rng, scale, octaves=4):
    out = 0
    for k in range(octaves):
        out = out + noise(rng, max(scale / 2 ** k, .5)) * .6 ** k
    return out / out.std()


def shade(h, L, amb=.45):
    gy, gx = np.gradient(h)
    gx, gy = gx * S, gy * S
    inv = 1 / np.sqrt(gx * gx + gy * gy + 1)
    d = np.clip((-gx * L[0] - gy * L[1] + L[2]) * inv, 0, None)
    return (amb + (1 - amb) * d / L[2]).astype(F)


def light(rng):
    az = np.deg2rad(rng.uniform(205, 290))      # somewhere from above, mostly left
    el = np.deg2rad(rng.uniform(42, 58))
    return C(np.cos(az) * np.cos(el), np.sin(az) * np.cos(el), np.sin(el))


def pose(rng, rot, size, shift, shift_y=None):
    a = np.deg2rad(rng.uniform(-rot, rot))
    k = size * rng.uniform(.94, 1.06)
    cx, cy = N / 2 + rng.uniform(-1, 1, 2) * (shift, shift if shift_y is None else shift_y)
    dx, dy = X - cx, Y - cy
    u = (dx * np.cos(a) + dy * np.sin(a)) / k
    v = (-dx * np.sin(a) + dy * np.cos(a)) / k
    return u.astype(F), v.astype(F), k


def shadow(alpha, L, reach, soft, strength):
    s = ndi.shift(alpha, (-L[1] * reach * S, -L[0] * reach * S), order=1)
    return 1 - strength * ndi.gaussian_filter(s, soft * S)


def pick(dr, alpha, margin):
    """A random pixel of a mask, at least `margin` pixels inside it."""
    m = np.pad(alpha[::2, ::2] > .5, 1)
    ok = ndi.distance_transform_edt(m)[1:-1, 1:-1] * 2 / S > margin
    if not ok.any():
        ok = m[1:-1, 1:-1]
    yx = np.argwhere(ok)
    y, x = yx[dr.integers(len(yx))] * 2
    return float(X[y, x]), float(Y[y, x])


def blob(dr, cx, cy, r, rough=.18, aspect=1.0, fine=.6):
    a = dr.uniform(0, np.pi)
    dx, dy = X - cx, Y - cy
    p = (dx * np.cos(a) + dy * np.sin(a)) / aspect
    q = (-dx * np.sin(a) + dy * np.cos(a)) * aspect
    th, rr = np.arctan2(q, p), np.hypot(p, q)
    rad = np.ones_like(th)
    for k in range(2, 12):
        rad += rough * dr.uniform(.3, 1) / k ** fine / 1.6 * np.cos(k * th + dr.uniform(0, 7))
    return (rr - r * rad).astype(F)


def stroke(segs, reach=9):
    """Signed distance to tapering segments (x0, y0, x1, y1, halfwidth0, halfwidth1)."""
    sd = np.full((W, W), 99, F)
    for x0, y0, x1, y1, w0, w1 in segs:
        a, b = [int(np.clip(t * S, 0, W)) for t in (min(x0, x1) - reach, max(x0, x1) + reach)]
        c, d = [int(np.clip(t * S, 0, W)) for t in (min(y0, y1) - reach, max(y0, y1) + reach)]
        if a >= b or c >= d:
            continue
        px, py = X[c:d, a:b] - x0, Y[c:d, a:b] - y0
        ex, ey = x1 - x0, y1 - y0
        t = np.clip((px * ex + py * ey) / (ex * ex + ey * ey + 1e-6), 0, 1)
        s = np.hypot(px - t * ex, py - t * ey) - (w0 + (w1 - w0) * t)
        np.minimum(sd[c:d, a:b], s, out=sd[c:d, a:b])
    return sd


def walk(dr, x, y, head, length, w0, w1, wob=.45, step=6.0):
    n = max(2, int(length / step))
    segs, h = [], head
    for i in range(n):
        h = head + .7 * (h - head) + dr.normal(0, wob)
        q = step * dr.uniform(.6, 1.4)
        x1, y1 = x + q * np.cos(h), y + q * np.sin(h)
        a, b = [(w0 + (w1 - w0) * t / n) * dr.uniform(.8, 1.2) for t in (i, i + 1)]
        segs.append((x, y, x1, y1, a, b))
        x, y = x1, y1
    return segs


def crack(dr, x, y, length, w=1.8, branches=3):
    """Both ways from a point, with side branches: signed distance."""
    head = dr.uniform(0, 2 * np.pi)
    segs = walk(dr, x, y, head, length * .55, w, .5) + walk(dr, x, y, head + np.pi, length * .45, w, .5)
    for _ in range(branches):
        s = segs[dr.integers(len(segs))]
        segs += walk(dr, s[2], s[3], head + dr.choice([-1, 1]) * dr.uniform(.6, 1.2) + np.pi * dr.integers(2),
                     length * dr.uniform(.2, .35), s[4] * .8, .4)
    return stroke(segs)


def scrapes(dr, x, y, length, n, w=1.5, spread=7, head=None):
    head = dr.uniform(0, np.pi) if head is None else head
    segs = []
    for i in range(n):
        o = (i - (n - 1) / 2) * spread * dr.uniform(.8, 1.2)
        l, h = length * dr.uniform(.6, 1.1), head + dr.normal(0, .07)
        x0 = x - np.sin(head) * o - np.cos(h) * l / 2 + dr.normal(0, 4)
        y0 = y + np.cos(head) * o - np.sin(h) * l / 2 + dr.normal(0, 4)
        segs += walk(dr, x0, y0, h, l, w * dr.uniform(.8, 1.2), w * .5, .05, 8)
    return stroke(segs)


_texts = {}


def text(s, size):
    """(coverage image, scale): text of cap height about `size` px, drawn at 4x."""
    if (s, size) not in _texts:
        f = ImageFont.truetype(FONT, int(size * 4 * 1.37))
        x0, y0, x1, y1 = f.getbbox(s)
        im = Image.new('L', (x1 - x0 + 16, y1 - y0 + 16))
        ImageDraw.Draw(im).text((8 - x0, 8 - y0), s, 255, font=f)
        _texts[s, size] = ndi.gaussian_filter(np.asarray(im, F) / 255, .8)
    return _texts[s, size]


def put_text(s, size, u, v):
    t = text(s, size)
    return ndi.map_coordinates(t, [v * 4 + t.shape[0] / 2, u * 4 + t.shape[1] / 2], order=1, cval=0)


def finish(img, rng):
    """Light falling unevenly, white balance, exposure, lens blur, reduction."""
    a = rng.uniform(0, 2 * np.pi)
    g = 1 + rng.uniform(.02, .09) * ((X - N / 2) * np.cos(a) + (Y - N / 2) * np.sin(a)) / (N / 2)
    g *= 1 - rng.uniform(0, .07) * ((X - N / 2) ** 2 + (Y - N / 2) ** 2) / (N / 2) ** 2
    gain = rng.uniform(.9, 1.07) * (1 + rng.normal(0, .02, 3))
    img = img * (g[..., None] * gain)
    img = np.clip(img, 0, 1) ** rng.uniform(.93, 1.08)
    b = rng.uniform(.5, .9)
    img = ndi.gaussian_filter(img, (b, b, 0))
    return img.reshape(N, S, N, S, 3).mean((1, 3)).astype(F)


# ------------------------------------------------------------------ objects
def coffee_mug(rng, d, dr):
    L = light(rng)
    u, v, k = pose(rng, 4, 1.27, 5)
    if rng.random() < .5:
        u = -u
    lx = L[0] if u[0, 0] < u[0, -1] else -L[0]
    glaze = hsv(*[(.55, .55, .72), (.02, .62, .78), (.12, .45, .90), (.36, .38, .62)][rng.integers(4)])
    glaze = np.clip(glaze + rng.normal(0, .03, 3), 0, 1).astype(F)
    ink = C(.95, .93, .88) if glaze.mean() < .66 else C(.25, .2, .3)
    # table and wall
    wall, table = hsv(rng.uniform(.05, .15), .10, rng.uniform(.72, .85)), hsv(rng.uniform(.06, .09), .42, .58)
    hor = rng.uniform(135, 160)
    grain = noise(rng, 2.2, 14) * .05 + noise(rng, 6, 8) * .05
    bg = mix(full(wall) * (1 + .015 * noise(rng, 3))[..., None], table * (1 + grain)[..., None], ss(hor - .5, hor + .5, Y))
    rough = fbm(rng, 6)
    phase = rng.uniform(0, 1)
    x = u + 17
    w = 62 - 7 * ss(-20, 80, v)
    xn = np.clip(x / w, -1, 1)
    zn = np.sqrt(1 - xn * xn)
    body = np.maximum(np.maximum(np.abs(x) - w, -66 - v), v - (60 + 13 * np.sqrt(np.clip(1 - (x / (w + .5)) ** 2, 0, 1))))
    rim = (np.hypot(x / 62, (v + 66) / 13) - 1) * 13
    sd = np.minimum(body, rim) * k
    # handle
    hu, hv = (x - 58) / 33, (v + 2) / 40
    e = np.hypot(hu, hv)
    g = np.hypot(hu / 33, hv / 40) / np.maximum(e, 1e-3)
    hd = (e - 1) / np.maximum(g, 1e-3)
    hth = np.arctan2(hv, hu)
    hsd = np.maximum(np.abs(hd) - 8.5, 45 - x) * k
    hmask, bmask = cov(hsd), cov(sd)
    claycol = mix(full(C(.80, .72, .62)), C(.58, .50, .42), ss(-.8, 2, rough))
    clay = np.zeros_like(u)
    if d == 'broken_handle':
        c, half = dr.uniform(-.75, .75), dr.uniform(.38, .6)
        gap = (np.abs(hth - c) - half) * 36 + rough * 1.6 + dr.normal(0, .8) * hd * .3
        gsd = -gap * k
        clay = cov(np.abs(gsd + 2.5) - 2.5) * 0.9
        hmask = hmask * cov(gsd)
    cut = None
    if d == 'chip':
        where = dr.integers(3)
        if where == 0:                                   # front of the rim
            t = dr.uniform(-.8, .8)
            px, pv = 62 * np.sin(t), -66 + 13 * np.cos(t)
        elif where == 1:                                 # side
            pv = dr.uniform(-40, 45)
            px = -60
        else:                                            # foot
            t = dr.uniform(-.8, .8)
            px, pv = 56 * np.sin(t), 60 + 13 * np.cos(t)
        i = np.argmin((x - px) ** 2 + (v - pv) ** 2)
        cx, cy = X.flat[i], Y.flat[i]
        b = blob(dr, cx, cy, dr.uniform(16, 21), .15, dr.uniform(1, 1.3)) + rough * .7
        cut = (b, where)
        if where:
            bmask = bmask * (1 - cov(b + 8))
    alpha = np.maximum(bmask, hmask)
    img = bg * shadow(alpha, L, 9, 7, .45)[..., None]
    # handle shading
    t = np.clip(hd / 8.5, -1, 1)
    nx, ny = t * np.cos(hth), t * np.sin(hth)
    dh = np.clip(nx * lx + ny * L[1] + np.sqrt(1 - t * t) * L[2], 0, 1)
    hcol = glaze * (.36 + .72 * dh)[..., None] + (.5 * dh ** 24)[..., None]
    hcol = mix(hcol, claycol, clay)
    img = mix(img, hcol, hmask)
    # body
    ve = v - 13 * zn
    th = np.arcsin(xn)
    alb = full(glaze) * (1 + .012 * rough)[..., None]
    for c, hw in ((-52, 2.5), (-45, 1.2), (36, 2.5), (29, 1.2)):
        alb = mix(alb, ink, cov((np.abs(ve - c) - hw) * k))
    per = .52
    tc = (np.floor(th / per + phase) + .5 - phase) * per
    q = np.abs(th - tc) * w / 13 + np.abs(ve + 8) / 22
    alb = mix(alb, ink, cov((q - 1) * 9 * k) * (1 - cov((q - .45) * 9 * k)))
    front = cov(body * k) * bmask
    if d == 'crack':
        cx, cy = pick(dr, front, 12)
        c = crack(dr, cx, cy, dr.uniform(85, 130), 2.0, 4)
        alb = mix(alb, alb * .75, cov(c - 1.6, 1) * .7)
        alb = mix(alb, C(.13, .10, .09), cov(c))
    gloss = np.ones_like(u)
    if d == 'stain':
        cx, cy = pick(dr, front, 10)
        b = blob(dr, cx, cy, dr.uniform(17, 24), .25, dr.uniform(1, 1.3))
        drips = []
        for _ in range(3):
            x0 = cx + dr.uniform(-11, 11)
            drips += walk(dr, x0, cy, np.pi / 2, dr.uniform(25, 45), 3.0, 2.3, .05)
        b = np.minimum(b, stroke(drips))
        col = C(.26, .15, .07) if glaze.mean() > .4 else C(.2, .12, .06)
        a = cov(b, 1) * (.72 + .2 * ss(-5, -1, b)) * front
        alb = mix(alb, col, a * np.clip(.95 + .08 * rough, 0, 1))
        gloss = 1 - .5 * a
    df = np.clip(xn * lx * 1.1 + zn * L[2] + .1, 0, 1.2)
    col = alb * (.30 + .78 * df)[..., None]
    sx = np.sign(lx) * .52
    spec = .38 * np.exp(-((th - sx) / .10) ** 2) * ss(-60, -45, ve) * ss(48, 20, ve)
    spec += .10 * np.exp(-((th + sx * 1.5) / .07) ** 2)
    col = col + (spec * gloss)[..., None]
    if cut is not None:
        b, where = cut
        col = mix(col, claycol * (.5 + .5 * df)[..., None] * (1 - .25 * ss(-4, 0, b))[..., None], cov(b))
    # opening
    rimc = full(np.clip(glaze * 1.12 + .06, 0, 1))
    top = cov(rim * k)
    inner = cov((np.hypot(x / 57.5, (v + 66) / 10.2) - 1) * 10 * k)
    white = full(C(.93, .91, .86)) * (.62 + .3 * ss(-70, -56, v) - .25 * xn * np.sign(lx) * -1)[..., None]
    coffee = cov((np.hypot(x / 54, (v + 60) / 9.5) - 1) * 9 * k)
    inn = mix(white, full(C(.20, .11, .06)) * (1 + .6 * np.exp(-((xn - .3) / .2) ** 2))[..., None], coffee)
    topc = mix(rimc, inn, inner)
    t = top
    if cut is not None and cut[1] == 0:
        t = top * (1 - cov(cut[0]) * (1 - inner * cov(-(cut[0] + 7))))
    col = mix(col, topc, t)
    return mix(img, col, bmask)


def metal_gear(rng, d, dr):
    L = light(rng)
    u, v, k = pose(rng, 180, 1.12, 5)
    r, th = np.hypot(u, v), np.arctan2(v, u)
    tone = hsv(*[(.58, .06, .70), (.60, .10, .60), (.11, .20, .68)][rng.integers(3)]) * rng.uniform(.93, 1.07)
    bg = full(hsv(rng.uniform(.28, .36), .28, rng.uniform(.30, .40)))
    bg *= (1 + .06 * noise(rng, .8, 3) + .06 * noise(rng, 1.0) + .05 * noise(rng, 20))[..., None]
    rough, rough2 = fbm(rng, 5), fbm(rng, 12)
    n = 14
    p = np.cos(n * th)
    rad = 80 + 17 * ss(-.45, .45, p)
    raw = np.zeros_like(u)
    if d == 'missing_tooth':
        m = int(dr.integers(2, 4))
        c = (dr.integers(n) + (.5 if m % 2 == 0 else 0)) * 2 * np.pi / n
        dt = np.abs((th - c + np.pi) % (2 * np.pi) - np.pi)
        win = ss(m * np.pi / n + .03, m * np.pi / n - .03, dt)
        lim = 78 + rough * 1.6 - 3 * ss(.25, 0, dt)
        raw = win * ss(lim - 7, lim - 5, r)
        rad = rad * (1 - win) + np.minimum(rad, lim) * win
    sd = (r - rad) * .85
    bore = r - 20
    key = np.maximum(np.abs(u) - 6, np.abs(v + 18) - 9)
    bore = np.minimum(bore, key)
    hth = (th + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5
    hole = np.hypot(r * np.cos(hth) - 51, r * np.sin(hth)) - 11
    solid = np.maximum(np.maximum(sd, -bore), -hole) * k
    alpha = cov(solid)
    h = 3.2 * ss(67, 70, r) + 3.2 * ss(36, 33, r)
    h = h - 2.5 * ss(-3, 0, sd) - 2 * ss(3, 0, bore) - 1.5 * ss(2.5, 0, hole)
    rings = np.interp(r, np.arange(0, 130, .7), ndi.gaussian_filter1d(rng.normal(0, 1, 186), .5))
    alb = full(tone) * (1 + .05 * rings + .025 * rough2)[..., None]
    spot = np.zeros_like(u)
    if d == 'rust':
        cx, cy = pick(dr, alpha, 5)
        b = blob(dr, cx, cy, dr.uniform(19, 28), .3, dr.uniform(1, 1.3)) + 4 * rough2 + 2 * rough
        a = cov(b, 2)
        rc = mix(full(C(.55, .27, .10)), C(.30, .14, .07), ss(-1, 1.4, rough))
        rc = mix(rc, C(.72, .42, .16), ss(.6, 1.8, -rough) * .7)
        alb = mix(alb, rc, a * .93)
        spot = a
        h = h + a * (.5 + .35 * rough)
    if d == 'crack':
        cx, cy = pick(dr, alpha, 3)
        c = crack(dr, cx, cy, dr.uniform(95, 140), 2.1, 3)
        alb = mix(alb, C(.07, .07, .08), cov(c))
        h = h - 1.6 * ss(2.2, 0, c)
        spot = cov(c - .5)
    if d == 'scratch':
        cx, cy = pick(dr, alpha, 6)
        c = scrapes(dr, cx, cy, dr.uniform(65, 95), int(dr.integers(3, 6)), 1.5, 6.5)
        alb = mix(alb, C(.97, .97, .95), cov(c) * .95)
        alb = mix(alb, alb * .35, cov(np.abs(c - 1.3) - .7) * .8)
        spot = cov(c - .5) * .7
    f = shade(h, L, .4)
    az = np.arctan2(L[1], L[0])
    gth = np.arctan2(Y - Y.flat[np.argmin(r)], X - X.flat[np.argmin(r)])
    aniso = .80 + .28 * np.abs(np.cos(gth - az)) ** 3 + .10 * np.abs(np.cos(gth - az - 1.1)) ** 8
    col = alb * (f * mix2(aniso, .92, spot))[..., None]
    rawc = full(C(.34, .33, .33)) * (1 + .35 * rough)[..., None]
    col = mix(col, rawc, raw)
    inner_wall = shadow(alpha, L, 5, 1.5, .62)
    img = bg * inner_wall[..., None]
    return mix(img, col, alpha)


def mix2(a, b, t):
    return a * (1 - t) + b * t


def biscuit(rng, d, dr):
    L = light(rng)
    u, v, k = pose(rng, 14, 1.16, 6)
    per = 11.0
    top = np.abs(v) / 66 > np.abs(u) / 88
    bump = 2.6 * np.abs(np.cos(np.pi * np.where(top, u, v) / per)) * np.ones_like(u)
    hu, hv = np.abs(u) - (84 - 8), np.abs(v) - (62 - 8)
    sd = np.hypot(np.maximum(hu, 0), np.maximum(hv, 0)) + np.minimum(np.maximum(hu, hv), 0) - 8 - bump
    # checked cloth
    c1 = hsv([.60, .98, .36][rng.integers(3)], rng.uniform(.18, .28), .86)
    a = np.deg2rad(rng.uniform(-25, 25))
    p, q = X * np.cos(a) + Y * np.sin(a) + rng.uniform(0, 30), -X * np.sin(a) + Y * np.cos(a) + rng.uniform(0, 30)
    chk = (ss(-.06, .06, np.sin(p * np.pi / 15)) + ss(-.06, .06, np.sin(q * np.pi / 15))) / 2
    bg = mix(full(C(.92, .91, .88)), c1, chk) * (1 + .03 * np.sin(p * 2.6) * np.sin(q * 2.6) + .015 * noise(rng, .7))[..., None]
    rough, mid, big = fbm(rng, 1.6, 2), fbm(rng, 9), noise(rng, 40)
    dough = np.clip(hsv(rng.uniform(.088, .108), rng.uniform(.46, .56), rng.uniform(.80, .90)), 0, 1)
    jag = fbm(rng, 7)
    body = sd * k
    rawm = np.zeros_like(u)
    crumbs = None
    if d == 'broken':
        # a bite out of the rim: a rough half plane that cuts off some of it
        t = dr.uniform(0, 2 * np.pi)
        area = dr.uniform(.045, .11)
        inside = body < 0
        nx, ny = np.cos(t), np.sin(t)
        pr = (X - N / 2) * nx + (Y - N / 2) * ny
        cutv = np.quantile(pr[inside], 1 - area)
        cut = pr - cutv + jag * 3.2 + rough * .5
        rawm = cov(-cut - 6, 1.0)
        body = np.maximum(body, cut)
        m = 8
        i = dr.integers(0, 1000, m)
        ed = np.argwhere((np.abs(pr - cutv - 9) < 5) & (sd * k < 2))
        crumbs = np.full((W, W), 99, F)
        if len(ed):
            for j in range(m):
                yy, xx = ed[dr.integers(len(ed))]
                crumbs = np.minimum(crumbs, np.hypot(X - X[yy, xx], Y - Y[yy, xx]) - dr.uniform(.8, 2.2))
    alpha = cov(body)
    h = 7 * (1 - ss(-16, 2, sd) ** 2) + .35 * rough + .7 * mid
    fr = np.maximum(np.abs(u) - 66, np.abs(v) - 45)
    h = h - 1.3 * np.exp(-(fr / 1.3) ** 2)
    holes = np.full((W, W), 99, F)
    for iu in range(-3, 4):
        for iv in (-1.5, -.5, .5, 1.5):
            if abs(iv) < 1 and abs(iu) < 3:
                continue
            holes = np.minimum(holes, np.hypot(u - iu * 18, v - iv * 21) - 2.1)
    word = put_text('BUTTER', 17, u, v)
    h = h - 2.2 * ss(1.2, -1, holes) + 1.5 * word
    brown = ss(-22, 2, sd) * .75 + .10 * mid + .12 * big
    alb = mix(full(dough), C(.62, .36, .15), np.clip(brown, 0, 1) * .75)
    alb = alb * (1 + .045 * rough)[..., None]
    alb = mix(alb, C(.34, .19, .08), cov(holes * k) * .85)
    alb = mix(alb, alb * .86, word * .6)
    if d == 'burnt':
        cx, cy = pick(dr, alpha, 2)
        b = blob(dr, cx, cy, dr.uniform(20, 28), .22, dr.uniform(1, 1.35)) + 2.5 * mid
        a = ss(7, -7, b)
        alb = mix(alb, C(.10, .06, .04) * np.ones(3, F), np.clip(a * (.9 + .06 * rough), 0, .95))
    if d == 'mould':
        cx, cy = pick(dr, alpha, 4)
        fuzz = np.zeros_like(u)
        core = np.zeros_like(u)
        hn = noise(dr, 1.2)
        for _ in range(int(dr.integers(5, 9))):
            r = dr.uniform(6, 12)
            b = blob(dr, cx + dr.normal(0, 13), cy + dr.normal(0, 13), r, .15) + hn * 1.2
            fuzz = np.maximum(fuzz, ss(2, -2.5, b))
            core = np.maximum(core, ss(-2, -6, b))
        alb = mix(alb, C(.86, .90, .84), fuzz * .88)
        alb = mix(alb, mix(full(C(.36, .50, .40)), C(.22, .36, .33), ss(-1, 1, mid)), core * .92)
        h = h + 1.2 * fuzz + .4 * hn * fuzz
    if d == 'crack':
        cx, cy = pick(dr, alpha, 12)
        c = crack(dr, cx, cy, dr.uniform(100, 150), 2.2, 3) + .3 * rough
        alb = mix(alb, C(.95, .84, .62), cov(c - 1.6, .8) * .7)
        alb = mix(alb, C(.20, .10, .04), cov(c))
        h = h - 2.5 * ss(1.5, -1, c)
    col = alb * shade(h, L, .5)[..., None]
    rawc = full(C(.93, .80, .55)) * (.88 + .16 * fbm(np.random.default_rng(5), 2.5, 2))[..., None]
    col = mix(col, rawc * .92, rawm)
    al = alpha
    img = bg * shadow(al, L, 6, 3, .5)[..., None]
    if crumbs is not None:
        cc = cov(crumbs)
        img = mix(img, dough * .85, cc)
    return mix(img, col, alpha)


def battery(rng, d, dr):
    L = light(rng)
    u, v, k = pose(rng, 13, 1.03, 6, 34)
    sg = 1 if rng.random() < .5 else -1
    u, v = u * sg, v * sg
    # light in the battery's own frame (mostly across the axis)
    ly = L[1] * sg
    R = 52.0
    vn = np.clip(v / R, -1, 1)
    zn = np.sqrt(1 - vn * vn)
    s = np.arcsin(vn) * R
    roll = rng.uniform(-14, 14)
    wood = hsv(rng.uniform(.07, .10), rng.uniform(.30, .42), rng.uniform(.62, .74))
    bg = full(wood) * (1 + .09 * noise(rng, 1.1, 22) + .07 * noise(rng, 4, 12) + .03 * noise(rng, 30))[..., None]
    plank = np.abs((Y + rng.uniform(0, 80)) % 84 - 2)
    bg = bg * (1 - .45 * ss(1.4, .2, plank))[..., None]
    rough, mid = fbm(rng, 2.5, 3), fbm(rng, 10)
    hu, hv = np.abs(u - 0) - (96 - 5), np.abs(v) - (R - 5)
    sd = np.hypot(np.maximum(hu, 0), np.maximum(hv, 0)) + np.minimum(np.maximum(hu, hv), 0) - 5
    nub = np.maximum(np.abs(u + 99) - 8, np.abs(v) - 17)
    al_b, al_n = cov(sd * k), cov(nub * k)
    alpha = np.maximum(al_b, al_n)
    hue = [.075, .36, .58, .98][rng.integers(4)]
    main = hsv(hue + rng.normal(0, .01), rng.uniform(.62, .75), rng.uniform(.62, .75))
    dark = C(.33, .34, .38) * rng.uniform(.9, 1.15)
    alb = mix(full(main), dark, cov(-(u + 40) * k))
    alb = mix(alb, C(.88, .87, .82), cov((np.abs(u + 40) - 2.2) * k))
    alb = mix(alb, C(.88, .87, .82), cov((np.abs(u + 47) - .9) * k))
    alb = mix(alb, main, cov((np.abs(u - 72) - 3) * k))
    wcol = C(.93, .92, .88)
    alb = mix(alb, wcol, put_text('VOLTRA', 21, u - 15, s - roll))
    alb = mix(alb, main * 1.1, put_text('1.5 V  ALKALINE', 7, u - 15, s - roll - 24))
    alb = mix(alb, wcol, put_text('+', 20, u + 69, s - roll))
    steel = cov(-(u - 87) * k) + cov((u + 88) * k)
    metal = np.clip(steel, 0, 1)
    alb = mix(alb, C(.76, .76, .77) * np.ones(3, F), metal)
    gro = np.exp(-((np.abs(u) - 88) / 1.5) ** 2)
    alb = alb * (1 - .5 * gro)[..., None]
    h = np.zeros_like(u)
    extra = np.zeros_like(u)
    if d == 'torn_label':
        cx, cy = pick(dr, cov(sd * k) * cov((np.abs(u) - 84) * k) * cov((np.abs(v) - 42) * k), 6)
        b = blob(dr, cx, cy, dr.uniform(15, 22), .38, dr.uniform(1.1, 1.5), .35) + rough * 1.3
        lab = 1 - metal
        alb = mix(alb, C(.95, .94, .90), cov(b - 4) * lab)
        inn = cov(b)
        st = full(C(.66, .66, .67)) * (1 + .12 * noise(dr, 1, 6) + .05 * mid)[..., None]
        alb = mix(alb, st, inn * lab)
        h = h - 1.3 * ss(1.5, -1.5, b) * lab + .8 * np.exp(-((b - 4) / 1.6) ** 2)
        metal = np.maximum(metal, inn)
    if d == 'leakage':
        side = 1 if dr.random(3)[2] < .5 else -1
        i = np.argmin((u - side * dr.uniform(82, 93)) ** 2 + (v - dr.uniform(-38, 38)) ** 2)
        cx, cy = X.flat[i], Y.flat[i]
        b = blob(dr, cx, cy, dr.uniform(15, 20), .3, 1.1) + 2.2 * mid + 1.5 * rough
        for _ in range(4):
            b = np.minimum(b, blob(dr, cx + dr.normal(0, 16), cy + dr.normal(0, 14), dr.uniform(4, 9), .25) + rough * 1.2)
        a = cov(b, 1.2)
        crust = mix(full(C(.90, .93, .90)), C(.45, .68, .66), ss(-.4, 1.6, mid + .5 * rough))
        crust = mix(crust, C(.55, .45, .28), ss(1., 2.2, -mid))
        extra = a
        h = h + a * (2.5 + 1.3 * rough)
    if d == 'scratch':
        cx, cy = pick(dr, cov(sd * k), 14)
        c = scrapes(dr, cx, cy, dr.uniform(55, 90), int(dr.integers(3, 6)), 1.5, 6.5)
        alb = mix(alb, C(.85, .84, .83), cov(c))
        alb = mix(alb, alb * .4, cov(np.abs(c - 1.2) - .6) * .7)
        h = h - .8 * ss(1, -1, c)
    dent = None
    if d == 'dent':
        cx, cy = pick(dr, cov(sd * k), 14)
        b = blob(dr, cx, cy, dr.uniform(18, 24), .12, dr.uniform(1., 1.4))
        dent = b
        h = h - 17 * ss(3, -15, b) + 1.6 * np.exp(-((b - 2) / 2.5) ** 2)
        crease = stroke(walk(dr, cx - 10, cy, dr.uniform(-.8, .8), 26, 1.2, .6))
        h = h - 2.5 * ss(3, -1, crease)
        alb = alb * (1 - .35 * ss(4, -10, b))[..., None]
    # normals: cylinder + relief (relief in picture frame)
    gy, gx = np.gradient(h)
    gx, gy = gx * S, gy * S
    a = np.arctan2(*(np.array([u[-1, 0] - u[0, 0], u[0, -1] - u[0, 0]])))
    ny_, nx_ = np.cos(a) * vn, -np.sin(a) * vn            # cylinder normal in picture frame
    nx, ny, nz = nx_ - gx * zn, ny_ - gy * zn, np.maximum(zn, .05)
    inv = 1 / np.sqrt(nx * nx + ny * ny + nz * nz)
    df = np.clip((nx * L[0] + ny * L[1] + nz * L[2]) * inv, 0, 1)
    H = (L + C(0, 0, 1)) / np.linalg.norm(L + C(0, 0, 1))
    sp = np.clip((nx * H[0] + ny * H[1] + nz * H[2]) * inv, 0, 1)
    col = alb * (.34 + .72 * df + metal * (.25 * sp ** 8 - .12))[..., None]
    col = col + ((.28 + .2 * metal) * sp ** 40)[..., None] * (1 - extra)[..., None]
    if d == 'leakage':
        col = mix(col, crust * (.5 + .55 * df)[..., None], extra)
    ncol = full(C(.78, .78, .79)) * (.3 + .8 * np.clip(np.sqrt(np.clip(1 - (v / 17) ** 2, 0, 1)) * L[2] + v / 17 * ly, 0, 1))[..., None]
    al_full = alpha
    img = bg * shadow(al_full, L, 9, 5, .5)[..., None]
    img = mix(img, ncol, al_n)
    img = mix(img, col, al_b)
    if d == 'leakage':
        out = extra * (1 - alpha)
        img = mix(img, crust * .85, out * .95)
    return img


def blister_pack(rng, d, dr):
    L = light(rng)
    u, v, k = pose(rng, 9, 1.06, 6)
    hu, hv = np.abs(u) - (100 - 9), np.abs(v) - (80 - 9)
    sd = np.hypot(np.maximum(hu, 0), np.maximum(hv, 0)) + np.minimum(np.maximum(hu, hv), 0) - 9
    bg = full(hsv(rng.uniform(.5, .62), rng.uniform(.25, .4), rng.uniform(.40, .52)))
    bg *= (1 + .02 * noise(rng, .8) + .04 * noise(rng, 25) + .025 * noise(rng, 2, 5))[..., None]
    rough, mid, big = fbm(rng, 1.6, 2), fbm(rng, 8), noise(rng, 28)
    rng.integers(4)
    pill = hsv([.02, .14, .42, .90][rng.integers(4)] + rng.normal(0, .01), rng.uniform(.42, .55), rng.uniform(.86, .95))
    PU, PV = 38.0, 48.0
    iu = np.clip(np.round(u / PU), -2, 2)
    iv = np.clip(np.round(v / PV), -1, 1)
    cell = ((iu + 2) * 3 + iv + 1).astype(int)
    du, dv = u - iu * PU, v - iv * PV
    jit = rng.normal(0, .8, (15, 2))
    scr = rng.uniform(0, np.pi, 15)
    gone, odd, brk = np.zeros(15, bool), np.zeros(15, bool), np.zeros(15, bool)
    if d in ('missing_pill', 'wrong_colour', 'broken_pill'):
        sel = dr.choice(15, int(dr.integers(1, 3)), replace=False)
        {'missing_pill': gone, 'wrong_colour': odd, 'broken_pill': brk}[d][sel] = True
    alpha = cov(sd * k)
    r = np.hypot(du, dv)
    dome = r - 17.5
    # foil, embossed
    emb = .22 * (np.sin((u + v) * 1.05) * np.sin((u - v) * 1.05))
    flat = ss(-.5, 1.5, dome)
    h = emb * flat + .5 * big * 1.5
    h = h + 5 * np.sqrt(np.clip(1 - (r / 18.5) ** 4, 0, 1)) * .6
    perf = np.abs((u + PU / 2) % PU - 0)
    perf = np.minimum(perf, PU - perf)
    inner = (np.abs(u) < 90)
    dash = ss(-.2, .2, np.sin(v * 1.3))
    foil = full(C(.74, .75, .77)) * (1 + .05 * big + .03 * mid)[..., None]
    foil = mix(foil, C(.42, .43, .46), ss(.9, .3, perf) * dash * inner * flat * .8)
    edge = np.abs(sd + 5)
    h = h - .8 * np.exp(-(edge / .8) ** 2)
    f = shade(h, L, .3)
    col = foil * f[..., None]
    col = col * (1 - .28 * np.exp(-((r - 17.5) / 1.6) ** 2))[..., None]
    # tablets
    pu, pv = du - jit[cell, 0], dv - jit[cell, 1]
    th = scr[cell]
    a, b = pu * np.cos(th) + pv * np.sin(th), -pu * np.sin(th) + pv * np.cos(th)
    pc = full(pill)
    if odd.any():
        o = hsv(*[(.08, .65, .34), (.72, .35, .42), (.3, .45, .38)][dr.integers(3)])
        pc = mix(pc, full(o) * (1 + .22 * mid)[..., None], odd[cell].astype(F))
    b0 = b
    gap = np.full((W, W), 99, F)
    if brk.any():
        side = np.sign(a)
        aa = a - side * dr.uniform(2.4, 3.4)
        bb = b + side * dr.uniform(2, 4)
        m = brk[cell]
        gap = np.where(m, np.where(side > 0, -aa, aa) + 1.5 * mid + .5 * rough + dr.uniform(-.5, 1), -9)
        a, b = np.where(m, aa, a), np.where(m, bb, b)
    pr = np.hypot(a, b)
    psd = pr - 14
    if brk.any():
        psd = np.where(brk[cell], np.maximum(np.maximum(psd, gap), r - 17), psd)
    pm = cov(psd * k) * (~gone[cell])
    ph = 4 * np.sqrt(np.clip(1 - (pr / 14.3) ** 4, 0, 1)) - 1.2 * np.exp(-(b / 1.0) ** 2) * cov(pr - 12)
    pcol = pc * (1 + .025 * rough)[..., None] * np.clip(shade(ph, L, .5), 0, 1.4)[..., None]
    if brk.any():
        face = brk[cell] * cov(-(gap + 3.5), .8)
        pcol = mix(pcol, np.clip(pc * .5 + .5, 0, 1) * (.95 + .08 * rough)[..., None], face)
        dust = brk[cell] * ss(1.1, 1.8, rough) * cov(r - 15.5, 1.5) * .9
        col = mix(col * (1 - .35 * brk[cell] * cov(r - 16.5))[..., None], pill * .95, dust)
    sh = ndi.shift(pm, (-L[1] * 3 * S, -L[0] * 3 * S), order=1)
    col = col * (1 - .4 * ndi.gaussian_filter(sh, 1.2 * S) * cov(r - 18))[..., None]
    if gone.any():
        g = gone[cell] * cov(dome + 1)
        dark = full(C(.36, .36, .39)) * (1 + .25 * mid + .5 * (du * L[0] + dv * L[1]) / -18)[..., None]
        col = mix(col, dark, g * .8)
    col = mix(col, pcol, pm)
    # clear dome: glint on the lit side, rim light on the far one
    q = (du * L[0] + dv * L[1]) / np.hypot(L[0], L[1])
    w = (-du * L[1] + dv * L[0]) / np.hypot(L[0], L[1])
    gl = np.exp(-((r - 12.5) / 1.5) ** 2) * ss(.75, .93, q / np.maximum(r, 1))
    gl2 = np.exp(-((r - 16) / 1.0) ** 2) * ss(-.5, -.9, q / np.maximum(r, 1)) * .5
    col = col + (.55 * gl + .4 * gl2)[..., None]
    if d == 'torn_foil':
        cx, cy = pick(dr, alpha, 2)
        tb = blob(dr, cx, cy, dr.uniform(14, 20), .45, dr.uniform(1.15, 1.6), .3) + rough * .8
        curl = cov(np.abs(tb - 2.2) - 2.2, .8)
        lit = .62 + .4 * ss(-1, 1, noise(dr, 3))
        col = mix(col, full(C(.95, .95, .96)) * lit[..., None], curl)
        hole = cov(tb)
        alpha_t = alpha * (1 - hole)
    else:
        alpha_t = alpha
        hole = None
    img = bg * shadow(alpha_t, L, 5, 2.5, .55)[..., None]
    if hole is not None:
        img = img * (1 - .45 * hole * alpha)[..., None]
    return mix(img, col, alpha_t)


# ----------------------------------------------------------------- surfaces
def brick_wall(rng, d, dr):
    L = light(rng)
    u, v, k = pose(rng, 2, rng.uniform(.9, 1.12), 60)
    BW, BH, M = 60.0, 27.0, 2.3
    rough, fine, mid, big = fbm(rng, 3), noise(rng, .7), fbm(rng, 12), noise(rng, 60)
    u, v = u + mid * .5, v + rough * .25
    row = np.floor(v / BH).astype(int)
    uu = u + (row % 2) * BW / 2
    colm = np.floor(uu / BW).astype(int)
    tab = rng.normal(0, 1, (40, 40, 4))
    t = tab[row % 40, colm % 40]
    bu, bv = np.abs((uu % BW) - BW / 2), np.abs((v % BH) - BH / 2)
    hu, hv = bu - (BW / 2 - M - 3), bv - (BH / 2 - M - 3)
    sd = np.hypot(np.maximum(hu, 0), np.maximum(hv, 0)) + np.minimum(np.maximum(hu, hv), 0) - 3 + .4 * rough
    base = hsv(rng.uniform(.015, .05), rng.uniform(.50, .60), rng.uniform(.55, .65))
    alb = base * (1 + .16 * np.clip(t[..., :1], -2.2, 2.2) + C(.02, .05, .05) * t[..., 1:2] + (.05 * rough + .05 * fine + .04 * mid)[..., None])
    alb = mix(alb, alb * .55, ss(.9, 1.6, fbm(rng, 2.0, 2)) * .5)
    mort = hsv(.10, rng.uniform(.06, .14), rng.uniform(.62, .74)) * (1 + .07 * fine + .05 * rough)[..., None]
    br = cov(sd * k)
    alb = mix(mort, alb, br)
    h = 2.0 * ss(1.2, -2.5, sd) + .28 * rough + .22 * fine + .5 * t[..., 2] * .3 * br
    one = np.ones_like(u)
    dark = one
    if d == 'crack':
        cx, cy = dr.uniform(35, 205, 2)
        c = crack(dr, cx, cy, dr.uniform(130, 190), 2.6, 4) + .5 * rough
        alb = mix(alb, C(.07, .05, .045), cov(c))
        h = h - 2.5 * ss(1.5, -1, c)
    if d == 'hole':
        cx, cy = dr.uniform(25, 215, 2)
        b = blob(dr, cx, cy, dr.uniform(19, 27), .30, dr.uniform(1, 1.35), .45) + 1.6 * rough + .6 * fine
        ins = cov(b)
        alb = mix(alb, base * .55 * (1 + .2 * rough + .15 * fine)[..., None], ins)
        h = h * (1 - ins) + ins * rough * .9 - 9 * ss(1, -11, b)
        lit = ndi.shift(ins, (-L[1] * 9 * S, -L[0] * 9 * S), order=1)
        dark = 1 - ins * (.25 + .5 * (1 - ndi.gaussian_filter(lit, 2 * S)))
    if d == 'paint_splash':
        cx, cy = dr.uniform(25, 215, 2)
        b = blob(dr, cx, cy, dr.uniform(15, 22), .33, dr.uniform(1, 1.3), .4)
        for _ in range(9):
            q, a = dr.uniform(22, 42), dr.uniform(0, 7)
            b = np.minimum(b, np.hypot(X - cx - q * np.cos(a), Y - cy - q * np.sin(a)) - dr.uniform(1.2, 4))
        drips = []
        for _ in range(3):
            drips += walk(dr, cx + dr.uniform(-13, 13), cy, np.pi / 2, dr.uniform(28, 55), 2.4, 1.9, .04)
        b = np.minimum(b, stroke(drips)) + .35 * rough
        pc = [C(.93, .93, .90), C(.12, .35, .72), C(.95, .78, .12), C(.13, .13, .14), C(.15, .62, .45)][dr.integers(5)]
        a = cov(b, .8)
        alb = mix(alb, pc, a * .93)
        h = h * (1 - .45 * a) + 1.1 * a
    if d == 'moss':
        cx, cy = dr.uniform(25, 215, 2)
        b = blob(dr, cx, cy, dr.uniform(22, 30), .3, dr.uniform(1, 1.5)) + 5 * mid + 3 * rough + 2 * ss(-2, 1, -sd)
        a = cov(b, 2)
        fz = noise(dr, 1.1)
        mc = mix(full(C(.22, .34, .10)), C(.46, .56, .18), ss(-1.4, 1.6, fz + .5 * rough))
        alb = mix(alb, mc, a * .95)
        h = h + a * (1.6 + .6 * fz)
    f = shade(h, L, .5)
    return np.clip(alb, 0, 1) * (f * dark * (1 + .05 * big))[..., None]


def denim_fabric(rng, d, dr):
    L = light(rng)
    u, v, k = pose(rng, 6, rng.uniform(.95, 1.12), 0)
    big, mid = noise(rng, 45), noise(rng, 10)
    warp = noise(rng, 18) * .8
    streak = noise(rng, 26, .06)                     # vertical yarn streaks
    fine, slub = noise(rng, .6), noise(rng, 1.2, .5)
    P = 5.2
    ph = (u + warp) * .85 + v * .62
    tw = np.sin(2 * np.pi * ph / P)
    yarn = np.sin(2 * np.pi * (u + warp) / 2.6)
    base = hsv(rng.uniform(.59, .63), rng.uniform(.52, .66), rng.uniform(.42, .56))
    seam = rng.uniform(45, 195)
    vert = rng.random() < .5
    q = ((u + N / 2) if vert else (v + N / 2)) - seam + .4 * mid
    along = v if vert else u
    t = np.clip(.34 + .26 * tw + .10 * yarn + .16 * fine + .08 * streak + .07 * slub + .09 * big, 0, 1)
    alb = mix(full(base * .72), np.clip(base * 1.25 + .16, 0, 1), t)
    h = .45 * tw + .15 * yarn + .6 * mid + .25 * fine
    # a lapped seam with two rows of stitches
    h = h + 3.0 * ss(-1.5, 1.5, q) * ss(34, 14, q)
    alb = mix(alb, np.clip(alb * 1.12 + .06, 0, 1), np.exp(-((q - 2) / 2.5) ** 2) * .8)
    alb = alb * (1 - .30 * np.exp(-((q + 1.8) / 1.5) ** 2))[..., None]
    thread = hsv(rng.uniform(.07, .10), .68, .78)
    for c in (5.5, 13):
        sdt = np.maximum(np.abs(q - c) - 1.1, np.abs((along + c * 3) % 9 - 4.5) - 3.3)
        a = cov(sdt * k)
        alb = mix(alb, thread * (1 + .15 * fine)[..., None], a)
        h = h + 1.1 * ss(.6, -1, sdt) - .7 * np.exp(-((q - c) / 2.5) ** 2)
    dark = np.ones_like(u)
    # worn, washed-out zones
    wear = ss(.5, 2.2, noise(rng, 30)) * ss(-1.5, 1.5, tw + .6 * fine + .4 * streak)
    alb = mix(alb, np.clip(alb * 1.05 + .22, 0, 1), wear * rng.uniform(.3, .8))
    cx, cy = dr.uniform(26, 214, 2)
    img_extra = None
    if d == 'hole':
        b = blob(dr, cx, cy, dr.uniform(17, 24), .25, dr.uniform(1.1, 1.5), .4) + 1.2 * noise(dr, 1.5, .5)
        fr = noise(dr, 1.0, 7)
        ins = cov(b)
        under = full(C(.12, .10, .11))
        keep = ss(.1, .7, np.sin(2 * np.pi * (v + .6 * noise(dr, 8)) / 4.2)) * ss(-13, -1, b + 4 * fr)
        pale = full(C(.80, .83, .88)) * (.8 + .15 * fine)[..., None]
        hm = mix(under, pale, np.clip(keep, 0, 1))
        alb = mix(alb, np.clip(alb + .22, 0, 1), ss(6, 0, b) * (.5 + .4 * ss(-1, 1, fr)))
        alb = mix(alb, hm, ins)
        h = h * (1 - ins) - 2.5 * ss(1, -3, b) + keep * ins
    if d == 'bleach_spot':
        b = blob(dr, cx, cy, dr.uniform(19, 28), .28, dr.uniform(1, 1.4))
        for _ in range(5):
            q2, a2 = dr.uniform(24, 40), dr.uniform(0, 7)
            b = np.minimum(b, blob(dr, cx + q2 * np.cos(a2), cy + q2 * np.sin(a2), dr.uniform(2, 5.5), .15))
        a = ss(3, -4, b + .8 * fine)
        lum = alb.mean(-1, keepdims=True)
        alb = mix(alb, np.clip(lum * .8 + C(.46, .44, .40), 0, 1), a * .85)
    if d == 'oil_stain':
        b = blob(dr, cx, cy, dr.uniform(22, 30), .25, dr.uniform(1, 1.4)) + 1.5 * mid
        a = ss(4, -4, b)
        alb = mix(alb, alb * C(.50, .42, .30) + C(.02, .015, .0), a * .95)
    if d == 'pulled_thread':
        head = dr.uniform(0, 2 * np.pi)
        n = 46
        tt = np.linspace(0, 1, n)
        kx = np.cumsum(np.cos(head + 2.1 * np.sin(tt * dr.uniform(7, 13) + dr.uniform(0, 6)))) * 4.2
        ky = np.cumsum(np.sin(head + 2.1 * np.sin(tt * dr.uniform(7, 13) + dr.uniform(0, 6)))) * 4.2
        kx, ky = kx - kx.mean() + cx, ky - ky.mean() + cy
        segs = [(kx[i], ky[i], kx[i + 1], ky[i + 1], 1.7, 1.7) for i in range(n - 1)]
        c = stroke(segs)
        lit = ndi.shift(cov(c, .8), (-L[1] * 4 * S, -L[0] * 4 * S), order=1)
        dark = 1 - .5 * ndi.gaussian_filter(lit, .8 * S)
        a = cov(c)
        img_extra = (a, full(C(.93, .92, .88)) * (.70 + .32 * np.sqrt(np.clip(-c / 1.7, 0, 1)) + .05 * fine)[..., None])
    col = alb * (shade(h, L, .5) * dark * (1 + .05 * big))[..., None]
    if img_extra is not None:
        col = mix(col, img_extra[1], img_extra[0])
    return col


def terrazzo_floor(rng, d, dr):
    L = light(rng)
    big, mid, rough, fine = noise(rng, 55), fbm(rng, 10), fbm(rng, 3, 3), noise(rng, .6)
    grey = hsv(rng.uniform(.05, .14), rng.uniform(.03, .10), rng.uniform(.74, .84))
    alb = full(grey) * (1 + .02 * mid + .02 * fine)[..., None]
    pal = np.stack([C(.93, .92, .89), C(.55, .52, .50), C(.30, .30, .32), C(.72, .56, .40), C(.74, .50, .45), C(.47, .55, .50)])
    pal = np.clip(pal * (1 + rng.normal(0, .04, pal.shape)), 0, 1).astype(F)
    xy = np.stack([X + .8 * rough, Y + .8 * np.roll(rough, 77, 0)], -1).reshape(-1, 2)
    for sp, keep, lo in ((4.2, .35, .9), (13.0, .62, 1.6)):
        g = np.arange(-2 * sp, N + 2 * sp, sp)
        pts = np.stack(np.meshgrid(g, g), -1).reshape(-1, 2)
        pts = pts + rng.uniform(-.5, .5, pts.shape) * sp + rng.uniform(0, sp, 2)
        on = rng.random(len(pts)) < keep
        colr = pal[rng.choice(6, len(pts), p=[.30, .22, .12, .14, .12, .10])] * (1 + rng.normal(0, .05, (len(pts), 1)))
        thr = rng.uniform(lo, lo * 3.2, len(pts))
        dd, ii = cKDTree(pts).query(xy, k=2)
        i = ii[:, 0].reshape(W, W)
        edge = (dd[:, 1] - dd[:, 0]).reshape(W, W)
        a = cov((thr[i] - edge) * .5) * on[i]
        alb = mix(alb, colr[i] * (1 + .04 * rough)[..., None], a)
    alb = alb.astype(F)
    h = np.zeros_like(X)
    gloss = np.ones_like(X)
    dark = np.ones_like(X)
    cx, cy = dr.uniform(26, 214, 2)
    if d == 'crack':
        c = crack(dr, cx, cy, dr.uniform(130, 190), 2.3, 4) + .3 * rough
        alb = mix(alb, C(.10, .09, .08), cov(c))
        h = h - 1.5 * ss(1.5, -1, c)
    if d == 'hole':
        b = blob(dr, cx, cy, dr.uniform(17, 24), .30, dr.uniform(1, 1.35), .45) + rough * 1.2
        ins = cov(b)
        alb = mix(alb, C(.50, .46, .41) * (1 + .16 * rough + .10 * fine)[..., None], ins)
        h = -8 * ss(1, -9, b) + ins * (.8 * rough + .4 * mid)
        lit = ndi.shift(ins, (-L[1] * 7 * S, -L[0] * 7 * S), order=1)
        dark = 1 - ins * (.18 + .45 * (1 - ndi.gaussian_filter(lit, 1.5 * S)))
        gloss = 1 - ins
    if d == 'stain':
        b = blob(dr, cx, cy, dr.uniform(24, 32), .22, dr.uniform(1, 1.3))
        for _ in range(4):
            q2, a2 = dr.uniform(32, 46), dr.uniform(0, 7)
            b = np.minimum(b, np.hypot(X - cx - q2 * np.cos(a2), Y - cy - q2 * np.sin(a2)) - dr.uniform(2, 5))
        col = [C(.50, .30, .14), C(.62, .34, .12), C(.34, .20, .28)][dr.integers(3)]
        a = cov(b, 1.2) * np.clip(.70 + .25 * ss(-5, -1, b) + .06 * mid, 0, 1)
        alb = mix(alb, alb * col * 1.15, a)
    if d == 'scratch':
        c = scrapes(dr, cx, cy, dr.uniform(80, 120), int(dr.integers(4, 7)), 1.7, 7.0) + .25 * rough
        alb = mix(alb, C(.99, .98, .96), cov(c))
        alb = mix(alb, C(.22, .20, .19), cov(np.abs(c - 1.2) - .65) * .85)
        gloss = 1 - cov(c - .5)
    f = shade(h, L, .45)
    a = rng.uniform(0, 2 * np.pi)
    gx, gy = N / 2 + 90 * np.cos(a), N / 2 + 90 * np.sin(a)
    refl = np.exp(-((X - gx) ** 2 + (Y - gy) ** 2) / (2 * 70 ** 2)) * rng.uniform(.03, .12) + .02 * big
    return alb * (f * dark)[..., None] * .96 + (refl * gloss)[..., None]


CATS = {
    'coffee_mug': (coffee_mug, ['crack', 'chip', 'broken_handle', 'stain']),
    'metal_gear': (metal_gear, ['missing_tooth', 'rust', 'crack', 'scratch']),
    'biscuit': (biscuit, ['broken', 'burnt', 'mould', 'crack']),
    'battery': (battery, ['torn_label', 'leakage', 'scratch', 'dent']),
    'blister_pack': (blister_pack, ['missing_pill', 'broken_pill', 'wrong_colour', 'torn_foil']),
    'brick_wall': (brick_wall, ['crack', 'hole', 'paint_splash', 'moss']),
    'denim_fabric': (denim_fabric, ['hole', 'bleach_spot', 'oil_stain', 'pulled_thread']),
    'terrazzo_floor': (terrazzo_floor, ['crack', 'hole', 'stain', 'scratch']),
}


# ------------------------------------------------------------------- making
def render(fn, key, d=None, dkey=(0,)):
    img = fn(np.random.default_rng(key + [1]), d, np.random.default_rng(list(dkey)))
    return finish(img.astype(F), np.random.default_rng(key + [2]))


def sensor(img, key):
    rng = np.random.default_rng(key + [3])
    s = rng.uniform(.006, .018)
    n = rng.normal(0, 1, img.shape) * s * (.6 + .7 * np.sqrt(np.clip(img, 0, 1)))
    return (np.clip(img + n, 0, 1) * 255 + .5).astype(np.uint8)


THIN = ('crack', 'scratch', 'pulled_thread')


def changed(a, b, kind):
    diff = np.abs(a - b).max(-1)
    m = diff > 14 / 255
    m = ndi.binary_closing(np.pad(m, 9), np.ones((3, 3)), iterations=1 if kind in THIN else 4 if kind == 'dent' else 2)[9:-9, 9:-9]
    m = remove_small_holes(m, 300 if kind == 'dent' else 12 if kind in THIN else 60)
    m = remove_small_objects(m, 14)
    return m, diff


def save(path, arr):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(arr).save(path)


def make(cat, seed, out):
    ci = list(CATS).index(cat)
    fn, kinds = CATS[cat]
    root = os.path.join(out, cat)
    shutil.rmtree(root, ignore_errors=True)
    for si, (split, n) in enumerate((('train/good', 4), ('test/good', 16))):
        for i in range(n):
            key = [seed, ci, si, i]
            save(f'{root}/{split}/{i:03d}.png', sensor(render(fn, key), key))
    for di, d in enumerate(kinds):
        for i in range(4):
            key = [seed, ci, 2 + di, i]
            clean = render(fn, key)
            for t in range(25):
                bad = render(fn, key, d, key + [9, t])
                m, diff = changed(clean, bad, d)
                share, strength = m.mean(), diff[m].mean() if m.any() else 0
                if .008 < share < .085 and strength > .13:
                    break
            else:
                print(f'  {cat}/{d}/{i}: kept share {share:.3f} strength {strength:.2f}')
            print(f'{cat:15s}{d:15s}{i} tries {t + 1} share {100 * share:.1f}% strength {strength:.2f}', flush=True)
            save(f'{root}/test/{d}/{i:03d}.png', sensor(bad, key))
            save(f'{root}/ground_truth/{d}/{i:03d}_mask.png', (m * 255).astype(np.uint8))


# ----------------------------------------------------------------- looking
def sheet(cat, out, dst):
    root, kinds = os.path.join(out, cat), CATS[cat][1]
    T = 200
    im = Image.new('RGB', (8 * T, 5 * (T + 2)), 'white')
    def put(p, r, c):
        im.paste(Image.open(p).convert('RGB').resize((T - 2, T - 2), Image.LANCZOS), (c * T, r * (T + 2)))
    for i in range(8):
        put(f'{root}/test/good/{i:03d}.png', 0, i)
    for r, d in enumerate(kinds):
        for i in range(4):
            put(f'{root}/test/{d}/{i:03d}.png', r + 1, 2 * i)
            put(f'{root}/ground_truth/{d}/{i:03d}_mask.png', r + 1, 2 * i + 1)
    os.makedirs(dst, exist_ok=True)
    im.save(f'{dst}/{cat}.png')


def auroc(pos, neg):
    r = rankdata(np.concatenate([pos, neg]))
    return (r[:len(pos)].sum() - len(pos) * (len(pos) + 1) / 2) / (len(pos) * len(neg))


def check(cat, out):
    root, kinds = os.path.join(out, cat), CATS[cat][1]
    y, x = np.mgrid[0:N, 0:N] - (N - 1) / 2
    centre = -np.hypot(x, y)
    px, img = {k: [[], []] for k in ('centre', 'foreground', 'contrast', 'dark')}, {}
    def maps(p):
        a = np.asarray(Image.open(p), F) / 255
        g = a.mean(-1)
        c = np.sqrt(np.clip(ndi.uniform_filter(g * g, 9) - ndi.uniform_filter(g, 9) ** 2, 0, None))
        edge = np.concatenate([a[:6].reshape(-1, 3), a[-6:].reshape(-1, 3), a[:, :6].reshape(-1, 3), a[:, -6:].reshape(-1, 3)])
        fg = np.sqrt(((ndi.gaussian_filter(a, (3, 3, 0)) - np.median(edge, 0)) ** 2).sum(-1))
        return dict(centre=centre, foreground=fg, contrast=c, dark=-g)
    good = [maps(f'{root}/test/good/{i:03d}.png') for i in range(16)]
    bad = []
    for d in kinds:
        for i in range(4):
            m = maps(f'{root}/test/{d}/{i:03d}.png')
            bad.append(m)
            gt = np.asarray(Image.open(f'{root}/ground_truth/{d}/{i:03d}_mask.png')) > 0
            for k in px:
                px[k][0].append(m[k][gt])
                px[k][1].append(m[k][~gt][::7])
    line = f'{cat:15s} pixel AUROC ' + ' '.join(f'{k} {auroc(np.concatenate(v[0]), np.concatenate(v[1])):.2f}' for k, v in px.items())
    for nm, f in (('max', np.max), ('mean', np.mean)):
        line += f' | image contrast {nm} ' + '%.2f' % auroc([f(b['contrast']) for b in bad], [f(g['contrast']) for g in good])
    print(line, flush=True)


if __name__ == '__main__':
    ap = argparse.ArgumentParser()
    ap.add_argument('--seed', type=int, default=0)
    ap.add_argument('--out', default=os.path.join(HERE, 'data'))
    ap.add_argument('--only', nargs='*', default=list(CATS))
    ap.add_argument('--no-make', action='store_true')
    ap.add_argument('--sheets', action='store_true')
    ap.add_argument('--check', action='store_true')
    o = ap.parse_args()
    for cat in o.only:
        if not o.no_make:
            make(cat, o.seed, o.out)
        if o.sheets:
            sheet(cat, o.out, os.path.join(HERE, 'sheets'))
    if o.check:
        for cat in o.only:
            check(cat, o.out)
