"""Procedural anomaly-detection benchmark: 4 objects + 4 surfaces, MVTec-AD layout. One seed writes all."""
import os, shutil, sys, zlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage as ndi
import matplotlib

SEED = 20240611
P, N = 240, 480                       # picture size, working size (2x supersampled)
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
FONT = os.path.join(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans-Bold.ttf")
ax = (np.arange(N) + 0.5) / 2 - P / 2  # coordinates in picture pixels, -120..120
X, Y = np.meshgrid(ax, ax)
A = lambda *c: np.array(c, float)


# ---------------------------------------------------------------- helpers
def noise(rng, sx, sy=None):
    """smooth unit-variance noise, correlation length in picture pixels"""
    sy = sx if sy is None else sy
    f = max(1, int(min(sx, sy) / 3)); n = N // f + 2
    z = ndi.gaussian_filter(rng.standard_normal((n, n)), (sy * 2 / f, sx * 2 / f), mode="wrap")
    z = ndi.zoom(z, N / n, order=1) if f > 1 else z[:N, :N]
    z = z[:N, :N]
    return (z - z.mean()) / (z.std() + 1e-9)

def fbm(rng, s, octs=4):
    z = sum(noise(rng, s / 2 ** k) * 0.6 ** k for k in range(octs))
    return z / z.std()

def cov(d, w=0.7):                    # coverage of a signed distance (inside < 0)
    return np.clip(0.5 - d / w, 0, 1)

def sstep(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)

def mix(a, b, t):
    t = t[..., None] if np.ndim(t) == 2 else t
    return a * (1 - t) + b * t

def box(x, y, hx, hy, r=0.0):
    qx, qy = np.abs(x) - hx + r, np.abs(y) - hy + r
    return np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - r

def blob(rng, cx, cy, area, elong=1.6, rough=0.18, jag=0.0):
    """signed pseudo-distance of an irregular patch of the given area"""
    e = rng.uniform(1, elong); t = rng.uniform(0, np.pi)
    dx, dy = X - cx, Y - cy
    u, v = (np.cos(t) * dx + np.sin(t) * dy) / np.sqrt(e), (-np.sin(t) * dx + np.cos(t) * dy) * np.sqrt(e)
    th = np.arctan2(v, u); r = np.ones_like(th)
    for k in range(2, 8):
        r += rough * rng.normal() / k ** 0.7 * np.cos(k * th + rng.uniform(0, 6.3))
    r = np.maximum(r, 0.35)
    d = np.hypot(u, v) - np.sqrt(area / np.pi) * r
    return d + (jag * fbm(rng, 5, 3) if jag else 0)

def stroke(pts, widths):
    """coverage of a polyline with per-point widths"""
    im = Image.new("L", (N, N)); dr = ImageDraw.Draw(im)
    q = (np.asarray(pts) + P / 2) * 2
    for a, b, w in zip(q[:-1], q[1:], widths):
        w = max(1.0, 2 * w)
        dr.line([tuple(a), tuple(b)], fill=255, width=int(round(w)))
        r = w / 2
        if r > 1: dr.ellipse([b[0] - r, b[1] - r, b[0] + r, b[1] + r], fill=255)
    return ndi.gaussian_filter(np.asarray(im, float) / 255, 0.7)

def crack_lines(rng, x, y, ang, length, w, jag=0.45, branches=2):
    step = 3.0; n = max(4, int(length / step)); pts = [(x, y)]; a = ang
    for i in range(n):
        a = ang + (a - ang) * 0.75 + rng.normal(0, jag)
        pts.append((pts[-1][0] + step * np.cos(a), pts[-1][1] + step * np.sin(a)))
    ws = w * np.linspace(1.15, 0.55, n) * rng.uniform(0.75, 1.25, n)
    al = stroke(pts, ws)
    for _ in range(branches):
        i = rng.integers(n // 4, max(n // 4 + 1, 3 * n // 4))
        s = rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)
        al = np.maximum(al, crack_lines(rng, *pts[i], ang + s, length * rng.uniform(.2, .4), w * 0.65, jag, 0))
    return al

def crack_in(rng, area, region, w=None, jag=0.45, branches=2, start=None):
    w = w or rng.uniform(2.0, 3.4)
    length = area / w / (1 + 0.2 * branches)
    if length > 150: w *= length / 150; length = 150
    x, y = start if start is not None else pick(rng, region)
    cx, cy = ctr(region)
    ang = np.arctan2(cy - y, cx - x) + rng.normal(0, .35)
    return crack_lines(rng, x, y, ang, length, w, jag, branches)

def scratch_lines(rng, area, region):
    """bundle of nearly parallel, slightly bent thin lines"""
    w = rng.uniform(1.5, 2.3); k = int(np.clip(round(area / (w * 90)), 1, 7))
    length = np.clip(area / (w * k), 35, 150); ang = rng.uniform(0, np.pi); bend = rng.normal(0, .3)
    x, y = pick(rng, region); al = np.zeros((N, N)); nx, ny = -np.sin(ang), np.cos(ang)
    cx, cy = ctr(region); f = 0.35
    x, y = x + (cx - x) * f, y + (cy - y) * f
    for i in range(k):
        L = length * rng.uniform(.75, 1.15); a = ang + rng.normal(0, .06); t = np.linspace(-.5, .5, 24)
        o = (i - (k - 1) / 2) * rng.uniform(4, 7)
        px = x + nx * o + np.cos(a) * L * t + nx * bend * L * (t ** 2 - .08)
        py = y + ny * o + np.sin(a) * L * t + ny * bend * L * (t ** 2 - .08)
        al = np.maximum(al, stroke(np.c_[px, py], w * (0.55 + 0.6 * np.cos(t[:-1] * 2.4))))
    return al

def pick(rng, region):
    ys, xs = np.nonzero(region); i = rng.integers(len(ys))
    return ax[xs[i]], ax[ys[i]]

def ctr(region):
    ys, xs = np.nonzero(region)
    return ax[int(xs.mean())], ax[int(ys.mean())]

def inner(d, m):                      # region of an SDF shrunk by m
    return d < -m

WHOLE = box(X, Y, 78, 78) < 0
WIDE = box(X, Y, 95, 95) < 0

def text_local(lines, size, lx, ly, scale=4):
    """white-on-black text centred on the local frame, sampled at lx, ly"""
    W, H = 200 * scale, 120 * scale
    im = Image.new("L", (W, H)); dr = ImageDraw.Draw(im); f = ImageFont.truetype(FONT, int(size * scale))
    for i, s in enumerate(lines):
        dr.text((W / 2, H / 2 + (i - (len(lines) - 1) / 2) * size * 1.35 * scale), s, fill=255, font=f, anchor="mm")
    z = ndi.gaussian_filter(np.asarray(im, float) / 255, scale / 4)
    return ndi.map_coordinates(z, [ly * scale + H / 2, lx * scale + W / 2], order=1)

class D:                              # a defect request
    def __init__(s, kind=None, area=0, rng=None): s.kind, s.area, s.rng = kind, area, rng

def light(rng):
    az = np.deg2rad(-125 + rng.uniform(-18, 18)); el = np.deg2rad(rng.uniform(50, 60))
    return A(np.cos(az) * np.cos(el), np.sin(az) * np.cos(el), np.sin(el))

def shade(alb, h, L, amb=0.45, spec=0.0, gloss=20):
    gy, gx = np.gradient(ndi.gaussian_filter(h, 0.8), 0.5)
    n = np.stack([-gx, -gy, np.ones_like(gx)], -1); n /= np.linalg.norm(n, axis=-1, keepdims=True)
    dif = np.maximum(n @ L, 0) / L[2]
    Hh = L + A(0, 0, 1); Hh /= np.linalg.norm(Hh)
    s0 = Hh[2] ** gloss
    sp = np.maximum(n @ Hh, 0) ** gloss - s0
    return alb * (amb + (1 - amb) * dif)[..., None] + (spec * sp)[..., None]

def frame(rng, rot=6, shift=5, sc=.04):
    t = np.deg2rad(rng.uniform(-rot, rot)); s = 1 + rng.uniform(-sc, sc); ox, oy = rng.uniform(-shift, shift, 2)
    dx, dy = X - ox, Y - oy
    return (np.cos(t) * dx + np.sin(t) * dy) / s, (-np.sin(t) * dx + np.cos(t) * dy) / s

def unframe(lx, ly, px, py):          # world position of a local point
    i = np.argmin((lx - px) ** 2 + (ly - py) ** 2); return X.flat[i], Y.flat[i]

def put(bg, col, m, L, height=6, dark=.5):
    """object over ground with a soft cast shadow"""
    k = height / L[2]
    sh = ndi.shift(m, (-L[1] * k * 2, -L[0] * k * 2), order=1, mode="nearest")
    sh = np.maximum(ndi.gaussian_filter(sh, 4), 0.6 * ndi.gaussian_filter(m, 4))
    return mix(bg * (1 - dark * sh)[..., None], col, m)

def ground(rng, c, s=.02, grain=.015):
    return A(*c) * (1 + s * fbm(rng, 40, 2) + grain * noise(rng, .7))[..., None]

def spots(rng, x, y, area, n, spread, rough=.16):
    """one main patch and n satellites"""
    w = A(1, *(rng.uniform(.06, .25, n))); w *= area / w.sum(); d = blob(rng, x, y, w[0], 1.7, rough)
    R = np.sqrt(area / np.pi)
    for a in w[1:]:
        t, q = rng.uniform(0, 6.3), R * rng.uniform(1, spread)
        d = np.minimum(d, blob(rng, x + q * np.cos(t), y + q * np.sin(t), a, 1.4, rough))
    return d

def dentf(d, depth, R):
    """smooth bowl of a signed-distance patch with a small raised lip"""
    t = np.clip(-d / R, 0, 1)
    return -depth * (1 - (1 - t) ** 2) + 0.25 * depth * np.exp(-((d - .06 * R) / (.16 * R)) ** 2)


# ---------------------------------------------------------------- objects
def coat_button(rng, d):
    lx, ly = frame(rng, 8, 6); L = light(rng)
    tone = rng.uniform(.92, 1.1); warm = rng.uniform(-.02, .02)
    bg = ground(rng, A(.80, .78, .73) * rng.uniform(.94, 1.04))
    bg = bg * (1 + .02 * np.sin(X * 2.1) * np.sin(Y * 2.1))[..., None]
    sw = fbm(rng, 14, 3); sw2 = noise(rng, 26, 5); rough = .05 * fbm(rng, 2, 2)
    R = 86; r = np.hypot(lx, ly); sd = r - R
    hole = np.stack([np.hypot(lx - sx * 18, ly - sy * 18) - 10.5 for sx in (-1, 1) for sy in (-1, 1)])
    h = 7 * sstep(0, 9, -sd) + 3.5 * np.exp(-((r - .84 * R) / (.07 * R)) ** 2) - 3 * sstep(.72 * R, .35 * R, r) + rough
    alb = mix(A(.30 + warm, .16, .085) * tone, A(.50 + warm, .29, .15) * tone, np.clip(.5 + .22 * sw + .2 * sw2, 0, 1))
    keep = [0, 1, 2, 3]; m = cov(sd); spec, q = .55, d.rng
    if d.kind == "filled_hole":
        k = int(np.clip(round(d.area / 400), 1, 4)); keep = list(q.permutation(4)[k:])
        gone = [i for i in range(4) if i not in keep]
        for i in gone:
            c = cov(hole[i] + .6, 1.5); alb = mix(alb, alb * q.uniform(1.1, 1.3), c); h = h + .7 * sstep(0, 8, -hole[i])
    hd = hole[keep].min(0) if len(keep) else np.full_like(X, 50.)
    h = h - 3 * sstep(5, 0, hd)
    face = inner(sd, 8)
    if d.kind == "chipped_edge":
        t = q.uniform(0, 6.28); ox, oy = unframe(lx, ly, R * np.cos(t), R * np.sin(t))
        b = blob(q, ox, oy, d.area * 2.0, 1.5, .2, .8); m = np.minimum(m, 1 - cov(b))
        e = sstep(5, .5, b); alb = mix(alb, A(.72, .58, .42), .8 * e); h = h - 3.5 * e
    if d.kind == "scratch":
        a = scratch_lines(q, d.area, inner(sd, 18)) * (hd > 0); h = h - 1.0 * a; alb = mix(alb, A(.80, .70, .58), a * q.uniform(.55, .9))
    if d.kind == "paint_splash":
        x, y = pick(q, inner(sd, 22)); b = spots(q, x, y, d.area, 4, 1.9); c = cov(b, 1.2)
        col = [A(.88, .86, .80), A(.25, .48, .72), A(.85, .72, .15)][q.integers(3)]
        alb = mix(alb, col, c * .95); h = h + 1.2 * sstep(0, 4, -b)
    col = shade(alb, h, L, .45, spec, 26)
    hc = cov(hd); col = mix(col, bg * (.42 + .25 * sstep(-9, 2, -(lx * L[0] + ly * L[1]) * 0 + hd))[..., None], hc)
    return put(bg, col, m, L, 8)

def gear_wheel(rng, d):
    lx, ly = frame(rng, 7, 5, .03); L = light(rng); n = 14
    bg = ground(rng, A(.20, .25, .30) * rng.uniform(.9, 1.12), .03, .03)
    tone = rng.uniform(.93, 1.08); r = np.hypot(lx, ly); th = np.arctan2(ly, lx)
    ring = np.interp(r, np.arange(140) * .9, ndi.gaussian_filter(rng.standard_normal(140), .7))
    fine = noise(rng, .8); tone2 = noise(rng, 30); a0 = rng.uniform(-.3, .3)
    ph = (th * n / (2 * np.pi)) ; ti = np.floor(ph + .5).astype(int) % n
    prof = np.clip(.5 + 1.15 * np.cos(th * n), 0, 1); top, root = 103, 80
    q = d.rng; hgt = np.ones(n); brk = np.zeros_like(r)
    if d.kind == "missing_tooth":
        k = int(np.clip(round(d.area / 430), 1, 7)); s = q.integers(n); contiguous = q.random() < .6
        idx = [(s + i) % n for i in range(k)] if contiguous else list(q.permutation(n)[:k])
        for i in idx: hgt[i] = q.uniform(.0, .15)
        bad = np.isin(ti, idx); brk = bad * 1.0
    Rt = root + (top - root) * prof * hgt[ti] + brk * .9 * fbm(np.random.default_rng(5 if q is None else q.integers(1 << 30)), 3, 3) * (prof > .1)
    sd = (r - Rt) * .8
    bore = np.minimum(r - 17, box(lx, ly + 17, 5, 6))
    lh = np.min([np.hypot(lx - 50 * np.cos(t), ly - 50 * np.sin(t)) - 11 for t in np.arange(5) * 2 * np.pi / 5 - np.pi / 2], 0)
    hd = np.minimum(bore, lh)
    rec = sstep(30, 33, r) * sstep(71, 68, r)
    h = 4 * sstep(0, 4, -sd) - 4 * rec - 2 * sstep(3, 0, hd) + .02 * fine
    alb = A(.60, .62, .65) * tone * (1 + .05 * ring + .02 * fine + .03 * tone2 + .13 * np.cos(2 * (th - a0)))[..., None] * (1 - .14 * rec)[..., None]
    m = cov(sd) * (1 - cov(hd)); spec = .45; region = inner(sd, 6) & (hd > 4)
    if d.kind == "missing_tooth":
        e = brk * sstep(4, .5, -sd) * (r > 75) * (prof > .15); alb = mix(alb, A(.36, .35, .34), .8 * e)
    if d.kind == "rust":
        x, y = pick(q, region); b = spots(q, x, y, d.area * 1.2, 5, 1.8, .22) + 1.6 * fbm(q, 6, 4)
        c = cov(b, 3.0); rc = mix(A(.33, .15, .06), A(.62, .31, .11), np.clip(.5 + .3 * fbm(q, 3, 3), 0, 1))
        alb = mix(alb, rc, c * q.uniform(.75, .97)); spec = spec * (1 - c); h = h + .3 * c * noise(q, 1)
    if d.kind == "crack":
        t = q.uniform(0, 6.28); rr = q.choice([20, 78]); st = unframe(lx, ly, rr * np.cos(t), rr * np.sin(t))
        w = q.uniform(1.8, 2.6); ln = d.area / w / 1.3
        ang = np.arctan2(st[1], st[0]) + (q.normal(0, .4) if rr == 20 else q.choice([-1, 1]) * 1.9)
        if ln > 115: w *= ln / 115; ln = 115
        a = crack_lines(q, *st, ang, ln, w, .42, 2); alb = mix(alb, A(.07, .07, .08), a * .92); h = h - 1.5 * a
    if d.kind == "dent":
        x, y = pick(q, region & ((r > 66) | (r < 30))) if d.area < 900 else pick(q, region)
        b = blob(q, x, y, d.area, 1.5, .05); R = np.sqrt(d.area / np.pi); dp = min(R * q.uniform(.4, .55), 8)
        h = h - dp * sstep(0, .85 * R, -b) + .1 * dp * np.exp(-(b / (.15 * R)) ** 2); alb = mix(alb, alb * .8, sstep(.1 * R, -.3 * R, b))
    return put(bg, shade(alb, h, L, .42, spec, 22), m, L, 9, .6)

def butter_biscuit(rng, d):
    lx, ly = frame(rng, 6, 6); L = light(rng)
    bg = ground(rng, A(.50, .62, .68) * rng.uniform(.95, 1.06))
    warp = .7 * fbm(rng, 12, 2); z = fbm(rng, 9, 4); fine = fbm(rng, 2, 2); bake = rng.uniform(.25, .5); tone = rng.uniform(.95, 1.05)
    hx, hy = 96, 66; sd = box(lx, ly, hx, hy, 6) + warp
    side = (np.abs(lx) / hx) ** 8 > (np.abs(ly) / hy) ** 8
    sc = np.where(side, np.cos(2 * np.pi * ly / 15), np.cos(2 * np.pi * lx / 15))
    sd = sd + 2.6 * (1 - sc) / 2 * 1.3
    h = 7 * (1 - np.exp(np.minimum(sd, 0) / 4.5)) + .22 * z + .16 * fine
    gx, gy = (lx + 200) % 24 - 12 + 0, (ly + 200 + 0) % 24 - 12
    cols = np.arange(-3, 4) * 24; pits = np.full_like(lx, 99.)
    for j, py in enumerate((-42, 42)):
        for px in cols: pits = np.minimum(pits, np.hypot(lx - px, ly - py) - 2.6)
    for px in (-84 + 6, 84 - 6):
        for py in (-14, 14): pits = np.minimum(pits, np.hypot(lx - px, ly - py) - 2.6)
    h = h - 2.5 * cov(pits, 2)
    fr = np.abs(box(lx, ly, 68, 27, 5)); tx = text_local(["BUTTER"], 30, lx, ly)
    h = h - 1.4 * cov(fr - 1.2, 1.5) - 1.8 * tx
    e = np.exp(np.minimum(sd, 0) / 9)
    alb = mix(A(.86, .66, .37) * tone, A(.62, .37, .15) * tone, np.clip(bake * e + .12 + .06 * z + .05 * fine + .25 * cov(pits, 2) + .16 * tx, 0, 1))
    m = cov(sd); q = d.rng
    if d.kind == "broken_corner":
        sx, sy = q.choice([-1, 1], 2); ox, oy = unframe(lx, ly, sx * hx * .97, sy * hy * .97)
        b = blob(q, ox, oy, d.area * 3.4, 1.3, .12, .9); m = np.minimum(m, 1 - cov(b))
        k = sstep(5, .5, b); alb = mix(alb, A(.93, .83, .62), .85 * k); h = h - 3 * k + .6 * k * noise(q, 1.2)
    if d.kind == "burnt_spot":
        x, y = pick(q, inner(sd, 8)); b = blob(q, x, y, d.area, 1.8, .2) + 1.6 * fbm(q, 8, 3); R = np.sqrt(d.area / np.pi)
        c = sstep(.05 * R, -.5 * R, b) * q.uniform(.75, .97); alb = mix(alb, A(.16, .085, .04), c)
    if d.kind == "crack":
        s = q.integers(4); u = q.uniform(-.6, .6)
        lp = [(u * hx, -hy), (u * hx, hy), (-hx, u * hy), (hx, u * hy)][s]; st = unframe(lx, ly, *lp)
        a = crack_in(q, d.area, inner(sd, 10), jag=.5, branches=2, start=st); alb = mix(alb, A(.22, .12, .06), a * .9); h = h - 2 * a
    if d.kind == "mould":
        x, y = pick(q, inner(sd, 14)); b = spots(q, x, y, d.area * 1.1, 5, 1.9, .15) + 1.2 * fbm(q, 4, 3); c = cov(b, 5)
        mc = mix(A(.80, .84, .78), A(.27, .42, .33), sstep(0, -.55 * np.sqrt(d.area / np.pi), b) * q.uniform(.75, 1))
        alb = mix(alb, mc, c * .93); h = h + c * (1.0 + .5 * noise(q, 1.0))
    return put(bg, shade(alb, h, L, .5, .06, 12), m, L, 8)

def microchip(rng, d):
    lx, ly = frame(rng, 5, 5); L = light(rng); tone = rng.uniform(.88, 1.12)
    bg = ground(rng, A(.10, .36, .24) * rng.uniform(.92, 1.08), .02, .02)
    fine = noise(rng, .7); mot = noise(rng, 3); hx, hy = 92, 46; ink = rng.uniform(.8, .95); q = d.rng
    pins = [(i * 24, s) for s in (-1, 1) for i in range(-3, 4)]; gone = []
    if d.kind == "missing_pin":
        k = int(np.clip(round(d.area / 420), 1, 9)); s = q.integers(14)
        gone = [(s + i) % 14 for i in range(k)] if q.random() < .6 else list(q.permutation(14)[:k])
    pd = np.min([box(lx - px, ly - s * (hy + 17), 5.8, 19, 1.5) for i, (px, s) in enumerate(pins) if i not in gone], 0)
    ay = np.abs(ly) - hy
    ph = 5 * sstep(16, 8, ay) + 1.5 * sstep(0, 3, -pd)
    sd = box(lx, ly, hx, hy, 3); bm = cov(sd)
    pal = A(.70, .71, .72) * (1 - .25 * sstep(9, 12, ay) * sstep(18, 14, ay) + .03 * mot)[..., None]
    h = 9 * sstep(0, 8, -sd) + .045 * fine + .06 * mot
    notch = np.hypot(lx + hx, ly) - 11; dot = np.hypot(lx + 74, ly - 28) - 5
    h = h - 3.5 * cov(notch, 3) - 1.6 * cov(dot, 2)
    alb = A(.135, .135, .145) * tone * (1 + .08 * fine + .05 * mot)[..., None]
    tlx, tly = lx - 4, ly
    if d.kind == "misplaced_print":
        f = np.clip(d.area / 2500, .2, 1); t = np.deg2rad(q.choice([-1, 1]) * (3 + 22 * f * q.uniform(.6, 1))); ox, oy = q.uniform(-1, 1, 2) * A(18, 9) * (.3 + f)
        u, v = tlx - ox, tly - oy; tlx, tly = np.cos(t) * u + np.sin(t) * v, -np.sin(t) * u + np.cos(t) * v
    tx = text_local(["NX7405P", "K2318 TW"], 16.5, tlx, tly); alb = mix(alb, A(.78, .79, .77), tx * ink)
    spec = .28; region = inner(sd, 8)
    if d.kind == "scratch":
        a = scratch_lines(q, d.area, region) * bm; h = h - .9 * a; alb = mix(alb, A(.62, .62, .62), a * q.uniform(.75, 1))
    m = np.maximum(cov(pd), bm)
    if d.kind == "solder_splash":
        x, y = pick(q, box(lx, ly, hx - 8, hy + 16) < 0); b = spots(q, x, y, d.area, 4, 1.9, .13); c = cov(b, 1)
        R = np.sqrt(d.area / np.pi); e = ndi.distance_transform_edt(b < 0) / 2; e = ndi.gaussian_filter(e, 2.2); bump = np.minimum(7, R * .6) * 1.25 * ndi.gaussian_filter(np.sqrt(1 - (1 - np.clip(e / (R * .8), 0, 1)) ** 2), 2)
    body = shade(alb, h, L, .5, spec, 14); pc = shade(pal, ph, L, .45, .5, 18)
    col = mix(pc, body, bm)
    if d.kind == "solder_splash":
        sc = shade(A(.68, .69, .71) * np.ones((N, N, 3)), bump, L, .35, .9, 30); col = mix(col, sc, c); m = np.maximum(m, c)
    sh = put(bg, col, m, L, 6, .5)
    return sh


# ---------------------------------------------------------------- surfaces
def brick_wall(rng, d):
    lx, ly = frame(rng, 2.5, 0, .05); L = light(rng); ox, oy = rng.uniform(0, 70), rng.uniform(0, 60)
    lx = lx + ox + .8 * fbm(rng, 8, 3); ly = ly + oy + .7 * fbm(rng, 8, 3)
    bw, bh, g = 70, 30, 3.0; row = np.floor(ly / bh).astype(int); sx = lx + (row % 2) * bw / 2; colm = np.floor(sx / bw).astype(int)
    fx, fy = sx - (colm + .5) * bw, ly - (row + .5) * bh
    sd = box(fx, fy, bw / 2 - g, bh / 2 - g, 2.5); c = cov(sd, 1.4)
    tab = rng.normal(0, 1, (40, 40, 2)); tv = tab[row % 40, colm % 40]
    z = fbm(rng, 6, 4); fine = noise(rng, .9); z2 = fbm(rng, 2.5, 2); tone = rng.uniform(.93, 1.07)
    br = mix(A(.56, .25, .17), A(.43, .19, .15), np.clip(.5 + .3 * tv[..., 0], 0, 1)) * (1 + .07 * tv[..., 1] + .07 * z + .05 * fine)[..., None]
    mo = A(.66, .63, .57) * (1 + .05 * z + .06 * fine)[..., None]
    alb = mix(mo, br, c) * tone; h = 3 * sstep(1, -3, sd) + .35 * z + .3 * z2 + .2 * fine; q = d.rng
    if d.kind == "hole":
        x, y = pick(q, WHOLE); b = blob(q, x, y, d.area, 1.6, .2, 1.3); k = cov(b, 1.5); R = np.sqrt(d.area / np.pi)
        alb = mix(alb, A(.17, .12, .10) * (1 + .3 * fbm(q, 4, 3))[..., None], k * .9); h = mix(h[..., None], (-.5 * np.minimum(-b, 8) + 1.2 * fbm(q, 3, 3))[..., None], k)[..., 0]
    if d.kind == "graffiti":
        x, y = pick(q, box(X, Y, 55, 55) < 0); w = np.sqrt(d.area / q.uniform(7, 12)); ln = d.area / w; t = np.linspace(0, 1, 40)
        a0, cu, fr = q.uniform(0, 6.28), q.uniform(2, 4) * q.choice([-1, 1]), q.uniform(4, 8)
        an = a0 + cu * t + 1.2 * np.sin(fr * t); px, py = np.cumsum(np.cos(an)) * ln / 40, np.cumsum(np.sin(an)) * ln / 40
        a = ndi.gaussian_filter(stroke(np.c_[px - px.mean() + x, py - py.mean() + y], np.full(39, w)), 2)
        pc = [A(.15, .55, .80), A(.85, .85, .20), A(.20, .65, .30), A(.93, .93, .93), A(.85, .35, .65)][q.integers(5)]
        a = np.clip(a * 1.15 + .12 * noise(q, .8) * (a > .05) * (a < .9), 0, 1); alb = mix(alb, pc, a * q.uniform(.82, .96))
    if d.kind == "crack":
        a = crack_in(q, d.area, WIDE, jag=.6, branches=2); alb = mix(alb, A(.08, .06, .055), a * .92); h = h - 2 * a
    if d.kind == "salt_stain":
        x, y = pick(q, WHOLE); b = blob(q, x, y, d.area, 1.9, .2) + 2.5 * fbm(q, 7, 4)
        k = sstep(1.5, -7, b) * np.clip(.85 + .15 * fbm(q, 2, 2), 0, 1) * q.uniform(.8, .97); alb = mix(alb, A(.88, .87, .84), k)
    return shade(alb, h, L, .5)

def denim_fabric(rng, d):
    lx, ly = frame(rng, 4, 0, .05); L = light(rng); lx = lx + rng.uniform(0, 20) + .5 * noise(rng, 12); ly = ly + rng.uniform(0, 20) + .5 * noise(rng, 12)
    p = 4.6; u, v = lx / p, ly / p
    col = rng.normal(0, 1, 400); yarn = np.interp(u * 2.0 + 100, np.arange(400), ndi.gaussian_filter1d(col, .5))
    tw = np.sin(2 * np.pi * (u + .62 * v) / 1.35 + .5 * noise(rng, 4)); bump = np.abs(np.sin(np.pi * u * 2)) ; slub = noise(rng, .9, 9); fine = noise(rng, .7)
    weft = sstep(-.15, -.85, tw) * (.65 + .35 * np.cos(2 * np.pi * v * 1.3))
    tone = rng.uniform(.93, 1.08); fade = noise(rng, 35)
    blue = A(.15, .235, .40) * (1 + .16 * yarn + .10 * slub + .07 * fade + .08 * fine)[..., None]
    alb = mix(blue, A(.60, .66, .73), np.clip(.62 * weft + .05 * fine, 0, 1)) * tone; h = .8 * tw + .35 * bump + .1 * fine; q = d.rng
    if d.kind == "hole":
        x, y = pick(q, WHOLE); b = blob(q, x, y, d.area, 2.2, .15, .8); R = np.sqrt(d.area / np.pi); k = cov(b, 1)
        under = A(.05, .05, .06) * np.ones((N, N, 3)); n = 6; thr = np.abs(((ly / (p * .8)) % 1) - .5) + .12 * noise(q, 8, 1.5)
        pres = sstep(-.5, .9, noise(q, 14, 1.2) + 1.6 * (b / R + .55)); t = sstep(.30, .16, thr) * pres
        alb = mix(alb, mix(under, A(.80, .82, .84), t * .9), k); e = np.exp(-(np.maximum(b, 0) / 2.2)) * (1 - k) * (b < 6)
        alb = mix(alb, A(.82, .85, .88), e * np.clip(.7 + .3 * noise(q, 1), 0, 1)); h = h * (1 - k) - 2 * k + 1.2 * t * k
    if d.kind == "bleach_stain":
        x, y = pick(q, WHOLE); b = spots(q, x, y, d.area * 1.05, 3, 1.8) + 1.2 * fbm(q, 6, 3); k = cov(b, 6) * q.uniform(.5, .8); alb = mix(alb, A(.85, .86, .84), k)
    if d.kind == "oil_stain":
        x, y = pick(q, WHOLE); b = spots(q, x, y, d.area, 3, 1.7, .13); k = cov(b, 5) * q.uniform(.7, .92); alb = mix(alb, A(.055, .05, .045), k)
    if d.kind == "loose_thread":
        w = q.uniform(2.2, 3.2); ln = d.area / w / 1.6; w *= max(1, ln / 330); ln = min(ln, 330); t = np.linspace(0, 1, 80); x, y = pick(q, box(X, Y, 40, 40) < 0)
        an = q.uniform(0, 6.28) + q.uniform(1, 5) * q.choice([-1, 1]) * t + q.uniform(.6, 1.4) * np.sin(q.uniform(5, 11) * t)
        px, py = np.cumsum(np.cos(an)) * ln / 80, np.cumsum(np.sin(an)) * ln / 80; pts = np.c_[px - px.mean() + x, py - py.mean() + y]
        a = stroke(pts, np.full(79, w)); s = stroke(pts + A(1.4, 2.0), np.full(79, w)); tc = [A(.86, .52, .18), A(.85, .84, .78), A(.72, .16, .16)][q.integers(3)]
        alb = alb * (1 - .5 * s)[..., None]; alb = mix(alb, tc * (1 + .12 * np.sin((X + Y) * 2.2))[..., None], a); h = h * (1 - a) + 2.0 * a
    return shade(alb, h, L, .55)

def oak_floor(rng, d):
    lx, ly = frame(rng, 2.5, 0, .05); L = light(rng); lx = lx + rng.uniform(0, 200) + 300; ly = ly + rng.uniform(0, 56) + 300
    bh, bw = 56, 210; row = np.floor(ly / bh).astype(int); off = rng.uniform(0, bw, 60); sx = lx + off[row % 60]; c = np.floor(sx / bw).astype(int)
    fx, fy = sx - (c + .5) * bw, ly - (row + .5) * bh; sd = box(fx, fy, bw / 2, bh / 2); tab = rng.normal(0, 1, (60, 60, 4)); tv = tab[row % 60, c % 60]
    warp = noise(rng, 45, 8); f1 = noise(rng, 22, .8); f2 = noise(rng, 7, .5); fl = noise(rng, 60, 4)
    rings = np.sin(2 * np.pi * (fy / (9 + 2 * tv[..., 2]) + .55 * warp + .000025 * tv[..., 3] * (fx + 60 * tv[..., 1]) ** 2 * np.sign(fy + 6) + tv[..., 3]))
    tone = rng.uniform(.94, 1.06)
    g = .30 * rings + .22 * f1 + .14 * f2 + .15 * fl
    alb = mix(A(.74, .53, .32), A(.52, .33, .17), np.clip(.42 + .55 * g + .12 * tv[..., 0], 0, 1)) * (1 + .05 * tv[..., 1])[..., None] * tone
    gap = sstep(-1.6, -.5, sd); alb = alb * (1 - .72 * gap)[..., None]; h = -1.5 * sstep(-3, 0, sd) - .08 * f2; spec = .12; q = d.rng
    if d.kind == "scratch":
        a = scratch_lines(q, d.area, WHOLE); alb = mix(alb, A(.90, .78, .60), a * q.uniform(.6, .95)); h = h - 1.1 * a
    if d.kind == "burn_mark":
        x, y = pick(q, WHOLE); b = blob(q, x, y, d.area, 2.2, .16) + .8 * fbm(q, 6, 3); R = np.sqrt(d.area / np.pi); k = sstep(.05 * R, -.45 * R, b) * q.uniform(.8, .97)
        alb = mix(alb, mix(A(.30, .16, .07), A(.06, .045, .035), sstep(-.2 * R, -.6 * R, b)), k)
    if d.kind == "water_stain":
        x, y = pick(q, WHOLE); b = blob(q, x, y, d.area, 1.3, .07) + .8 * fbm(q, 9, 2); R = np.sqrt(d.area / np.pi); s = q.uniform(.75, 1)
        k = cov(b, 2.5); rim = np.exp(-((b + .12 * R) / (.11 * R + .6)) ** 2)
        alb = mix(alb, A(.84, .76, .66), s * np.clip(.30 * k + .55 * rim * k, 0, 1)) if q.random() < .5 else mix(alb, A(.24, .16, .10), s * np.clip(.34 * k + .5 * rim * k, 0, 1))
    if d.kind == "gouge":
        x, y = pick(q, WHOLE); b = blob(q, x, y, d.area, 2.6, .18, .6); R = np.sqrt(d.area / np.pi); k = cov(b, 1.2)
        h = h + dentf(b, np.minimum(R * .45, 6), R * .8) + k * .5 * noise(q, 9, .8); alb = mix(alb, A(.83, .64, .41) * (1 + .16 * noise(q, 9, .7))[..., None], k * .85)
    return shade(alb, h, L, .5, spec, 20)

def granite_countertop(rng, d):
    L = light(rng); s = 1 + rng.uniform(-.06, .06); tone = rng.uniform(.94, 1.06); warm = rng.uniform(-.015, .015)
    a, b, c, e = fbm(rng, 4.5 * s, 2), fbm(rng, 3.2 * s, 2), fbm(rng, 2.4 * s, 2), noise(rng, 1.3 * s); big = noise(rng, 30); fine = noise(rng, .7)
    alb = np.ones((N, N, 3)) * A(.66, .64, .62)
    alb = mix(alb, A(.70 + warm, .50, .43), sstep(.25, .75, a)); alb = mix(alb, A(.46, .45, .46), sstep(.5, .9, b))
    alb = mix(alb, A(.86, .85, .82), sstep(1.1, 1.4, e)); alb = mix(alb, A(.13, .13, .14), sstep(1.0, 1.35, c))
    alb = alb * tone * (1 + .03 * big + .03 * fine)[..., None]; h = .05 * e + .02 * fine; spec = .2; q = d.rng
    if d.kind == "crack":
        k = crack_in(q, d.area, WIDE, jag=.35, branches=2); alb = mix(alb, A(.07, .06, .06), k * .93); h = h - 1.3 * k
    if d.kind == "chip":
        x, y = pick(q, WHOLE); bl = blob(q, x, y, d.area, 1.7, .2, .9); R = np.sqrt(d.area / np.pi); k = cov(bl, 1.2)
        h = h - np.minimum(R * .7, 9) * sstep(0, .55 * R, -bl) + k * (1.3 * fbm(q, 5, 3)); alb = mix(alb, mix(A(.93, .91, .88), A(.27, .25, .24), sstep(.1 * R, .5 * R, -bl)), k * .9)
    if d.kind == "wine_stain":
        x, y = pick(q, WHOLE); bl = spots(q, x, y, d.area, 4, 1.8, .12); k = cov(bl, 2.0); rim = np.exp(-((bl + 1.5) / 1.6) ** 2)
        st = q.uniform(.75, .95); alb = mix(alb, alb * A(.62, .16, .24), k * st); alb = mix(alb, A(.25, .04, .09), .45 * rim * k)
    if d.kind == "candle_wax":
        x, y = pick(q, WHOLE); bl = spots(q, x, y, d.area, 4, 1.8, .12); k = cov(bl, 1.2); R = np.sqrt(d.area / np.pi)
        wc = [A(.93, .89, .76), A(.75, .13, .12), A(.92, .76, .38)][q.integers(3)]; alb = mix(alb, wc, k * .95); h = h + min(4, R * .35) * (1 - np.exp(np.minimum(bl, 0) / 3.5))
        spec = spec + .35 * k
    return shade(alb, h, L, .55, spec, 24)


T = [.55, .85, 1.2, 1.8, 2.6]; B = [.55, 1.1, 2.2, 4.2, 7.3]; TC = [.5, .75, 1.0, 1.4, 1.9]; S1 = [.7, .7, 1.4, 2.2, 2.9]
CATS = {
    "coat_button": (coat_button, {"chipped_edge": B, "filled_hole": S1, "scratch": T, "paint_splash": B}),
    "gear_wheel": (gear_wheel, {"missing_tooth": [.7, .8, 1.5, 2.3, 3.8], "rust": B, "crack": TC, "dent": [.55, .9, 1.5, 2.4, 3.6]}),
    "butter_biscuit": (butter_biscuit, {"broken_corner": B, "burnt_spot": B, "crack": TC, "mould": B}),
    "microchip": (microchip, {"missing_pin": [.7, .7, 1.5, 2.2, 4.4], "misplaced_print": [2, 3, 4, 4.5, 5], "scratch": T, "solder_splash": B}),
    "brick_wall": (brick_wall, {"hole": B, "graffiti": B, "crack": TC, "salt_stain": B}),
    "denim_fabric": (denim_fabric, {"hole": B, "bleach_stain": B, "oil_stain": B, "loose_thread": T}),
    "oak_floor": (oak_floor, {"scratch": T, "burn_mark": B, "water_stain": B, "gouge": B}),
    "granite_countertop": (granite_countertop, {"crack": [.7, .9, 1.2, 1.6, 2.1], "chip": [.8, 1.3, 2.2, 4.2, 7.3], "wine_stain": B, "candle_wax": B}),
}
DISCRETE = {"filled_hole", "missing_tooth", "missing_pin", "misplaced_print"}


def camera(img, seed):
    """downsample, exposure, light fall-off, white balance, blur, noise"""
    r = np.random.default_rng(seed)
    im = img.reshape(P, 2, P, 2, 3).mean((1, 3)); x, y = np.meshgrid(np.linspace(-1, 1, P), np.linspace(-1, 1, P)); t = r.uniform(0, 6.28)
    g = 1 + r.uniform(.0, .07) * (np.cos(t) * x + np.sin(t) * y) - r.uniform(0, .05) * (x * x + y * y)
    im = im * (g * r.uniform(.94, 1.06))[..., None] * (1 + r.uniform(-.015, .015, 3))
    im = ndi.gaussian_filter(im, (r.uniform(.25, .45),) * 2 + (0,))
    return np.clip((im + r.normal(0, r.uniform(.006, .011), im.shape)) * 255, 0, 255).round().astype(np.uint8)

def seeds(*k): return [SEED] + [zlib.crc32(str(s).encode()) for s in k]

def shot(fn, key, d):
    return camera(fn(np.random.default_rng(seeds("scene", *key)), d), seeds("cam", *key))

def defective(fn, key, kind, pct):
    """clean and flawed picture of the same scene; mask = pixels that differ visibly, all others are set back"""
    good = shot(fn, key, D()); want = pct / 100 * P * P; best = None
    for att in range(6):
        area = want
        for it in range(1 if kind in DISCRETE else 4):
            bad = shot(fn, key, D(kind, area, np.random.default_rng(seeds("flaw", *key, att))))
            diff = np.abs(bad.astype(int) - good).max(-1); sm = ndi.gaussian_filter(diff.astype(float), .6)
            m = ndi.binary_closing(np.pad((sm >= 5) & (diff > 0), 3), iterations=1)[3:-3, 3:-3] & (diff > 0)
            lab, n = ndi.label(m, np.ones((3, 3)))
            if n: m = (np.bincount(lab.ravel()) >= 8)[lab] & m
            hol, n = ndi.label(~m)                                      # unchanged specks inside the flaw
            m |= (np.bincount(hol.ravel()) < 25)[hol] & ~m
            f = m.sum() / want; st = diff[m].mean() if m.any() else 0
            if kind in DISCRETE: ok = .0045 * P * P <= m.sum() <= .085 * P * P; err = 0 if ok else 1
            else: ok = .85 < f < 1.18; err = abs(np.log(max(f, .01)))
            sc = err + (0 if st >= 25 else 2)
            if best is None or sc < best[0]: best = (sc, bad, m)
            if ok and st >= 25: return np.where(m[..., None], bad, good), m
            area = float(np.clip(area / np.clip(f, .4, 2.5), 60, 9000))
    return np.where(best[2][..., None], best[1], good), best[2]

def save(a, *p):
    f = os.path.join(ROOT, *p); os.makedirs(os.path.dirname(f), exist_ok=True); Image.fromarray(a).save(f)

def main(only):
    for cat, (fn, kinds) in CATS.items():
        if only and cat not in only: continue
        shutil.rmtree(os.path.join(ROOT, cat), ignore_errors=True)
        for i in range(5): save(shot(fn, (cat, "train", i), D()), cat, "train", "good", f"{i:03d}.png")
        for i in range(12): save(shot(fn, (cat, "test", i), D()), cat, "test", "good", f"{i:03d}.png")
        for k, sizes in kinds.items():
            order = np.random.default_rng(seeds(cat, k)).permutation(5); out = []
            for i in range(5):
                im, m = defective(fn, (cat, k, i), k, sizes[order[i]])
                save(im, cat, "test", k, f"{i:03d}.png"); save((m * 255).astype(np.uint8), cat, "ground_truth", k, f"{i:03d}_mask.png")
                out.append(f"{100 * m.mean():.2f}")
            print(cat, k, out, flush=True)

if __name__ == "__main__":
    main(sys.argv[1:])
