"""Draws a small synthetic anomaly-detection benchmark in MVTec AD's layout.

    python drawn.py [--seed 0] [--out data] [--only CATEGORY] [--few N]

Each damaged picture is drawn twice from the same scene seed, whole and damaged;
the mask is where the two differ visibly, before the camera noise is added.
"""
import argparse
import os
import zlib
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage as ndi

N = 256
yy, xx = np.mgrid[0:N, 0:N].astype(np.float32) + 0.5
TAU = 2 * np.pi


# ---------- small tools ----------
def noise(r, cx, cy=None):
    """Smooth noise, about N(0, 1), with cx by cy cells over the picture."""
    cy = cx if cy is None else cy
    g = r.standard_normal((int(cy) + 2, int(cx) + 2)).astype(np.float32)
    im = np.asarray(Image.fromarray(g).resize((N, N), Image.BICUBIC))
    return im / (im.std() + 1e-6)


def fbm(r, c, octs=4):
    out = sum(noise(r, c * 2 ** k) * 0.55 ** k for k in range(octs))
    return out / out.std()


def sample(img, u, v):
    """Look a noise picture up at (u, v), mirrored at its edges so that no seam shows."""
    fold = lambda t: (N - 1) - np.abs(t % (2 * (N - 1)) - (N - 1))
    return ndi.map_coordinates(img, [fold(v), fold(u)], order=1)


def cov(d, w=1.0):
    return np.clip(0.5 - d / (2 * w), 0, 1)


def mix(img, col, a):
    a = a[..., None]
    return img * (1 - a) + np.asarray(col, np.float32) * a


def rgb(*c):
    return np.array(c, np.float32)


def jit(r, c, s=0.03):
    return np.clip(rgb(*c) * (1 + r.normal(0, s)) + r.normal(0, s * 0.5, 3), 0.02, 0.98).astype(np.float32)


def pick(r, seq):
    return seq[int(r.integers(len(seq)))]


def poly(pts, S=3):
    im = Image.new("L", (N * S, N * S))
    ImageDraw.Draw(im).polygon([(float(x) * S, float(y) * S) for x, y in pts], fill=255)
    return np.asarray(im.resize((N, N), Image.BOX), np.float32) / 255


def stroke(paths, S=3):
    """paths: list of (points, widths); returns coverage."""
    im = Image.new("L", (N * S, N * S))
    d = ImageDraw.Draw(im)
    for pts, ws in paths:
        pts = np.asarray(pts, float) * S
        ws = np.broadcast_to(np.asarray(ws, float), (len(pts),)) * S
        for i in range(len(pts) - 1):
            d.line([tuple(pts[i]), tuple(pts[i + 1])], fill=255, width=max(1, int(round((ws[i] + ws[i + 1]) / 2))))
        for (x, y), w in zip(pts, ws):
            d.ellipse([x - w / 2, y - w / 2, x + w / 2, y + w / 2], fill=255)
    return np.asarray(im.resize((N, N), Image.BOX), np.float32) / 255


def shift(a, dx, dy):
    return ndi.shift(a, (dy, dx), order=1, mode="nearest")


def soft(a, s):
    return ndi.gaussian_filter(a, s)


def blob_d(q, x, y, rad, rough=0.18, stretch=1.0, turn=0.0):
    """Signed distance (about) of an irregular blob."""
    dx, dy = xx - x, yy - y
    c, s = np.cos(turn), np.sin(turn)
    a, b = (c * dx + s * dy) / stretch, (-s * dx + c * dy)
    t = np.arctan2(b, a)
    m = 1 + sum(rough / k ** 0.7 * np.cos(k * t + q.uniform(0, TAU)) for k in (2, 3, 5, 8)) * 0.7
    return np.hypot(a, b) - rad * m


def crack_paths(q, p, ang, length, w0, branches=2, step=7, wob=0.55):
    out = []
    pts, a = [np.array(p, float)], ang
    n = max(3, int(length / step))
    for _ in range(n):
        a = ang + (a - ang) * 0.6 + q.normal(0, wob)
        pts.append(pts[-1] + step * np.array([np.cos(a), np.sin(a)]) * q.uniform(0.7, 1.3))
    out.append((pts, np.linspace(w0, w0 * 0.45, len(pts))))
    for _ in range(branches):
        i = int(q.integers(n // 4, max(n // 4 + 1, 3 * n // 4)))
        if length > 25:
            out += crack_paths(q, pts[i], ang + pick(q, [-1, 1]) * q.uniform(0.5, 1.0), length * q.uniform(0.25, 0.4), w0 * 0.75, 0, step, wob)
    return out


def scratch_paths(q, x, y, ang, length, w, k):
    out = []
    for i in range(k):
        off = (i - (k - 1) / 2) * q.uniform(6, 11)
        a = ang + q.normal(0, 0.08)
        L = length * q.uniform(0.7, 1.0)
        t = np.linspace(-0.5, 0.5, 16)
        bend = q.normal(0, 0.06) * L
        px = x + np.cos(a) * t * L - np.sin(a) * (off + bend * (4 * t * t - 0.5))
        py = y + np.sin(a) * t * L + np.cos(a) * (off + bend * (4 * t * t - 0.5))
        out.append((np.stack([px, py], 1), w * (0.45 + 0.55 * np.cos(t * np.pi))))
    return out


def spot(q, region, margin=0.0):
    """A random point inside a region (bool or coverage)."""
    m = region > 0.5
    if margin:
        m = ndi.distance_transform_edt(m) > margin
    ys, xs = np.nonzero(m)
    i = int(q.integers(len(ys)))
    return float(xs[i]) + 0.5, float(ys[i]) + 0.5


def bevel(a, s, lx=-0.6, ly=-0.8):
    h = soft(a, s)
    gy, gx = np.gradient(h)
    return (gx * lx + gy * ly) * s * 2.5


class Pose:
    def __init__(self, r, turn, move=10, scale=(0.94, 1.05)):
        self.a = r.uniform(-turn, turn)
        self.x, self.y = N / 2 + r.uniform(-move, move), N / 2 + r.uniform(-move, move)
        self.s = r.uniform(*scale)
        c, s = np.cos(self.a), np.sin(self.a)
        dx, dy = (xx - self.x) / self.s, (yy - self.y) / self.s
        self.u, self.v = c * dx + s * dy, -s * dx + c * dy

    def out(self, pts):
        p = np.asarray(pts, float) * self.s
        c, s = np.cos(self.a), np.sin(self.a)
        return np.stack([self.x + c * p[..., 0] - s * p[..., 1], self.y + s * p[..., 0] + c * p[..., 1]], -1)


def ground(r, cols):
    """A plain or lightly textured ground."""
    img = np.ones((N, N, 3), np.float32) * jit(r, pick(r, cols), 0.04)
    kind = int(r.integers(3))
    n1, n2, n3 = fbm(r, 4, 4), noise(r, 120), noise(r, 3, 110)
    if kind == 0:
        t = 0.012 * n1
    elif kind == 1:
        t = 0.025 * n1 + 0.02 * n2
    else:
        t = 0.035 * n3 + 0.012 * n1
    return img * (1 + t[..., None])


def drop(img, a, dx=5, dy=6, s=5, k=0.4):
    return img * (1 - k * soft(shift(a, dx, dy), s)[..., None])


# ---------- objects ----------
def biscuit(r, kind, q):
    P = Pose(r, np.pi, 12, (0.92, 1.08))
    g = ground(r, [(.80, .84, .88), (.36, .46, .56), (.90, .88, .84), (.45, .22, .22)])
    base = jit(r, (.84, .64, .37), 0.05)
    rho, th = np.hypot(P.u, P.v), np.arctan2(P.v, P.u)
    d = (rho - (86 + 3.6 * np.cos(28 * th))) * P.s
    a = cov(d)
    tex, fine, sp = fbm(r, 7, 4), noise(r, 150), noise(r, 70)
    if kind == "broken":
        t = q.uniform(0, TAU)
        D = q.uniform(48, 66)
        edge = D + 4 * fbm(q, 9, 3) + q.choice([0, 1]) * 0.006 * (-np.sin(t) * P.u + np.cos(t) * P.v) ** 2
        cut = (np.cos(t) * P.u + np.sin(t) * P.v) - edge
        a = a * cov(cut)
        inner = cov(-(cut + 7), 3)
    img = drop(g, a)
    face = base * (1 + 0.055 * tex + 0.03 * fine)[..., None]
    face = mix(face, base * rgb(.72, .6, .5), 0.75 * np.clip((rho - 66) / 22, 0, 1) ** 2)
    face = mix(face, base * rgb(.75, .65, .5), 0.45 * (sp > 1.7))
    face = face * (1 + 0.22 * bevel(a, 4) - 0.13 * np.exp(-((rho - 70) / 2.2) ** 2) + 0.08 * np.exp(-((rho - 66.5) / 2) ** 2))[..., None]
    for i in range(-2, 3):
        for j in range(-2, 3):
            if i * i + j * j <= 5:
                dd = np.hypot(P.u - i * 25, P.v - j * 25) - 3.6
                face = mix(face, base * rgb(.45, .36, .28), 0.9 * cov(dd, 1.2))
    if kind == "broken":
        face = mix(face, np.clip(base * 1.18, 0, 1), 0.75 * inner)
    if kind == "burnt":
        ang, rr = q.uniform(0, TAU), q.uniform(15, 72)
        x, y = P.out([rr * np.cos(ang), rr * np.sin(ang)])
        b = cov(blob_d(q, x, y, q.uniform(18, 36), 0.2, q.uniform(1, 1.6), q.uniform(0, TAU)), 5)
        face = mix(face, base * rgb(.25, .19, .17) * (1 + 0.1 * tex)[..., None], 0.9 * b)
    if kind == "mould":
        x, y = spot(q, a, 18)
        for _ in range(int(q.integers(3, 7))):
            R = q.uniform(6, 14)
            b = cov(blob_d(q, x + q.normal(0, 13), y + q.normal(0, 13), R, 0.15), 2)
            c = pick(q, [(.48, .62, .52), (.40, .55, .45), (.72, .78, .72)])
            face = mix(face, rgb(*c) * (1 + 0.07 * fine)[..., None], 0.9 * b)
    if kind == "crack":
        t = q.uniform(0, TAU)
        s = P.out([86 * np.cos(t), 86 * np.sin(t)])
        k = stroke(crack_paths(q, s, t + P.a + np.pi + q.normal(0, 0.25), q.uniform(65, 150), q.uniform(4, 5.5), 1))
        face = face * (1 + 0.15 * np.clip(shift(k, 2, 2) - k, 0, 1))[..., None]
        face = mix(face, base * rgb(.32, .24, .18), 0.92 * k)
    return img * (1 - a[..., None]) + face * a[..., None]


def leaf(r, kind, q):
    P = Pose(r, np.pi, 8, (0.93, 1.04))
    g = ground(r, [(.90, .90, .87), (.78, .72, .62), (.62, .64, .68), (.40, .33, .28)])
    base = jit(r, pick(r, [(.30, .52, .18), (.24, .46, .20), (.38, .56, .20)]), 0.05)
    skew, bend, wid = r.uniform(-0.12, 0.12), r.uniform(-9, 9), r.uniform(46, 56)
    t = np.linspace(0, 1, 160)
    w = wid * np.sin(np.pi * t ** 0.8) ** 0.85 + 1.6 * np.where((t > .04) & (t < .96), ((t * 26) % 1) - 0.5, 0)
    mid = lambda s: bend * np.sin(np.pi * s)
    U = lambda s: -88 + 190 * s
    up = np.stack([U(t), mid(t) - np.maximum(w, 0) * (1 + skew)], 1)
    lo = np.stack([U(t), mid(t) + np.maximum(w, 0) * (1 - skew)], 1)
    a = poly(P.out(np.concatenate([up, lo[::-1]])))
    stem = stroke([(P.out([(-112, r.uniform(-8, 8)), (-100, 1), (-86, 0)]), [5, 4, 4])])
    tex, fine = fbm(r, 6, 4), noise(r, 120)
    ribs = [(P.out(np.stack([U(t), mid(t)], 1)), np.linspace(4.2, 1.2, 160))]
    for s in np.linspace(0.1, 0.8, 7):
        s = s + r.uniform(-0.01, 0.01)
        ws = wid * np.sin(np.pi * (s + .1) ** 0.8) ** 0.85
        for sg, k in ((-1, 1 + skew), (1, 1 - skew)):
            z = np.linspace(0, 1, 9)
            ribs.append((P.out(np.stack([U(s) + 30 * z ** 1.3, mid(s + .1 * z) + sg * k * 0.92 * ws * z], 1)), np.linspace(2.2, .9, 9)))
    veins = stroke(ribs) * a
    body = a.copy()
    if kind == "hole":
        hd = np.full((N, N), 99, np.float32)
        x, y = spot(q, body, 16)
        for _ in range(int(q.integers(1, 4))):
            hd = np.minimum(hd, blob_d(q, x, y, q.uniform(7, 15), 0.22, q.uniform(1, 1.5), q.uniform(0, TAU)))
            x2, y2 = x + q.normal(0, 24), y + q.normal(0, 24)
            if body[int(np.clip(y2, 0, 255)), int(np.clip(x2, 0, 255))] > 0.5:
                x, y = x2, y2
        a = a * (1 - cov(hd))
    if kind == "torn":
        s, sg = q.uniform(0.22, 0.75), pick(q, [-1, 1])
        ws = wid * np.sin(np.pi * s ** 0.8) ** 0.85
        hw = q.uniform(10, 20)
        dep = q.uniform(0.05, 0.4)
        z = np.linspace(1, 0, 8)
        e1 = [(U(s) - hw * k + q.normal(0, 1.5), mid(s) + sg * ws * (dep + (1.3 - dep) * k)) for k in z]
        e2 = [(U(s) + hw * k + q.normal(0, 1.5), mid(s) + sg * ws * (dep + (1.3 - dep) * k)) for k in z]
        cut = poly(P.out(e1 + e2[::-1]))
        a = a * (1 - cut)
    img = drop(g, np.maximum(a, stem), 4, 5, 4, 0.35)
    img = mix(img, base * rgb(1.15, .95, .9), stem)
    face = base * (1 + 0.08 * tex + 0.03 * fine + 0.16 * bevel(body, 9))[..., None]
    face = mix(face, np.clip(base * 1.25 + rgb(.12, .12, .1), 0, 1), 0.75 * veins)
    if kind == "hole":
        face = mix(face, (.42, .30, .14), 0.8 * cov(hd - 3.2, 1.5))
    if kind == "torn":
        face = mix(face, (.50, .42, .2), 0.7 * np.clip(soft(cut, 1.6) * 2, 0, 1))
    if kind == "brown_spot":
        x, y = spot(q, body, 12)
        for _ in range(int(q.integers(2, 6))):
            dd = blob_d(q, x + q.normal(0, 15), y + q.normal(0, 15), q.uniform(6, 13), 0.15)
            face = mix(face, (.76, .70, .25), 0.8 * cov(dd - 4, 2.5))
            face = mix(face, rgb(.38, .22, .10) * (1 + .06 * fine)[..., None], 0.95 * cov(dd, 1.5))
    img = img * (1 - a[..., None]) + face * a[..., None]
    if kind == "insect":
        x, y = spot(q, body, 10)
        al, R = q.uniform(0, TAU), q.uniform(10, 14)
        c, s = np.cos(al), np.sin(al)
        u, v = c * (xx - x) + s * (yy - y), -s * (xx - x) + c * (yy - y)
        e = cov((np.hypot(u / 1.25, v) - R))
        img = drop(img, e, 2, 3, 2, 0.5)
        legs = []
        for k in (-.7, 0, .7):
            for sg in (-1, 1):
                p = np.array([(k * R, sg * R * .7), (k * R * 1.5, sg * R * 1.5)])
                legs.append((np.stack([x + c * p[:, 0] - s * p[:, 1], y + s * p[:, 0] + c * p[:, 1]], 1), 2.2))
        img = mix(img, (.08, .07, .06), stroke(legs))
        img = mix(img, (.08, .07, .06), cov(np.hypot(u - 1.25 * R, v) - R * .55))
        shell = jit(q, pick(q, [(.80, .16, .10), (.20, .13, .10), (.85, .45, .10)]), 0.04)
        img = mix(img, shell, e)
        img = mix(img, shell + rgb(.2, .2, .2), .6 * cov(np.hypot(u + 3, v + 4) - 3, 2))
        img = mix(img, (.06, .05, .05), e * cov(np.abs(v) - 1.0))
        for pu, pv in ((-.5, .5), (-.5, -.5), (.4, .5), (.4, -.5)):
            img = mix(img, (.06, .05, .05), cov(np.hypot(u - pu * R, v - pv * R) - R * .2))
    return img


def wrench(r, kind, q):
    P = Pose(r, np.pi, 6, (0.96, 1.04))
    g = ground(r, [(.20, .34, .28), (.55, .42, .30), (.78, .79, .80), (.24, .28, .38)])
    tone = r.uniform(.46, .58)
    base = rgb(tone, tone, tone) * rgb(1 + r.uniform(-.02, .03), 1, 1 + r.uniform(-.02, .05))
    u, v, s = P.u, P.v, P.s
    tilt = 0.26
    head = np.hypot(u + 76, v * 0.95) - 35
    du, dv = u + 76, v
    ju, jv = np.cos(tilt) * du + np.sin(tilt) * dv, -np.sin(tilt) * du + np.cos(tilt) * dv
    jaw = np.where(ju > 0, np.hypot(ju, jv) - 15, np.abs(jv) - 15)
    ring = np.hypot(u - 82, v) - 28
    hexa = np.max([np.abs(np.cos(k) * (u - 82) + np.sin(k) * v) for k in (0, np.pi / 3, TAU / 3)], 0) - 14.5
    hand = np.maximum(np.abs(v) - (11.5 + 1.5 * np.cos(u / 45)), np.abs(u + 3) - 60)
    d = np.minimum(np.minimum(np.maximum(head, -jaw), np.maximum(ring, -hexa)), hand)
    d = np.where((np.abs(jv) < 15) & (ju < -2), np.maximum(d, -jaw), d)
    if kind == "broken":
        edge = 2.5 * noise(q, 40)
        if q.random() < 0.6:
            sg = pick(q, [-1, 1])
            cut = np.maximum(ju + q.uniform(-2, 6) + edge, -sg * jv)
        else:
            t = q.uniform(-1.2, 1.2)
            cut = np.maximum(np.abs(-np.sin(t) * (u - 82) + np.cos(t) * v) - q.uniform(13, 18) + edge, -(np.cos(t) * (u - 82) + np.sin(t) * v))
        d = np.maximum(d, -cut)
    a = cov(d * s)
    streak, fine, tex = noise(r, 90, 90), noise(r, 160), fbm(r, 5, 3)
    img = drop(g, a, 4, 5, 4, 0.5)
    ln = np.cos(v / 16.0 + 0.5) * 0.10
    face = base * (1 + ln + 0.03 * streak + 0.02 * fine + 0.03 * tex)[..., None]
    groove = cov(np.maximum(np.abs(v) - 5.5, np.abs(u) - 42), 1.2)
    face = face * (1 - 0.22 * groove)[..., None] * (1 + 0.20 * bevel(groove, 1.5))[..., None]
    face = face * (1 - 0.55 * bevel(a, 2.2))[..., None]
    body = cov(d * s + 1)
    if kind == "rust":
        x, y = spot(q, body, 5)
        dd = blob_d(q, x, y, q.uniform(13, 24), 0.25, q.uniform(1, 1.8), P.a) + 3 * fbm(q, 12, 3)
        b = cov(dd, 3)
        rc = rgb(.50, .25, .10) * (1 + 0.22 * fbm(q, 26, 3))[..., None]
        face = mix(face, rc, 0.93 * b)
    if kind == "scratch":
        x, y = spot(q, body, 6)
        k = stroke(scratch_paths(q, x, y, q.uniform(0, np.pi), q.uniform(40, 75), q.uniform(3.6, 4.8), int(q.integers(2, 4))))
        face = mix(face, base * .28, 0.85 * k)
        face = mix(face, (.97, .97, .97), 0.8 * np.clip(shift(k, 2, 2) - k, 0, 1))
    if kind == "paint":
        x, y = spot(q, body, 5)
        c = jit(q, pick(q, [(.80, .18, .15), (.15, .35, .75), (.90, .80, .20), (.95, .95, .93)]), .03)
        b = cov(blob_d(q, x, y, q.uniform(10, 19), 0.25, q.uniform(1, 1.7), q.uniform(0, TAU)), 1.2)
        for _ in range(int(q.integers(1, 5))):
            b = np.maximum(b, cov(np.hypot(xx - x - q.normal(0, 20), yy - y - q.normal(0, 20)) - q.uniform(2.5, 5)))
        face = mix(face, c, 0.95 * b)
        face = face * (1 - 0.25 * bevel(b, 2))[..., None]
    return img * (1 - a[..., None]) + face * a[..., None]


def egg_carton(r, kind, q):
    P = Pose(r, 0.35, 7, (0.94, 1.03))
    g = ground(r, [(.72, .60, .46), (.84, .85, .86), (.35, .42, .50), (.55, .60, .50)])
    card = jit(r, pick(r, [(.56, .54, .50), (.60, .52, .42)]), .04)
    shell = pick(r, [(.84, .64, .48), (.90, .84, .74), (.76, .55, .40)])
    qx = np.maximum(np.abs(P.u) - 98, 0)
    qy = np.maximum(np.abs(P.v) - 66, 0)
    a = cov((np.hypot(qx, qy) - 12) * P.s)
    fib, fine = fbm(r, 30, 3), noise(r, 170)
    img = drop(g, a, 5, 7, 6, 0.45)
    tray = card * (1 + 0.05 * fib + 0.02 * fine - 0.30 * bevel(a, 4))[..., None]
    cells = [(i, j) for j in (-37, 37) for i in (-70, 0, 70)]
    bad = int(q.integers(6)) if kind else -1
    for i, j in cells:
        rc = np.hypot(P.u - i, P.v - j)
        tray = tray * (1 - 0.42 * cov(rc - 31, 2.5) * np.clip(1.0 - 0.35 * (P.u - i + P.v - j) / 60, .5, 1.4))[..., None]
    # the pillars between the cups
    for i in (-35, 35):
        dd = np.hypot(P.u - i, P.v) - 9
        tray = mix(tray, card * 1.12, 0.8 * cov(dd, 2.5))
    egg_area = None
    for n, (i, j) in enumerate(cells):
        col = jit(r, shell, .03)
        ou, ov, el, size, tw = r.normal(0, 1.5), r.normal(0, 1.5), r.uniform(1.06, 1.16), r.uniform(25, 27.5), r.uniform(-.5, .5)
        mott = noise(r, 90)
        cu, cv_ = P.u - i - ou, P.v - j - ov
        eu, ev = np.cos(tw) * cu + np.sin(tw) * cv_, -np.sin(tw) * cu + np.cos(tw) * cv_
        ev2 = ev * (1 + 0.0035 * eu)
        rr = np.hypot(ev2, eu / el) / size
        if n == bad and kind == "missing_egg":
            continue
        if n == bad and kind == "wrong_item":
            col = jit(q, pick(q, [(.80, .16, .12), (.45, .65, .18), (.92, .55, .12)]), .04)
            rr = np.hypot(cu, cv_) / 26.5
        e = cov((rr - 1) * size * P.s)
        tray = tray * (1 - 0.40 * soft(shift(e, 3, 4), 3))[..., None]
        z = np.sqrt(np.clip(1 - rr ** 2, 0, 1))
        lu, lv = (xx - P.x), (yy - P.y)
        ce = P.out([i + ou, j + ov])
        nx, ny = (xx - ce[0]) / (size * P.s), (yy - ce[1]) / (size * P.s)
        lam = np.clip(0.55 * z - 0.32 * nx - 0.40 * ny + 0.42, 0.2, 1.15)
        f = col * (0.35 + 0.72 * lam + 0.012 * mott)[..., None]
        f = mix(f, (1, 1, .98), 0.35 * np.exp(-((nx + .35) ** 2 + (ny + .42) ** 2) / .05))
        if n == bad and kind == "wrong_item":
            f = mix(f, (.20, .35, .10), stroke([([ce + q.normal(0, 3, 2), ce + q.normal(0, 6, 2)], 6)]))
        if n == bad and kind == "cracked_egg":
            k0 = ce + q.normal(0, 5, 2)
            al = q.uniform(0, TAU)
            paths = []
            for m in range(int(q.integers(3, 5))):
                paths += crack_paths(q, k0, al + m * TAU / 4 + q.normal(0, .3), q.uniform(18, 32), 3.6, 0, 5, .6)
            b = stroke(paths)
            if q.random() < 0.6:
                b = np.maximum(b, cov(blob_d(q, k0[0], k0[1], q.uniform(4, 9), .3), 1))
            f = mix(f, (.16, .11, .08), .9 * b)
        if n == bad and kind == "dirty_egg":
            for _ in range(int(q.integers(2, 5))):
                p = ce + q.normal(0, 10, 2)
                b = cov(blob_d(q, p[0], p[1], q.uniform(4.5, 9), .25, q.uniform(1, 2), q.uniform(0, TAU)), 1.5)
                f = mix(f, rgb(.28, .20, .10) * (1 + .1 * mott)[..., None], .88 * b)
        tray = tray * (1 - e[..., None]) + f * e[..., None]
    return img * (1 - a[..., None]) + tray * a[..., None]


# ---------- surfaces ----------
def brick_wall(r, kind, q):
    P = Pose(r, 0.06, 60, (0.88, 1.1))
    bw, bh, m = 70, 32, 5.5
    base = jit(r, pick(r, [(.60, .29, .21), (.66, .38, .27), (.52, .26, .21)]), .04)
    mort = jit(r, pick(r, [(.72, .69, .64), (.60, .58, .56)]), .03)
    tone = r.normal(0, 1, (40, 40, 2))
    rough, tex, fine, warp = fbm(r, 30, 3), fbm(r, 8, 4), noise(r, 150), noise(r, 22)
    wu, wv = P.u + 1.0 * warp + 1000, P.v + 0.8 * warp + 1000
    row = np.floor(wv / bh).astype(int)
    su = wu + (row % 2) * bw / 2
    colm = np.floor(su / bw).astype(int)
    fu, fv = su - colm * bw - bw / 2, wv - row * bh - bh / 2
    d = np.maximum(np.abs(fu) - (bw - m) / 2, np.abs(fv) - (bh - m) / 2) * P.s
    a = cov(d)
    t = tone[row % 40, colm % 40]
    face = base * (1 + 0.09 * t[..., :1]) * (1 + rgb(.03, 0, -.03) * t[..., 1:])
    face = face * (1 + 0.06 * rough + 0.05 * tex + 0.03 * fine)[..., None]
    mo = mort * (1 + 0.05 * rough + 0.04 * fine)[..., None]
    mo = mo * (1 - 0.30 * cov(d - 2.5) * (fv > 0))[..., None]
    img = mo * (1 - a[..., None]) + face * a[..., None]
    img = img * (1 - 0.20 * bevel(a, 1.4))[..., None]
    x, y = q.uniform(35, 221), q.uniform(35, 221)
    if kind == "crack":
        al = q.uniform(.5, 2.6)
        L = q.uniform(110, 200)
        p = (x - np.cos(al) * L / 2, 128 + (y - 128) * .4 - np.sin(al) * L / 2)
        paths = crack_paths(q, p, al, L, q.uniform(5, 8), 2, 9, .6)
        off = np.array([x, y]) - np.mean(paths[0][0], 0)
        k = stroke([(np.asarray(a_) + off, w_) for a_, w_ in paths])
        img = mix(img, (.09, .08, .07), .92 * k)
        img = mix(img, (.86, .80, .72), .4 * np.clip(shift(k, -2, -1) - k, 0, 1))
    if kind == "missing_brick":
        iy, ix = int(y), int(x)
        h = (row == row[iy, ix]) & (colm == colm[iy, ix])
        h = soft(h.astype(np.float32), .7) * cov(d - 1.5, 1.2)
        shade = np.clip(.10 + .14 * (fv / bh + .5) + .05 * (fu / bw), .05, 1)[..., None] * rgb(1, .9, .8) * (1 + .18 * rough)[..., None]
        img = img * (1 - h[..., None]) + shade * h[..., None]
    if kind == "graffiti":
        c = jit(q, pick(q, [(.12, .40, .80), (.10, .65, .35), (.92, .85, .15), (.85, .20, .65), (.93, .93, .93)]), .03)
        n = int(q.integers(4, 7))
        key = np.array([x, y]) + np.stack([(np.arange(n) - (n - 1) / 2) * q.uniform(14, 22), np.where(np.arange(n) % 2, 1, -1) * q.uniform(18, 38, n)], 1)
        key = np.clip(key, 15, 241)
        tt = np.linspace(0, n - 1, n * 12)
        pts = np.stack([ndi.gaussian_filter1d(np.interp(tt, np.arange(n), key[:, i]), 5, mode="nearest") for i in (0, 1)], 1)
        k = soft(stroke([(pts, q.uniform(8, 13))]), 1.5)
        img = mix(img, c, .88 * k)
    if kind == "moss":
        dd = blob_d(q, x, y, q.uniform(22, 40), .25, q.uniform(1, 1.7), q.normal(0, .3)) + 5 * fbm(q, 16, 3) - 5 * (1 - a)
        gcol = rgb(.26, .42, .14) * (1 + .2 * fbm(q, 45, 2))[..., None]
        img = mix(img, gcol, .92 * cov(dd, 3))
    return img


def wooden_floor(r, kind, q):
    P = Pose(r, 0.08, 60, (0.9, 1.1))
    if r.random() < 0.5:
        P.u, P.v = P.v, P.u
        along = np.pi / 2
    else:
        along = 0.0
    along += P.a
    base = jit(r, pick(r, [(.66, .46, .28), (.74, .56, .36), (.50, .33, .20)]), .04)
    pw, pl = 46, 190
    tone = r.normal(0, 1, (40, 40, 2))
    offs = r.uniform(0, pl, 40)
    u, v = P.u + 1000, P.v + 1000
    row = np.floor(v / pw).astype(int)
    su = u + offs[row % 40]
    colm = np.floor(su / pl).astype(int)
    fv, fu = v - row * pw - pw / 2, su - colm * pl - pl / 2
    sh = offs[row % 40] * 7.3 + colm * 61
    g1, g2, g3 = noise(r, 5, 70), noise(r, 9, 200), noise(r, 4, 14)
    grain = 0.06 * sample(g1, u + sh, v + sh) + 0.04 * sample(g2, u + sh, v + sh)
    rings = np.sin((fv + 7 * sample(g3, u * .8 + sh, v + sh * 2)) / 3.6 + sh)
    t = tone[row % 40, colm % 40]
    img = base * (1 + .10 * t[..., :1]) * (1 + rgb(.02, 0, -.03) * t[..., 1:]) * (1 + grain + .045 * rings)[..., None]
    d = np.minimum(pw / 2 - np.abs(fv), pl / 2 - np.abs(fu))
    img = mix(img, base * .28, .85 * cov(d - 1.3, .9))
    img = img * (1 + .08 * np.exp(-((d - 3.2) / 1.2) ** 2))[..., None]
    x, y = q.uniform(40, 216), q.uniform(40, 216)
    if kind == "scratch":
        k = stroke(scratch_paths(q, x, y, along + pick(q, [-1, 1]) * q.uniform(.35, 1.4), q.uniform(70, 130), q.uniform(3.8, 5.2), int(q.integers(1, 4))))
        img = mix(img, np.clip(base * 1.3 + .16, 0, 1), .85 * k)
        img = img * (1 - .45 * np.clip(shift(k, 2, 2) - k, 0, 1))[..., None]
    if kind == "hole":
        b_d = blob_d(q, x, y, q.uniform(11, 20), .14, q.uniform(1, 1.5), along)
        spl = 2.5 * noise(q, 50)
        img = mix(img, np.clip(base * 1.25 + .08, 0, 1), .75 * cov(b_d - 4 + spl, 1.5))
        b = cov(b_d, 1.2)
        img = mix(img, rgb(.07, .05, .04) * (1 + np.clip((yy - y) / 30, 0, 1))[..., None], .97 * b)
    if kind == "ink_stain":
        c = jit(q, pick(q, [(.10, .12, .30), (.12, .10, .10), (.36, .06, .10)]), .02)
        b_d = blob_d(q, x, y, q.uniform(16, 32), .2, q.uniform(1, 1.5), q.uniform(0, TAU))
        b = cov(b_d, 2)
        for _ in range(int(q.integers(1, 5))):
            an, R = q.uniform(0, TAU), q.uniform(30, 52)
            b = np.maximum(b, cov(np.hypot(xx - x - R * np.cos(an), yy - y - R * np.sin(an)) - q.uniform(3, 6), 1.5))
        img = img * (1 - .80 * b[..., None]) + c * .80 * b[..., None]
    if kind == "split":
        L = q.uniform(70, 130)
        rr = row[int(y), int(x)]
        p = (x - np.cos(along) * L / 2, y - np.sin(along) * L / 2)
        pts = crack_paths(q, p, along, L, 5, 0, 9, .12)[0][0]
        tt = np.linspace(0, 1, len(pts))
        k = stroke([(pts, 1.5 + q.uniform(6, 9) * np.sin(np.pi * tt) ** .8)])
        img = mix(img, np.clip(base * 1.3 + .1, 0, 1), .7 * np.clip(shift(k, -2, -2) - k, 0, 1))
        img = mix(img, (.08, .055, .04), .93 * k)
    return img


def woven_fabric(r, kind, q):
    P = Pose(r, 0.2, 30, (0.9, 1.12))
    c1 = jit(r, pick(r, [(.74, .66, .52), (.30, .42, .60), (.60, .30, .28), (.45, .55, .42)]), .05)
    c2 = np.clip(c1 * r.uniform(.78, .90) + rgb(*r.normal(0, .015, 3)), 0, 1).astype(np.float32)
    w1, w2, fine, tex = noise(r, 5), noise(r, 5), noise(r, 170), fbm(r, 4, 3)
    th = 9.0
    ta, tb = r.normal(0, 1, 200), r.normal(0, 1, 200)
    u, v = P.u + 1.3 * w1 + 600, P.v + 1.3 * w2 + 600
    iu, iv = np.floor(u / th).astype(int), np.floor(v / th).astype(int)
    fu, fv = u / th - iu - .5, v / th - iv - .5
    over = (iu + iv) % 2 == 0

    def thread(f_across, f_along, tn):
        return (np.cos(np.pi * f_across * .92) ** .6) * (.72 + .28 * np.cos(np.pi * f_along)) * (1 + .05 * tn)
    A, B = thread(fu, fv, ta[iu % 200]), thread(fv, fu, tb[iv % 200])
    top = np.where(over[..., None], c1 * A[..., None], c2 * B[..., None])
    img = np.clip(top * 1.12, 0, 1) * (1 + .03 * fine + .03 * tex)[..., None]
    x, y = q.uniform(38, 218), q.uniform(38, 218)
    if kind == "hole":
        dd = blob_d(q, x, y, q.uniform(12, 24), .2, q.uniform(1, 1.4), q.uniform(0, TAU)) + 4 * noise(q, 45)
        b = cov(dd, 1.2)
        img = img * (1 - .25 * cov(dd - 5, 3) * (1 - b))[..., None]
        img = mix(img, rgb(.07, .07, .08), .96 * b)
        fr = []
        for _ in range(int(q.integers(3, 7))):
            an = pick(q, [P.a, P.a + np.pi / 2, P.a + np.pi, P.a - np.pi / 2])
            p = np.array([x, y]) + q.normal(0, 7, 2)
            fr.append((np.array([p + 22 * np.array([np.cos(an), np.sin(an)]), p + q.uniform(2, 8) * np.array([np.cos(an), np.sin(an)])]), [2.5, 1.5]))
        img = mix(img, c1 * .9, .9 * stroke(fr) * b)
    if kind == "loose_thread":
        n = int(q.integers(4, 6))
        key = np.clip(np.array([x, y]) + np.cumsum(q.normal(0, 32, (n, 2)), 0), 12, 244)
        tt = np.linspace(0, n - 1, n * 14)
        pts = np.stack([ndi.gaussian_filter1d(np.interp(tt, np.arange(n), key[:, i]), 6, mode="nearest") for i in (0, 1)], 1)
        k = stroke([(pts, q.uniform(4.2, 5.5))])
        c = jit(q, pick(q, [(.95, .94, .90), (.10, .10, .13), (.85, .15, .15)]), .02)
        if np.abs(c - c1).max() < .25:
            c = 1 - c
        img = drop(img, k, 3, 3, 1.5, .5)
        img = mix(img, c, k)
        img = img * (1 - .15 * bevel(k, 1.2))[..., None]
    if kind == "stain":
        dd = blob_d(q, x, y, q.uniform(20, 38), .18, q.uniform(1, 1.5), q.uniform(0, TAU)) + 2 * noise(q, 25)
        b, rim = cov(dd, 3), np.exp(-((dd + 3) / 3.5) ** 2)
        c = pick(q, [(.36, .24, .14), (.24, .20, .18), (.34, .10, .16)])
        img = img * (1 - (.62 * b + .18 * rim * b)[..., None] * (1 - rgb(*c)))
    if kind == "missing_thread":
        down = q.random() < .5
        L = q.uniform(45, 85)
        if down:
            i0 = iu[int(y), int(x)]
            wide = int(q.integers(1, 3))
            sel = (iu >= i0) & (iu < i0 + wide)
            al = np.abs(P.v + 600 - v[int(y), int(x)]) - L
        else:
            i0 = iv[int(y), int(x)]
            wide = int(q.integers(1, 3))
            sel = (iv >= i0) & (iv < i0 + wide)
            al = np.abs(P.u + 600 - u[int(y), int(x)]) - L
        b = soft(sel.astype(np.float32), .6) * cov(al, 3)
        bars = .5 + .5 * np.cos(TAU * ((v if down else u) / th))
        img = mix(img, c2 * .22 + .20 * bars[..., None] * c2, .92 * b)
    return img


def steel_plate(r, kind, q):
    P = Pose(r, np.pi, 20, (0.95, 1.05))
    ton = r.uniform(.56, .70)
    base = rgb(ton, ton, ton) * rgb(1 + r.uniform(-.03, .03), 1, 1 + r.uniform(-.02, .05))
    g1, g2, g3 = noise(r, 6, 180), noise(r, 14, 250), noise(r, 3, 40)
    u, v = P.u / 2 + 128, P.v / 2 + 128
    s = .055 * sample(g1, u, v) + .04 * sample(g2, u, v) + .03 * sample(g3, u, v)
    la, lw = r.uniform(-60, 60), r.uniform(60, 110)
    s = s + r.uniform(.08, .2) * np.exp(-((P.u - la) / lw) ** 2)
    img = base * (1 + s + .02 * noise(r, 3))[..., None]
    x, y = q.uniform(40, 216), q.uniform(40, 216)
    if kind == "dent":
        R = q.uniform(17, 32)
        el, tw = q.uniform(1, 1.5), q.uniform(0, TAU)
        dx, dy = xx - x, yy - y
        e = np.hypot((np.cos(tw) * dx + np.sin(tw) * dy) / el, -np.sin(tw) * dx + np.cos(tw) * dy) / R
        h = np.exp(-e ** 4)
        gy, gx = np.gradient(h)
        sh = (gx * -.6 + gy * -.8) * R
        img = img * (1 - .34 * sh - .14 * h)[..., None]
    if kind == "scratch":
        k = stroke(scratch_paths(q, x, y, P.a + pick(q, [-1, 1]) * q.uniform(.4, np.pi / 2), q.uniform(60, 130), q.uniform(3.4, 4.8), int(q.integers(1, 4))))
        img = mix(img, base * .32, .85 * k)
        img = mix(img, (.97, .97, .97), .8 * np.clip(shift(k, 2, 1.5) - k, 0, 1))
    if kind == "rust":
        dd = np.full((N, N), 99, np.float32)
        for _ in range(int(q.integers(1, 4))):
            dd = np.minimum(dd, blob_d(q, x + q.normal(0, 16), y + q.normal(0, 16), q.uniform(10, 24), .22))
        dd = dd + 4 * fbm(q, 14, 3)
        rc = rgb(.50, .26, .11) * (1 + .2 * fbm(q, 30, 3))[..., None]
        img = mix(img, rgb(.62, .42, .24), .5 * cov(dd - 3, 3))
        img = mix(img, rc, .92 * cov(dd, 2.5))
    if kind == "hole":
        R = q.uniform(8, 15)
        d = np.hypot(xx - x, yy - y) - R
        img = img * (1 + .28 * np.exp(-((d - 2) / 2) ** 2) * np.where((xx - x) + (yy - y) > 0, 1, -.8))[..., None]
        img = mix(img, rgb(.06, .06, .07), cov(d))
    return img


CATS = {
    "biscuit": (biscuit, ["broken", "burnt", "crack", "mould"]),
    "leaf": (leaf, ["hole", "brown_spot", "torn", "insect"]),
    "wrench": (wrench, ["rust", "broken", "scratch", "paint"]),
    "egg_carton": (egg_carton, ["missing_egg", "cracked_egg", "dirty_egg", "wrong_item"]),
    "brick_wall": (brick_wall, ["crack", "missing_brick", "graffiti", "moss"]),
    "wooden_floor": (wooden_floor, ["scratch", "hole", "ink_stain", "split"]),
    "woven_fabric": (woven_fabric, ["hole", "loose_thread", "stain", "missing_thread"]),
    "steel_plate": (steel_plate, ["dent", "scratch", "rust", "hole"]),
}


# ---------- the camera, the mask ----------
def camera(r):
    gain, wb = r.uniform(.85, 1.10), 1 + r.normal(0, .025, 3)
    an, k, s, n = r.uniform(0, TAU), r.uniform(0, .13), r.uniform(.35, .95), r.uniform(.006, .018)
    ramp = 1 + k * ((xx - N / 2) * np.cos(an) + (yy - N / 2) * np.sin(an)) / (N / 2)
    f = lambda im: ndi.gaussian_filter(np.clip(im * gain * wb * ramp[..., None], 0, 1), (s, s, 0))
    return f, n


def mask_of(a, b, kind):
    d = np.abs(a - b).max(-1)
    m = ndi.gaussian_filter(d, .7) > (.085 if kind == "dent" else .065)
    m = ndi.binary_closing(np.pad(m, 6), ndi.iterate_structure(ndi.generate_binary_structure(2, 1), 3))[6:-6, 6:-6]
    if kind == "dent":                          # its lit and its dark side, and the bottom between
        m = ndi.binary_closing(np.pad(m, 40), np.hypot(*np.mgrid[-14:15, -14:15]) <= 14)[40:-40, 40:-40]
    lab, n = ndi.label(~m)                      # fill small gaps where nothing happens to differ
    if n:
        size = ndi.sum_labels(~m, lab, np.arange(1, n + 1))
        m = m | np.isin(lab, 1 + np.nonzero(size < 260)[0])
    lab, n = ndi.label(m)                       # drop specks
    if n:
        size = ndi.sum_labels(m, lab, np.arange(1, n + 1))
        m = np.isin(lab, 1 + np.nonzero(size >= 25)[0])
    return m


def picture(seed, cat, part, i, kind=None):
    fn = CATS[cat][0]
    key = [seed, zlib.crc32(f"{cat}/{part}".encode()), i]
    scene = lambda k: fn(np.random.default_rng(key + [1]), k, np.random.default_rng(key + [2 + 10 * t]))
    f, n = camera(np.random.default_rng(key + [3]))
    grain = np.random.default_rng(key + [4]).normal(0, n, (N, N, 3))
    t = 0
    whole = f(scene(None))
    if kind is None:
        out, m = whole, None
    else:
        for t in range(8):                      # draw the damage again when too little of it shows
            out = f(scene(kind))
            m = mask_of(whole, out, kind)
            if m.sum() >= 220:
                break
    return (np.clip(out + grain, 0, 1) * 255).round().astype(np.uint8), m


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--out", default="data")
    ap.add_argument("--only", nargs="*")
    ap.add_argument("--few", type=int, default=0, help="a trial: at most so many pictures of each kind")
    o = ap.parse_args()
    cut = lambda n: min(n, o.few) if o.few else n
    for cat, (_, kinds) in CATS.items():
        if o.only and cat not in o.only:
            continue
        for part, n in [("train/good", 8), ("test/good", 12)] + [(f"test/{k}", 6) for k in kinds]:
            kind = None if part.endswith("good") else part.split("/")[1]
            os.makedirs(f"{o.out}/{cat}/{part}", exist_ok=True)
            for i in range(cut(n)):
                im, m = picture(o.seed, cat, part, i, kind)
                Image.fromarray(im).save(f"{o.out}/{cat}/{part}/{i:03d}.png")
                if kind:
                    g = f"{o.out}/{cat}/ground_truth/{kind}"
                    os.makedirs(g, exist_ok=True)
                    Image.fromarray((m * 255).astype(np.uint8)).save(f"{g}/{i:03d}_mask.png")


if __name__ == "__main__":
    main()
