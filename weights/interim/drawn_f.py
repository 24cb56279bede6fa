"""Toy zero-shot anomaly benchmark: 8 categories x 4 defects, MVTec layout, 240x240.
usage: make.py [--out DIR] [--sheets DIR] [--only cat,cat] [--quick]"""
import os, sys, zlib, shutil, argparse
for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(k, "1")
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage as ndi
from scipy.interpolate import PchipInterpolator

SEED, P, S = 20240611, 240, 2
N = P * S
_a = (np.arange(N, dtype=np.float32) + .5) / N * 2 - 1
X, Y = np.meshgrid(_a, _a)
STEP = 2.0 / N                      # one supersampled pixel
PX = 2.0 / P                        # one final pixel
f32 = np.float32

# ------------------------------------------------------------------ helpers
def lin(c): return np.asarray(c, f32) ** 2.2
def hexc(h): return lin([int(h[i:i + 2], 16) / 255 for i in (0, 2, 4)])
def sm(x, a, b):
    t = np.clip((x - a) / (b - a), 0, 1); return t * t * (3 - 2 * t)
def cover(d, w=STEP * 1.2):         # signed distance (inside > 0) -> coverage
    return np.clip(d / w + .5, 0, 1).astype(f32)
def mix(a, b, m):
    m = m[..., None] if np.ndim(m) == 2 else m
    return a * (1 - m) + b * m
def gs(a, s): return ndi.gaussian_filter(a, s / STEP, mode="nearest")
def jit(rng, c, s=.05):             # jitter a linear colour
    return np.clip(c * np.exp(rng.normal(0, s, 3) + rng.normal(0, s * 1.5)), 0, 1).astype(f32)

class Noise:                        # smooth periodic noise that can be sampled anywhere
    def __init__(s, rng):
        g = np.pad(rng.normal(0, 1, (64, 64)).astype(f32), 4, mode="wrap")
        im = Image.fromarray(g).resize((72 * 8, 72 * 8), Image.BICUBIC)
        s.t = np.asarray(im, f32)[32:-32, 32:-32] * 1.25
    def __call__(s, U, V, fu, fv=None, oct=1):
        fv = fu if fv is None else fv
        out = 0; amp = 1; tot = 0
        for o in range(oct):
            k = 2 ** o
            c = [(V * fv * k + 7.3 * o) * 8, (U * fu * k + 3.1 * o) * 8]
            out = out + amp * ndi.map_coordinates(s.t, c, order=1, mode="grid-wrap")
            tot += amp ** 2; amp *= .55
        return (out / np.sqrt(tot)).astype(f32)

def rot(x, y, a): return x * np.cos(a) + y * np.sin(a), -x * np.sin(a) + y * np.cos(a)

def blob(nz, U, V, cx, cy, r, el=1., a=0., rough=.25, fine=.08):
    """signed field, positive inside an irregular patch"""
    u, v = rot(U - cx, V - cy, a)
    d = np.hypot(u / el, v * el)
    return r * (1 + rough * np.tanh(nz(u + 5, v + 2, .45 / r)) + fine * np.tanh(nz(u, v, 2.2 / r))) - d

def poly(U, V, pts, w0, w1):
    """signed field inside a tapered stroke along pts"""
    pts = np.asarray(pts, f32); best = np.full(U.shape, -9, f32); n = len(pts) - 1
    for i in range(n):
        p, q = pts[i], pts[i + 1]; e = q - p; L2 = float(e @ e) + 1e-12
        m = max(w0, w1) + .06
        lo, hi = np.minimum(p, q) - m, np.maximum(p, q) + m
        box = (U > lo[0]) & (U < hi[0]) & (V > lo[1]) & (V < hi[1])
        if not box.any(): continue
        u, v = U[box] - p[0], V[box] - p[1]
        t = np.clip((u * e[0] + v * e[1]) / L2, 0, 1)
        w = w0 + (w1 - w0) * (i + t) / n
        best[box] = np.maximum(best[box], w - np.hypot(u - t * e[0], v - t * e[1]))
    return best

def walk(rng, x, y, a, L, n=10, wob=.5):
    pts = [(x, y)]; b = a
    for i in range(n):
        b = a + rng.normal(0, wob)
        x += np.cos(b) * L / n; y += np.sin(b) * L / n
        pts.append((x, y))
    return pts

def crack_field(rng, U, V, x, y, a, L, w, branches=2, wob=.5, both=False):
    n = 11; pts = walk(rng, x, y, a, L, n, wob)
    f = np.maximum(poly(U, V, pts[4::-1], w, w * .4), poly(U, V, pts[4:], w, w * .45)) if both else poly(U, V, pts, w, w * .45)
    for _ in range(branches):
        i = rng.integers(2, n - 3)
        b = a + rng.choice([-1, 1]) * rng.uniform(.5, 1.1)
        f = np.maximum(f, poly(U, V, walk(rng, *pts[i], b, L * rng.uniform(.25, .45), 6, wob), w * .75, w * .3))
    return f

class Light:
    def __init__(s, rng):
        az, el = rng.uniform(-2.7, -.45), rng.uniform(.65, 1.1)
        s.L = np.array([np.cos(az) * np.cos(el), np.sin(az) * np.cos(el), np.sin(el)], f32)
        s.h = s.L + np.array([0, 0, 1], f32); s.h /= np.linalg.norm(s.h)
        s.amb = rng.uniform(.35, .55); s.dif = 1.05 - s.amb
        t = rng.normal(0, .035); s.col = np.array([1 + t, 1, 1 - t], f32)
        b, k = rng.uniform(0, 6.28), rng.uniform(.05, .24)
        s.field = 1 + k * (X * np.cos(b) + Y * np.sin(b)) - rng.uniform(0, .1) * (X ** 2 + Y ** 2)
        on = rng.random() < .4                       # soft shadow of something outside the picture
        b, o, w, dk = rng.uniform(0, 6.28), rng.uniform(.15, .8), rng.uniform(.03, .2), rng.uniform(.2, .42)
        k2, ph = rng.uniform(0, .08), rng.uniform(0, 6)
        if on:
            q, q2 = rot(X, Y, b)
            s.field = s.field * (1 - dk * sm(q + k2 * np.sin(4 * q2 + ph), o - w, o + w))
        s.field = s.field.astype(f32)
    def normals(s, H):
        gy, gx = np.gradient(H, STEP)
        n = np.stack([-gx, -gy, np.ones_like(H)], -1)
        return n / np.linalg.norm(n, axis=-1, keepdims=True)
    def shade(s, col, H, spec=0., p=30., n=None):
        n = s.normals(H) if n is None else n
        d = np.clip(n @ s.L, 0, None) / s.L[2] ** .5
        hl = np.clip(n @ s.h, 0, 1) ** p
        hl = hl - (s.h[2] ** p)                      # flat ground gets no haze
        sp = (spec * np.clip(hl, 0, 1))[..., None] if np.ndim(hl) else 0
        return (col * (s.amb + s.dif * d)[..., None] + sp) * s.col
    def shadow(s, A, height, soft):
        dx, dy = -s.L[0] / s.L[2] * height, -s.L[1] / s.L[2] * height
        a = ndi.shift(A, (dy / STEP, dx / STEP), order=1, mode="constant")
        return np.clip(.75 * gs(a, soft) + .35 * gs(A, soft * .5), 0, 1)

def ground(rng, lt, avoid=None):
    """table tops: plain, wooden, striped/checked cloth, speckled stone"""
    nz = Noise(rng); kind = rng.choice(["plain", "plain", "wood", "stripe", "check", "stone"])
    a = rng.uniform(0, 3.14); u, v = rot(X, Y, a)
    pal = ["b9b4a8", "8f9aa6", "d8d2c4", "5d666e", "a98d6c", "7d8f7b", "c9c3d0", "3f4a57", "cfae9a", "e4e2de"]
    c = jit(rng, hexc(pal[rng.integers(len(pal))])); c2 = jit(rng, hexc(pal[rng.integers(len(pal))]))
    z1, z2 = rng.uniform(.13, .3), rng.uniform(.5, .9)
    wc = jit(rng, hexc(["b98a57", "8a5d38", "d2ae7d", "6b4a33"][rng.integers(4)]), .04)
    H = .0015 * nz(X, Y, 25, oct=2)
    if kind == "plain": C = c * (1 + .05 * nz(X, Y, 2, oct=3))[..., None]
    elif kind == "wood":
        g = nz(u, v, .7, 9, 3); C = wc * np.exp(.16 * g + .06 * nz(u, v, 2, 40))[..., None]
        C = C * (1 - .5 * cover(.006 - np.abs((v + 3) % z2 - z2 / 2)))[..., None]
    elif kind in ("stripe", "check"):
        c2 = mix(c, c2, .7)
        t = sm(np.abs((u + 9) % z1 - z1 / 2), z1 * .22, z1 * .28)
        if kind == "check": t = .5 * (t + sm(np.abs((v + 9) % z1 - z1 / 2), z1 * .22, z1 * .28))
        C = mix(c, c2, t) * (1 + .06 * nz(X, Y, 30))[..., None]; H = H + .003 * nz(X, Y, 1.2)
    else:
        n = nz(X, Y, 16, oct=2); C = c * (1 + .18 * np.tanh(2 * n))[..., None]
        C = mix(C, c2, .6 * sm(nz(X + 1, Y, 11), 1.2, 1.5))
    return lt.shade(np.clip(C, 0, 1), H, .05, 20)

def finish(img, cam):
    img = np.clip(img * cam["exp"] * cam["wb"], 0, None)
    img = np.where(img > .75, .75 + .25 * np.tanh((img - .75) / .25), img)
    img = ndi.gaussian_filter(img, (cam["blur"] * S, cam["blur"] * S, 0))
    img = img.reshape(P, S, P, S, 3).mean((1, 3))
    return np.clip(img, 0, 1) ** (1 / 2.2)

def camera(rng):
    t = rng.normal(0, .03)
    return dict(exp=np.exp(rng.normal(0.03, .12)), wb=np.array([1 + t, 1, 1 - t], f32),
                blur=rng.uniform(.25, .75), noise=rng.uniform(.004, .016), nseed=int(rng.integers(1 << 30)))

def pose(rng, s, th=3.1416, sh=.1):
    a = rng.uniform(-th, th); cx, cy = rng.uniform(-sh, sh, 2); s = rng.uniform(*s)
    u, v = rot(X - cx, Y - cy, a); return (u / s).astype(f32), (v / s).astype(f32), s, a

def pick(rng, W):                   # a random pixel of a region -> indices
    i = np.flatnonzero(W > .5); k = i[rng.integers(len(i))]; return np.unravel_index(k, W.shape)

def put(G, O, A, lt, sh): return (mix(G * (1 - .72 * sh)[..., None], O, A)) * lt.field[..., None]
def goo(rng): return jit(rng, hexc(["7a1f12", "5a3413", "c08a14", "47601a", "e0d8b8", "2d2016"][rng.integers(6)]), .08)

# ------------------------------------------------------------------ objects
def apple(rng, d, q):
    lt = Light(rng); G = ground(rng, lt); nz = Noise(rng); dn = Noise(q)
    u, v, s, a = pose(rng, (.58, .74), .35, .13)
    wid, tap, dp = rng.uniform(.98, 1.1), rng.uniform(.02, .12), rng.uniform(.13, .2)
    uu = u / wid / (1 - tap * v)
    ph = np.arctan2(uu, -v); r = np.hypot(uu, v)
    R = 1.03 - dp * 1.15 * np.exp(-(ph / .42) ** 2) - .07 * np.exp(-((np.abs(ph) - 3.1416) / .35) ** 2)
    rho = r / R; A = cover((R - r) * s)
    dome = np.sqrt(np.clip(1 - np.minimum(rho, .995) ** 2.2, 0, 1)) * .85
    pit = np.exp(-(uu / .3) ** 2 - ((v + .80) / .16) ** 2)
    H = s * (dome - .10 * pit)
    base, blush, k = [("b3121c", "e2a33c", .35), ("8fae2f", "c9cf5a", .4), ("d9b93a", "c8402a", .5), ("8e0f1d", "b4402c", .4), ("c8342c", "e8c860", .6)][rng.integers(5)]
    base, blush = jit(rng, hexc(base)), jit(rng, hexc(blush))
    mer = uu / np.sqrt(np.clip(1 - v ** 2, .08, 1))
    st = nz(mer, v, 5, .7, 2); side = rng.uniform(-1, 1)
    m = sm(.5 * nz(u, v, .6) + .35 * st + side * u + .2, .0, 1.6) * k * 1.6
    C = mix(base, blush, np.clip(m, 0, 1)); C = C * (1 + .08 * st)[..., None]
    C = mix(C, hexc("d8c27c"), .38 * sm(nz(u, v, 24), 1.45, 1.9))
    C = mix(C, hexc("7c7a2c"), .75 * np.clip(pit * 1.3 - .3, 0, 1))
    spec = np.full(A.shape, .5, f32); al = None
    if d:
        W = A * (rho < .78) * (v > -.55)
        iy, ix = pick(q, W); x0, y0 = u[iy, ix], v[iy, ix]; a0 = q.uniform(0, 3.14)
    if d == "bruise":
        f = blob(dn, u, v, x0, y0, q.uniform(.2, .34), 1.15, a0, .18, .03); m = sm(f, -.02, .07); al = f > -.05
        C = mix(C, jit(q, hexc("4a2a14")) * (1 + .12 * dn(u, v, 6, oct=2))[..., None], .88 * m)
        H = H - s * .025 * sm(f, -.05, .14); spec = spec * (1 - .8 * m)
    if d == "cut":
        L, w = q.uniform(.3, .46), q.uniform(.05, .08)
        x1, y1 = rot(u - x0, v - y0, a0); y1 = y1 + .25 * x1 ** 2 + .008 * dn(u, v, 9)
        f = w * np.clip(1 - (x1 / L) ** 2, -1, 1) - np.abs(y1); al = f > -.03
        m = cover(f * s); C = mix(C, hexc("efe2b4"), m)
        C = mix(C, hexc("3a2410"), .9 * sm(f, w * .45, w * .75)); H = H - s * .12 * sm(f, -.01, w)
        spec = spec * (1 - m)
    if d == "mold":
        f = blob(dn, u, v, x0, y0, q.uniform(.2, .3), 1.1, a0, .3, .12); m = sm(f, -.03, .05); al = f > -.06
        fz = dn(u, v, 14, oct=3)
        mc = mix(hexc("c9cfc2"), hexc("5f7d6b"), sm(f + .05 * fz, .08, .15))
        C = mix(C, hexc("5a3a1c"), .7 * sm(f, -.1, .0) * (f > -.1)); C = mix(C, mc * (1 + .25 * fz)[..., None], np.clip(m * (1 + .3 * fz), 0, 1))
        H = H + s * m * (.03 + .012 * fz); spec = spec * (1 - m)
    if d == "bite":
        t = q.choice([-1, 1]) * q.uniform(.7, 2.3); rr = 1.0
        bx, by, br = np.sin(t) * rr * wid, -np.cos(t) * rr, q.uniform(.34, .46)
        an = np.arctan2(v - by, u - bx); dd = np.hypot(u - bx, v - by)
        br2 = br * (1 - .09 * np.abs(np.sin(an * 3.5 + 1)) + .02 * dn(u, v, 6))
        f = br2 - dd; m = cover(f * s) * A; al = (f > -.02) & (A > .3)
        C = mix(C, hexc("f1e3b2") * (1 + .08 * dn(u, v, 9, oct=2))[..., None], m)
        C = mix(C, hexc("c89a52"), m * .5 * sm(f, .05, 0)); spec = spec * (1 - .9 * m)
        H = np.where(f > 0, H - s * (.9 * np.sqrt(np.clip(br2 ** 2 - dd ** 2, 0, 1))) , H)
        A = A * (1 - cover((br * .62 * (1 + .05 * dn(u, v, 5)) - np.hypot(u - bx * 1.1, v - by * 1.1)) * s))
    n = lt.normals(gs(H, .006)); O = lt.shade(C, H, spec, 45, n)
    bounce = np.clip(.15 + .85 * n[..., 2], 0, 1); O = O * (.55 + .45 * bounce)[..., None]
    stx, sl = rng.uniform(-.1, .1), rng.uniform(.24, .36)
    sp = [(0, -.70), (stx * .3, -.70 - sl * .5), (stx, -.72 - sl)]
    fs = poly(u, v, sp, .035, .048); As = cover(fs * s)
    O = mix(O, hexc("4a3018") * (.6 + 9 * np.clip(fs, 0, .06))[..., None], As)
    A = np.maximum(A, As)
    out = put(G, O, A, lt, lt.shadow(A, .16, .05))
    return out, al

def leaf(rng, d, q):
    lt = Light(rng); G = ground(rng, lt); nz = Noise(rng); dn = Noise(q)
    u, v, s, a = pose(rng, (.96, 1.1), 3.14, .08)
    cv, W, ex, nser, ks = rng.uniform(-.16, .16), rng.uniform(.34, .5), rng.uniform(.8, 1.25), rng.integers(9, 15), rng.uniform(0, .025)
    per, sl = rng.uniform(.15, .2), rng.uniform(.7, 1.0)
    c1, c2 = [("3f7d2a", "8fb35a"), ("2f6b34", "79a85f"), ("7b9a2c", "c4cc70"), ("b5531f", "e3a44c"), ("c7a02a", "ead98a"), ("24592e", "9cc27c")][rng.integers(6)]
    c1, c2 = jit(rng, hexc(c1)), jit(rng, hexc(c2)); ph = rng.uniform(0, 1)
    def geo(u, v):
        uu = u - cv * (v ** 2 - .3)
        t = np.clip((v + .85) / 1.4, 0, 1)            # tip 0 .. base 1
        w = W * np.clip(np.sin(np.pi * t ** ex), 0, 1) ** .85 * (1 - .15 * t)
        w = w + ks * (np.abs(((v + .4 * np.abs(uu)) * nser + 9) % 1 - .5) - .25) * (w > .03)
        return uu, w - .008 - np.abs(uu), t
    def look(u, v, uu, t):
        vp = (v + sl * np.abs(uu) + ph) / per; fr = np.abs((vp + 20) % 1 - .5)     # .5 at vein
        vein = sm(fr, .5 - .016 / per, .5) * .9; mid = cover(.010 + .016 * t - np.abs(uu), .006)
        H = .022 * np.cos(2 * np.pi * (vp - .5) + np.pi) * -1 * sm(np.abs(uu), 0, .12) - .03 * np.exp(-(uu / .03) ** 2) + .03 * nz(u, v, 1.2)
        C = c1 * np.exp(.14 * nz(u, v, 3, oct=3) + .05 * nz(u, v, 30))[..., None]
        return mix(C, c2, np.clip(np.maximum(vein * .75, mid), 0, 1)), H
    uu, f, t = geo(u, v); C, H = look(u, v, uu, t); A = cover(f * s); al = None; spec = .16; shA = None
    if d in ("hole", "brown_spot"):
        iy, ix = pick(q, (f > (.12 if d == "hole" else .05)) * 1.); x0, y0 = u[iy, ix], v[iy, ix]
    if d == "hole":
        fb = np.full(A.shape, -9, f32)
        for k in range(q.integers(1, 3)):
            fb = np.maximum(fb, blob(dn, u, v, x0 + (k > 0) * q.uniform(-.16, .16), y0 + (k > 0) * .2, q.uniform(.085, .13), 1.1, q.uniform(0, 3), .25, .08))
        al = fb > -.03; C = mix(C, hexc("5b3a1a"), .85 * sm(fb, -.03, -.01)); A = A * (1 - cover(fb * s))
    if d == "brown_spot":
        fb = blob(dn, u, v, x0, y0, q.uniform(.13, .2), 1.15, q.uniform(0, 3), .25, .08)
        for k in range(q.integers(1, 4)):
            fb = np.maximum(fb, blob(dn, u, v, x0 + q.uniform(-.3, .3), y0 + q.uniform(-.3, .3), q.uniform(.04, .07), 1, 0, .2, .05))
        al = fb > -.05; C = mix(C, hexc("d9c24a"), .7 * sm(fb, -.05, .0))
        C = mix(C, hexc("3d2412") * (1 + .25 * dn(u, v, 10, oct=2))[..., None], .93 * sm(fb, .0, .02)); H = H - .02 * sm(fb, 0, .05)
    if d == "tear":
        sd, y0 = q.choice([-1, 1]), q.uniform(-.35, .25)
        dep, wd, sk = q.uniform(.9, 1.0), q.uniform(.11, .18), q.uniform(-.4, .2)
        x1 = sd * uu; yc = y0 - sk * x1 * 1 + .015 * dn(u, v, 6, oct=2)
        ww = wd * np.clip((x1 - W * (1 - dep) - .02) / W, 0, 1) ** .8
        fb = ww - np.abs(v - yc); fb = np.where(x1 > 0, fb, -1); al = fb > -.02
        C = mix(C, hexc("6d5a2a"), .8 * sm(fb, -.02, -.005)); A = A * (1 - cover(fb * s))
    O = lt.shade(C, s * H, spec, 25)
    if d == "fold":                                    # tip or flank turned over
        if q.random() < .5: an, off = q.uniform(-.6, .6) - np.pi / 2, q.uniform(.32, .48)
        else: an, off = q.choice([0, np.pi]) + q.uniform(-.35, .35), W * q.uniform(.28, .45)
        nx, ny = np.cos(an), np.sin(an); cc = (-.15 if abs(ny) < .6 else 0)
        dd = u * nx + (v - cc) * ny - off
        mu, mv = u - 2 * dd * nx, v - 2 * dd * ny
        uu2, f2, t2 = geo(mu, mv); C2, H2 = look(mu, mv, uu2, t2); B = cover(np.minimum(f2, -dd) * s)
        C2 = mix(C2, lin([.86, .9, .72]), .45)
        bulge = -.10 * np.exp(dd / .08) * -1
        O2 = lt.shade(C2, s * (H2 * -.6 + bulge), .05, 20)
        shB = gs(ndi.shift(B, (-lt.L[1] * .05 / STEP, -lt.L[0] * .05 / STEP), order=1), .02)
        A1 = A * cover(-dd * s); O = mix(O * (1 - .55 * shB * (1 - B))[..., None], O2, B)
        al = ((A > .5) & (dd > -.01)) | (B > .5) | ((shB > .25) & (A1 > .5)); A = np.maximum(A1, B)
    fp = poly(u, v, [(cv * (.3 - .3) , .5), (cv * .25, .55), (cv * .4, .78), (cv * .75, .98)], .022, .03)
    Ap = cover(fp * s) * (v > .45); O = mix(O, lt.shade(np.broadcast_to(mix(c1, c2, .6), O.shape), s * np.clip(fp, 0, .03), .1), Ap * (1 - A)); A = np.maximum(A, Ap)
    return put(G, O, A, lt, lt.shadow(A, .035, .018)), al

def plate(rng, d, q):
    lt = Light(rng); G = ground(rng, lt); nz = Noise(rng); dn = Noise(q)
    u, v, s, a = pose(rng, (.7, .84), 3.14, .1)
    sq = rng.uniform(.88, 1); u2, v2 = rot(u, v, -a); v2 = v2 / sq; u, v = rot(u2, v2, a)
    r = np.hypot(u, v); th = np.arctan2(v, u)
    A = cover((1 - r) * s)
    H = s * (.13 * sm(r, .56, .70) + .10 * np.clip(r - .66, 0, 1) - .06 * sm(r, .955, 1.0) + .006 * np.exp(-((r - .66) / .02) ** 2))
    b = jit(rng, hexc(["f0eee8", "efe6d2", "dfe8ee", "e9dcd6", "cfd8c8"][rng.integers(5)]), .02)
    pc = jit(rng, hexc(["1f3f86", "8c1f2a", "2c6b3f", "b5651d", "3a3a40", "6b2f7a"][rng.integers(6)]))
    pc2 = jit(rng, hexc(["d09a2c", "1f3f86", "8c1f2a", "2c6b3f"][rng.integers(4)]))
    kind = rng.integers(4); n = int(rng.integers(14, 22)); ctr = rng.random() < .3
    fr = (th / (2 * np.pi) * n + 5) % 1 - .5; ar = fr * 2 * np.pi * .84 / n
    p1 = np.maximum(cover(.018 - np.abs(r - .955), .008), cover(.010 - np.abs(r - .72), .008))
    if kind == 0: p2 = cover(.048 - np.hypot(ar, r - .84), .008)
    elif kind == 1: p2 = cover(.026 - np.abs(r - .84 - .05 * np.cos(fr * 2 * np.pi)), .008)
    elif kind == 2: p2 = cover(.07 * (1 - (fr / .46) ** 2) - np.abs(r - .84 - .0 * fr), .008) * cover(np.abs(np.abs(fr) - .0) - .03, .03)
    else: p2 = cover(.055 - np.abs(r - .84), .008) * (.35 + .65 * cover(.25 - np.abs(fr), .03))
    if ctr:
        k = np.cos(th * 3) ** 2; p1 = np.maximum(p1, cover(.2 * (.35 + .65 * k) - r, .008) * cover(r - .06, .008))
    al = None; wear = 1.; spec = np.full(A.shape, .35, f32)
    if d == "worn_print":
        t0 = q.uniform(-3.14, 3.14); dt = (th - t0 + 3.1416 * 3) % 6.2832 - 3.1416
        f = q.uniform(.32, .5) - np.abs(dt) + .10 * dn(u, v, 6, oct=3); al = (f > -.05) & (r > .7)
        wear = 1 - .93 * sm(f, -.03, .08) * (r > .66)
    C = b * (1 + .01 * nz(u, v, 2))[..., None]
    C = mix(C, pc2, .9 * p2 * wear); C = mix(C, pc, .92 * p1 * wear)
    if d == "crack":
        t0 = q.uniform(-3.14, 3.14); x0, y0 = np.cos(t0) * .99, np.sin(t0) * .99
        f = crack_field(q, u, v, x0, y0, t0 + 3.1416 + q.uniform(-.6, .6), q.uniform(.7, 1.25), .024, 2, .38); al = f > -.03
        m = cover(f * s, .008); C = mix(C, hexc("2e2620"), .92 * m); H = H - s * .03 * m; spec = spec * (1 - m)
    if d == "chip":
        t0 = q.uniform(-3.14, 3.14); x0, y0 = np.cos(t0), np.sin(t0)
        f = blob(dn, u, v, x0, y0, q.uniform(.18, .28), 1.25, t0 + 1.57, .2, .07); al = f > -.07
        lip = sm(f, -.06, -.05); rough = dn(u, v, 18, oct=3)
        C = mix(C, hexc("b98f66") * (1 + .15 * rough)[..., None], lip); spec = spec * (1 - lip)
        H = H - s * .05 * sm(f, -.06, 0) + s * .006 * rough * lip; A = A * (1 - cover(f * s))
    if d == "stain":
        iy, ix = pick(q, (r < .8) * 1.); x0, y0 = u[iy, ix], v[iy, ix]
        f = blob(dn, u, v, x0, y0, q.uniform(.15, .26), 1.15, q.uniform(0, 3), .3, .06)
        for k in range(3): f = np.maximum(f, blob(dn, u, v, x0 + q.normal(0, .22), y0 + q.normal(0, .22), q.uniform(.03, .07), 1, 0, .2, .0))
        m = cover(f * s, .012) * (r < .98); al = f > -.03; gc = goo(q); gc = gc if gc[2] < .4 else hexc("7a1f12")
        C = mix(C, gc * (1 + .2 * dn(u, v, 7, oct=2))[..., None], .93 * m); H = H + s * .03 * sm(f, 0, .06)
    O = lt.shade(np.clip(C, 0, 1), H, spec, 60)
    return put(G, O, A, lt, lt.shadow(A, .07, .03)), al

def bottle(rng, d, q):
    lt = Light(rng); nz = Noise(rng); dn = Noise(q)
    hz, hw = rng.uniform(.3, .66), rng.uniform(.01, .06)
    wc = jit(rng, hexc(["cfd3d6", "b7c3bd", "d9cdb8", "8c96a3", "c3a79b", "e6e4e0"][rng.integers(6)]))
    tc = jit(rng, hexc(["8a6440", "b9a58a", "5b5f66", "c7c4bf", "734a33", "9aa7a0"][rng.integers(6)]))
    wall = wc * (1 + .03 * nz(X, Y, 3, oct=3))[..., None]; nst = rng.random() < .35
    pw = rng.uniform(.25, .4)
    if nst: wall = wall * (1 - .16 * sm(np.abs((X + 9) % pw - pw / 2), pw * .2, pw * .25))[..., None]
    tab = tc * np.exp(.12 * nz(X, Y, .8, 8, 3))[..., None]
    G = mix(wall, tab * .95, sm(Y, hz - hw, hz + hw)) * (.9 - .0 * Y)[..., None]
    u, v, s, a = pose(rng, (.9, 1.02), .06, .04); u = u + rng.uniform(-.25, .25)
    bw, sh, nk = rng.uniform(.27, .36), rng.uniform(-.34, -.14), rng.uniform(.085, .115)
    pts = [(-.95, nk), (-.62, nk * 1.02), ((sh - .62) / 2 + .06, nk * 1.6), (sh, bw * .95), (sh + .08, bw), (.82, bw), (.86, bw * .97), (.885, bw * .88)]
    pv = np.array([p[0] for p in pts]); W = PchipInterpolator(pv, [p[1] for p in pts])(np.clip(v, -.95, .885)).astype(f32)
    cap = (v < -.76); ck = rng.uniform(1.15, 1.35); W = np.where(cap, nk * ck, W)
    f = np.minimum(W - np.abs(u), np.minimum(v + .94, .885 - v)); A = cover(f * s)
    nx = np.clip(u / W, -1, 1); ph = np.arcsin(nx * .999)
    glass = rng.integers(5)
    tint = jit(rng, hexc(["6a3510", "2c6a35", "2d5f9a", "dfe3e2", "c9482f"][glass]), .06); opaque = glass >= 3
    lv = rng.uniform(-.45, .05); edge = .35 + .65 * np.sqrt(np.clip(1 - nx ** 2, 0, 1))
    if opaque: B = tint * (1 + .0 * X)[..., None] * (.3 + .75 * edge)[..., None] * (1 + .22 * nx * np.sign(lt.L[0]))[..., None]
    else:
        refr = np.stack([ndi.gaussian_filter(G[..., c], 5) for c in range(3)], -1)[:, ::-1]
        B = refr * (tint ** .6) * (edge ** .8)[..., None] + tint * .18
        B = B * (1 - .35 * cover(v - lv, .01))[..., None]
    # label
    l0 = rng.uniform(max(sh + .1, -.1), max(sh + .16, .04)); l1 = rng.uniform(.6, .72); lw = rng.uniform(.95, 1.25)
    lc = jit(rng, hexc(["efe6cf", "f4f2ee", "d9b44a", "2b4a7c", "a8323a", "3f6b4c"][rng.integers(6)]), .03)
    i1 = jit(rng, hexc(["a8323a", "2b4a7c", "2f2f33", "3f6b4c", "c9862b"][rng.integers(5)]))
    if np.abs(lc - tint).sum() < .4: lc = hexc("2b4a7c") if tint.mean() > .3 else hexc("efe6cf")
    if np.abs(lc - i1).sum() < .35: i1 = hexc("f2ecd8")
    em, nb = rng.integers(3), rng.integers(2, 4)
    lu, lvv = ph * bw, v - (l0 + l1) / 2; lh = (l1 - l0) / 2; lW = lw * bw; al = None
    if d == "crooked_label":
        lu, lvv = rot(lu, lvv, q.choice([-1, 1]) * q.uniform(.22, .36))
    lf = np.minimum(lW - np.abs(lu), lh - np.abs(lvv)); Lm = cover(lf, .006) * (np.abs(nx) < .999)
    LC = lc * (1 + .02 * nz(lu, lvv, 20))[..., None]
    yv = lvv / lh
    ink = np.maximum(cover(.035 - np.abs(np.abs(yv) - .88), .02), 0)
    er = np.hypot(lu, (yv + .25) * lh)
    if em == 0: e = cover(.36 * lh - er, .008) * cover(er - .17 * lh, .008)
    elif em == 1: e = cover(.34 * lh - np.abs(lu) - np.abs((yv + .25) * lh), .008)
    else: e = cover(.36 * lh * (.7 + .3 * np.cos(5 * np.arctan2((yv + .25) * lh, lu))) - er, .008)
    ink = np.maximum(ink, e)
    for k in range(nb):
        wbar = lW * (.7, .5, .6)[k]
        ink = np.maximum(ink, cover(np.minimum(.06 * lh - np.abs(yv * lh - (.30 + .2 * k) * lh), wbar - np.abs(lu)), .008))
    LC = mix(LC, i1, .92 * ink)
    if d == "torn_label":
        c = (q.choice([-1, 1]), q.choice([-1, 1])); an = q.uniform(.35, 1.2)
        dd = (lu * c[0] - lW * .8) * np.cos(an) + (lvv * c[1] - lh) * np.sin(an) + q.uniform(.24, .34) * (1 if an > .7 else .85) + .022 * dn(lu, lvv, 9, oct=3)
        al = (dd > -.05) & (lf > -.02)
        LC = mix(LC, hexc("f6f3ea") * (1 + .06 * dn(lu, lvv, 14))[..., None], sm(dd, -.045, -.035)); Lm = Lm * (1 - cover(dd, .008))
    LC = LC * (.35 + .68 * edge)[..., None] * (1 + .18 * nx * np.sign(lt.L[0]))[..., None]
    shl = np.clip(gs(Lm, .012) - .0, 0, 1) * (1 - Lm); O = mix(B * (1 - .35 * shl)[..., None], LC, Lm)
    # cap
    cc = jit(rng, hexc(["2f2f33", "b3262b", "d8b24a", "e8e6e0", "28518c"][rng.integers(5)]))
    CC = np.broadcast_to(cc, O.shape) * (.3 + .75 * edge)[..., None] * (1 - .18 * (np.cos(ph * 22) > .3))[..., None]
    O = mix(O, CC, cover(-.76 - v, .006)); 
    # highlights
    sd = np.sign(lt.L[0]) if abs(lt.L[0]) > .05 else 1.
    gl = (1 - .75 * Lm) * (1 - .6 * cap)
    hl = np.exp(-((nx - sd * .62) / .07) ** 2) * .55 + np.exp(-((nx + sd * .78) / .05) ** 2) * .2
    hl = hl * sm(v, -.93, -.7) * sm(v, .85, .6)
    fhl = np.ones(A.shape, f32)
    if d == "crack":
        y0 = q.uniform(sh + .05, .75); x0 = q.uniform(-.6, .6) * bw; ff = np.full(A.shape, -9, f32); b0 = q.uniform(0, 6.28)
        for k in range(4): ff = np.maximum(ff, crack_field(q, u, v, x0, y0, b0 + k * 1.6 + q.normal(0, .25), q.uniform(.22, .45), .016, 1, .35))
        ff = np.maximum(ff, .035 - np.hypot(u - x0, v - y0)); al = ff > -.03
        m = cover(ff * s, .006) * (f > 0)
        dk = np.roll(m, (int(.01 / STEP), int(.01 / STEP)), (0, 1))
        O = mix(O, O * .15, .85 * dk); bright = hexc("f4f7f7") if not opaque else hexc("1c1a18")
        O = mix(O, mix(np.broadcast_to(bright, O.shape), hexc("1c1a18"), Lm), .9 * m)
    O = O + (hl * gl)[..., None] * .8
    if d == "dirt":
        iy, ix = pick(q, (f > .02) * 1. * (v > sh)); x0, y0 = u[iy, ix], v[iy, ix]
        ff = blob(dn, u, v, x0, y0, q.uniform(.13, .2), q.uniform(.85, 1.15), 0, .35, .12)
        for k in range(5): ff = np.maximum(ff, blob(dn, u, v, x0 + q.normal(0, .16), y0 + q.normal(0, .16), q.uniform(.02, .045), 1, 0, .2, 0))
        al = ff > -.03; m = cover(ff * s, .012) * A
        mc = jit(q, hexc(["4a3622", "8f7a55", "2a2a22"][q.integers(3)]))
        mc = hexc("9b8761") if (glass in (0, ) and mc.mean() < .06) else mc
        D = lt.shade(mc * (1 + .2 * dn(u, v, 14, oct=3))[..., None], .02 * sm(ff, 0, .05) + .004 * dn(u, v, 12, oct=2), .05)
        O = mix(O, D * (.5 + .5 * edge)[..., None], .95 * m)
    if d == "crooked_label":
        l2, v2 = ph * bw, v - (l0 + l1) / 2
        al = (cover(np.minimum(lW - np.abs(l2), lh - np.abs(v2)) + .02) > 0) | (Lm > .2); al = np.where(al & (f > -.02), np.where((Lm > .5) & (f > 0), 2, 1), 0)     # 2: part of the mask whatever its colour
    # cast shadow on the table
    e = np.exp(-((u - sd * -.12) / (bw * 1.5)) ** 2 - ((v - .89) / .05) ** 2)
    stretch = np.exp(-((u + sd * (.3)) / (bw * 1.6)) ** 2 - ((v - .87) / .06) ** 2)
    G = G * (1 - .6 * np.maximum(e, .8 * stretch))[..., None]
    ws = gs(ndi.shift(A, (.02 / STEP, -lt.L[0] * .45 / STEP), order=1), .05) * (Y < hz); G = G * (1 - .28 * ws)[..., None]
    return mix(G, O, A) * lt.field[..., None] * lt.col, al

def fork(rng, d, q):
    lt = Light(rng); G = ground(rng, lt); nz = Noise(rng); dn = Noise(q)
    u, v, s, a = pose(rng, (.93, 1.04), 3.14, .05)
    hw, tl, hl_ = rng.uniform(.075, .105), rng.uniform(.36, .44), rng.uniform(.205, .24); nt = 4
    top = -.86; g0 = top + tl
    kn = [(-.9, hl_), (g0, hl_), (g0 + .16, hl_ * .92), (g0 + .30, .09), (g0 + .42, .045), (.3, hw * .72), (.72, hw), (.88, hw)]
    Wv = PchipInterpolator([k[0] for k in kn], [k[1] for k in kn])(np.clip(v, -.9, .88)).astype(f32)
    end = np.where(v > .86 - hw, hw - np.hypot(u, np.maximum(v - (.86 - hw), 0)), 9)
    body = np.minimum(np.minimum(Wv - np.abs(u), end), v - g0)
    wt = rng.uniform(.034, .040); cs = np.linspace(-hl_ + wt, hl_ - wt, nt)
    bi = -1; al = None
    if d in ("bent_tine", "broken_tine"): bi = q.integers(nt)
    tin0 = np.full(u.shape, -9, f32); tin = tin0.copy(); gone = np.full(u.shape, -9, f32); bentf = tin0.copy()
    for i, c in enumerate(cs):
        t = np.clip((g0 + .1 - v) / (tl + .1), 0, 1.4)
        w = wt * (1 - .55 * sm(t, .55, 1.02))
        def tine(cc, topv=top): return np.minimum(w - np.abs(u - cc), np.minimum(v - topv, g0 + .1 - v))
        f0 = tine(c); tin0 = np.maximum(tin0, f0); fi = f0
        if i == bi and d == "bent_tine":
            if i in (0, nt - 1): dr = np.sign(c) * (1 if q.random() < .7 else -1)
            else: dr = np.sign(c)
            cc = c + dr * q.uniform(.2, .34) * t ** 1.8; sl = dr * .5 * t
            fi = np.minimum((w - np.abs(u - cc) * .85), np.minimum(v - top - .05, g0 + .1 - v)); bentf = fi
        if i == bi and d == "broken_tine":
            tv = top + tl * q.uniform(.45, .78); fi = np.minimum(f0, v - tv - .012 * dn(u, v, 20)); gone = np.where(v < tv + .02, f0, -9)
        tin = np.maximum(tin, fi)
    # rounded bottoms of the gaps
    def solid(tn): return np.maximum(body, tn)
    f = solid(tin); 
    gap = np.full(u.shape, 9, f32); gw = (cs[1] - cs[0]) / 2 - wt
    for i in range(nt - 1):
        m = (cs[i] + cs[i + 1]) / 2; gap = np.minimum(gap, np.hypot(u - m, v - g0) - gw)
    f = np.where(gap < 0, np.minimum(f, np.where(bentf > 0, f, gap)), f)
    A = cover(f * s)
    dist = ndi.distance_transform_edt(A > .5).astype(f32) * STEP
    Hh = .028 * (1 - np.exp(-dist / .022)); bowl = .16 * np.exp(-((v - g0 - .03) / .26) ** 2) * (1 - .35 * (u / hl_) ** 2) - .10 * np.exp(-((v - .1) / .45) ** 2)
    H = gs(s * (Hh + bowl), .005); spec = .5
    n = lt.normals(H); env = rng.uniform(0, 6.28); ph = rng.uniform(2.5, 4)
    k = n[..., 0] * np.cos(env) + n[..., 1] * np.sin(env)
    E = .40 + .24 * np.sin(ph * 1.6 * k + env) + .22 * (n @ lt.L) + .025 * nz(u, v, 30, 2, 2)
    tone = jit(rng, hexc(["d8dadc", "e0d6c0", "c4c8cc", "d9b878"][rng.choice(4, p=[.4, .2, .25, .15])]), .02)
    O = tone * np.clip(E, .04, 1.3)[..., None] * 1.15; O = O + (np.clip(n @ lt.h, 0, 1) ** 60 * .5)[..., None]
    orn = rng.random() < .4                               # ornament on the handle
    if orn: O = O * (1 - .55 * np.maximum(cover(.010 - np.abs(np.hypot(u, (v - .7) * .6) - hw * .55), .006), cover(.008 - np.abs(u), .006) * sm(v, .28, .3) * sm(v, .58, .56)))[..., None]
    if d in ("rust", "residue"):
        iy, ix = pick(q, (f > .01) * (np.abs(v) < .75)); x0, y0 = u[iy, ix], v[iy, ix]
    if d == "rust":
        fb = blob(dn, u, v, x0, y0, q.uniform(.15, .22), 1.1, q.uniform(0, 3), .3, .15); al = (fb > -.04) & (f > 0)
        m = sm(fb + .03 * dn(u, v, 18, oct=2), -.01, .03); rn = dn(u, v, 14, oct=3)
        R = mix(hexc("8a3f12"), hexc("3c1a0c"), sm(rn, -.4, 1.0)); R = mix(R, hexc("c8742a"), sm(rn, .3, -1.2) * .6)
        O = mix(O, lt.shade(R, H + .004 * rn, .02), .93 * m)
    if d == "residue":
        fb = blob(dn, u, v, x0, y0, q.uniform(.11, .16), 1.15, q.uniform(0, 3), .3, .1)
        for j in range(3): fb = np.maximum(fb, blob(dn, u, v, x0 + q.normal(0, .05), y0 + q.normal(0, .2), q.uniform(.02, .045), 1, 0, .2, 0) * np.where(f > -.02, 1, 9))
        al = fb > -.03; near = cover((f + .03) * s) ; m = cover(fb * s) * near
        gc = goo(q); gc = hexc("47601a") if gc.mean() < .02 else gc
        D = lt.shade(gc * (1 + .15 * dn(u, v, 10, oct=2))[..., None], s * (.05 * sm(fb, 0, .06) + .006 * dn(u, v, 12, oct=2)), .35, 30)
        O = mix(O, D, m); A = np.maximum(A, m)
    if d == "bent_tine":
        o0 = (tin0 > -.008) ^ (tin > -.008); al = (o0 | (bentf > -.01)) & (v < g0 + .05)
    if d == "broken_tine": al = gone > -.01
    return put(G, O, A, lt, lt.shadow(A, .045, .015)), al

# ------------------------------------------------------------------ surfaces
def spot(q, m=.72): return q.uniform(-m, m), q.uniform(-m, m)

def brick_wall(rng, d, q):
    lt = Light(rng); nz = Noise(rng); dn = Noise(q)
    a, z = rng.normal(0, .035), rng.uniform(.85, 1.2); u, v = rot(X, Y, a); u, v = u / z + rng.uniform(0, 9), v / z + rng.uniform(0, 9)
    bh = rng.uniform(.26, .34); bw = bh * rng.uniform(2.0, 2.5); mw = rng.uniform(.014, .024); bond = rng.choice([.5, .5, .33])
    uw, vw = u + .008 * nz(u, v, 2.2, oct=3), v + .008 * nz(u + 3, v, 2.2, oct=3)
    row = np.floor(vw / bh).astype(int); uo = uw + (row % 2) * bond * bw; col = np.floor(uo / bw).astype(int)
    fx, fy = uo - col * bw, vw - row * bh
    e = np.minimum(np.minimum(fx, bw - fx), np.minimum(fy, bh - fy)) - mw; br = cover(e + .003 * nz(u, v, 22, oct=2), .008)
    hs = rng.permutation(997).astype(f32) / 997; idx = (row * 131 + col * 17) % 997; t1, t2 = hs[idx], hs[(idx * 7 + 3) % 997]
    p = [("9c4a35", "b5654a", "7c3a2d"), ("b98a5c", "cfa678", "a3744a"), ("8a6f63", "a58a7c", "6f5a52"), ("b9573c", "8d4b3c", "c9785a"), ("d8d3c8", "e2ded6", "cac4b8")][rng.integers(5)]
    p = [jit(rng, hexc(c), .04) for c in p]
    C = mix(mix(p[0], p[1], t1), p[2], sm(t2, .6, 1) * .8)
    C = C * np.exp(.12 * nz(u, v, 6, oct=4) + .08 * nz(u, v, 40))[..., None]
    mc = jit(rng, hexc(["b9b3a8", "cfcac0", "8f8a82", "a39a8c"][rng.integers(4)]), .04) * np.exp(.08 * nz(u, v, 25, oct=2))[..., None]
    H = z * (.022 * sm(e, -.008, .022) + .0035 * nz(u, v, 9, oct=4)); al = None
    if d: x0, y0 = spot(q); x0, y0 = [float(w) for w in (x0, y0)]
    Cc = mix(mc, C, br)
    if d == "crack":
        an = q.uniform(.5, 2.6); L = q.uniform(.8, 1.3); x1, y1 = x0 * .7 - np.cos(an) * L / 2, y0 * .7 - np.sin(an) * L / 2
        f = crack_field(q, X, Y, x1, y1, an, L, .036, 2, .6, True) + .006 * dn(X, Y, 16, oct=2); al = f > -.02
        m = cover(f, .01); Cc = mix(Cc, hexc("17130f"), .95 * m); H = H - .05 * sm(f, -.005, .02)
    if d == "hole":
        f = blob(dn, X, Y, x0, y0, q.uniform(.17, .26), 1.2, a, .22, .1); al = f > -.05; m = cover(f, .012); rn = dn(X, Y, 12, oct=4)
        dep = sm(f, 0, .10); inner = mix(hexc("c08a68") if p[0][0] > p[0][2] * 1.8 else hexc("a39a90"), hexc("1c1613"), sm(f + .015 * rn, .02, .09)) * np.exp(.2 * rn)[..., None]
        Cc = mix(Cc, inner, m); H = H * (1 - m) - .09 * dep + .012 * rn * m
        occ = gs(ndi.shift(1 - m, (-lt.L[1] * .09 / STEP, -lt.L[0] * .09 / STEP), order=1, mode="nearest"), .012)
        Cc = Cc * (1 - .7 * m * occ)[..., None]
    if d == "paint":
        pc = jit(q, hexc(["1f6fb5", "2aa05a", "e8e337", "1b1b1e", "d8348c", "f2f2f2"][q.integers(5 if p[0].mean() > .5 else 6)]))
        if q.random() < .5:
            pw = walk(q, x0 * .7 - .2, y0 * .7, q.uniform(-.8, .8), q.uniform(.5, .8), 6, .9); x0, y0 = pw[q.integers(1, 6)]; f = poly(X, Y, pw, .06, .05) + .006 * dn(X, Y, 9, oct=2)
        else: f = blob(dn, X, Y, x0, y0, q.uniform(.15, .24), 1.05, 0, .3, .14)
        for k in range(3):
            xx = x0 + q.uniform(-.03, .03) + (.07 * k - .03); f = np.maximum(f, poly(X, Y, [(xx, y0), (xx + .01, y0 + q.uniform(.2, .42))], .02, .024) if k < 2 else blob(dn, X, Y, x0 + q.normal(0, .25), y0 + q.normal(0, .25), .035))
        al = f > -.03; m = cover(f, .012); Cc = mix(Cc, pc * np.exp(.05 * dn(X, Y, 14, oct=2))[..., None], .93 * m)
    if d == "moss":
        f = blob(dn, X, Y, x0, y0, q.uniform(.22, .34), 1.1, q.uniform(0, 3), .35, .18); al = f > -.08; rn = dn(X, Y, 22, oct=3)
        m = sm(f + .035 * dn(X, Y, 9, oct=3), -.01, .03); Cc = mix(Cc, mix(jit(q, hexc("3f5f1f")), hexc("8aa03c"), sm(rn, -1, 1.5)), .94 * m); H = H + m * (.02 + .008 * rn)
    return lt.shade(np.clip(Cc, 0, 1), H, .02, 10) * lt.field[..., None], al

def fabric(rng, d, q):
    lt = Light(rng); nz = Noise(rng); dn = Noise(q)
    a = rng.uniform(0, 3.14); u, v = rot(X, Y, a); al = None
    kind = rng.choice(["plain", "stripe", "plaid", "plaid", "dots"]); per = rng.uniform(.038, .05)
    pal = ["2f4a6b", "8c2f36", "d9d2c3", "3f5a45", "c9a24a", "6f6470", "b9c7d2", "e8e4da", "7a4b2e"]
    ks = rng.permutation(len(pal)); c = [jit(rng, hexc(pal[k]), .06) for k in ks[:3]]
    z = rng.uniform(.35, .6); wv = rng.uniform(.01, .035); 
    H0 = wv * (nz(X, Y, .8) + .35 * nz(X + 4, Y, 1.6)); u = u + .012 * nz(X, Y, .9); v = v + .012 * nz(X + 5, Y, .9)
    extra = 0
    if d: x0, y0 = spot(q); an = q.uniform(0, 3.14); x1, y1 = rot(X - x0 * .8, Y - y0 * .8, an)
    if d == "fold":
        L = q.uniform(.6, .95); yy = y1 + .06 * x1 ** 2 + .01 * dn(X, Y, 1.5); tp = np.clip(1 - (x1 / L) ** 2, 0, 1) ** .7
        w = .115 * tp + 1e-4; t = np.clip(yy / w, -1, 1); amp = .22 * tp
        du, dv = rot(np.zeros_like(X), amp * np.sign(t) * (1 - np.abs(t)) ** 2 * .9, -an); du, dv = rot(du, dv, a)
        u, v = u + du, v + dv
        ridge = .075 * tp * np.where(t < 0, sm(t, -1, .1), sm(t, .55, .1)) * (np.abs(yy) < w)
        H0 = H0 + ridge; al = (np.abs(yy) < w + .04) & (np.abs(x1) < L)
        extra = .7 * np.exp(-((yy - w * .5) / .036) ** 2) * sm(tp, 0, .4) - .3 * np.exp(-((yy + w * .1) / .035) ** 2) * sm(tp, 0, .4)
    i, j = np.floor(u / per).astype(int), np.floor(v / per).astype(int); fu, fv = u / per - i - .5, v / per - j - .5
    over = ((i + j) % 2 == 0)
    hw_ = np.where(over, np.sqrt(np.clip(1 - (fu * 1.9) ** 2, 0, 1)) * np.cos(fv * 2.2), np.sqrt(np.clip(1 - (fv * 1.9) ** 2, 0, 1)) * np.cos(fu * 2.2))
    def tone(x):
        t = (x / z) % 1; return mix(mix(c[0], c[1], cover(.17 - np.abs(t - .3), .01)[..., None] if t.ndim == 3 else cover(.17 - np.abs(t - .3), .01)), c[2], cover(.035 - np.abs(t - .72), .01))
    if kind == "plain": T = np.broadcast_to(c[0], X.shape + (3,))
    elif kind == "stripe": T = tone(u)
    elif kind == "plaid": T = mix(tone(u), tone(v), np.where(over, .25, .75).astype(f32))
    else:
        z2 = z * .7; r = np.hypot((u + 9) % z2 - z2 / 2, (v + 9) % z2 - z2 / 2); T = mix(c[0], c[2] if np.abs(c[0] - c[2]).sum() > .2 else hexc("f2eee6"), cover(z2 * .24 - r, .01))
    thr = nz(i * .37, j * .37, 1.); C = T * (.62 + .42 * hw_)[..., None] * np.exp(.06 * np.where(over, nz(u, v, 20, 2), nz(u, v, 2, 20)) + .05 * thr)[..., None]
    H = H0 + .007 * hw_
    under = hexc("14110f") if c[0].mean() > .06 else hexc("cbbfa8")
    if d == "hole" or d == "cut":
        if d == "hole": f = blob(dn, X, Y, x0, y0, q.uniform(.13, .2), 1.1, an, .22, .08)
        else:
            L, w = q.uniform(.32, .5), q.uniform(.045, .07); f = w * np.clip(1 - (x1 / L) ** 2, -1, 1) - np.abs(y1 + .1 * x1 ** 2)
        f = f + (.018 if d == "hole" else .007) * np.where(over, dn(i * .71, v * .2, 1.), dn(u * .2, j * .71, 1.)); al = f > -.035; m = cover(f, .008)
        fray = np.zeros_like(X); bd = sm(f, .075, .0) * (f > 0)       # loose threads across the rim
        fray = np.maximum((np.abs(fu) < .2) * (dn(i * .9, j * .0 + .5, 1.) > .75), (np.abs(fv) < .2) * (dn(i * .0 + .3, j * .9, 1.) > .75)) * bd
        sh = gs(ndi.shift(1 - m, (-lt.L[1] * .05 / STEP, -lt.L[0] * .05 / STEP), order=1, mode="nearest"), .012)
        hole = under * np.exp(.12 * dn(X, Y, 9, oct=2))[..., None] * (1 - .6 * sh)[..., None]
        Tm = np.clip(T * 1.15 + .03, 0, 1)
        C = mix(C, Tm, .5 * sm(f, -.04, 0)); C = mix(C, mix(hole, Tm * .8, .8 * gs(fray.astype(f32), .004)), m); H = np.where(m > .5, H0 - .02, H + .010 * sm(f, -.05, 0))
    if d == "stain":
        f = blob(dn, X, Y, x0, y0, q.uniform(.2, .32), 1.1, an, .25, .06); al = f > -.03; m = sm(f, -.012, .02)
        ring = np.exp(-((f - .02) / .022) ** 2); light = c[0].mean() > .10
        sc = jit(q, hexc(["5a3515", "5c1020", "22303a"][q.integers(3)] if light else ["d8cfb8", "0d0a08", "c7a860"][q.integers(3)]))
        C = mix(C, sc * (.75 + .35 * hw_)[..., None], np.clip(m * (.68 + .1 * dn(X, Y, 3)) + .22 * ring * m, 0, .93))
    O = lt.shade(np.clip(C, 0, 1), H, .02, 10)
    if d == "fold": O = O * (1 - extra)[..., None]
    return O * lt.field[..., None], al

def wooden_floor(rng, d, q):
    lt = Light(rng); nz = Noise(rng); dn = Noise(q)
    a = rng.choice([0, 1.5708]) + rng.normal(0, .18); z = rng.uniform(.85, 1.15); u, v = rot(X, Y, a); u, v = u / z + rng.uniform(3, 9), v / z + rng.uniform(3, 9)
    pw, pl = rng.uniform(.38, .6), rng.uniform(1.5, 2.2)
    row = np.floor(v / pw).astype(int); hs = rng.permutation(997).astype(f32) / 997
    uo = u + hs[(row * 37) % 997] * pl; col = np.floor(uo / pl).astype(int); idx = (row * 131 + col * 17) % 997; t1, t2 = hs[idx], hs[(idx * 7 + 3) % 997]
    fx, fy = uo - col * pl, v - row * pw; e = np.minimum(np.minimum(fx, pl - fx), np.minimum(fy, pw - fy)); 
    U, V = uo + t1 * 40, v + t2 * 30
    # a knot in some planks
    kx, ky = t2 * pl, pw * (.3 + .4 * t1); hask = hs[(idx * 13 + 5) % 997] < .38
    kr = np.hypot((fx - kx) * .55, fy - ky); kn = np.where(hask, np.exp(-(kr / .055) ** 2), 0)
    ring = V * 7 + 1.0 * nz(U, V, .5, 1.3, 2) + 2.2 * np.where(hask, np.exp(-(kr / .1) ** 2), 0)
    g = np.sin(ring * 6.28 * rng.uniform(.55, .8)) ; fine = nz(U, V, 2.2, 45, 2)
    base = jit(rng, hexc(["b5824f", "8b5a36", "d0a874", "6e4730", "a8866a", "c08c58"][rng.integers(6)]), .04)
    C = base * np.exp(.14 * g + .09 * fine + .30 * (t1 - .5) + .06 * nz(U, V, 1, 4, 2))[..., None] * np.array([1, 1, 1], f32)
    C = mix(C, base * .22, np.clip(kn, 0, 1) * .85); seam = sm(e, .013, .005); C = C * (1 - .82 * seam)[..., None]
    H = z * (.012 * sm(e, .0, .02) + .0012 * fine + .0008 * g); al = None; gloss = np.full(X.shape, .08, f32)
    if d: x0, y0 = spot(q)
    if d == "scratch":
        an = a + q.choice([-1, 1]) * q.uniform(.35, 1.3); L = q.uniform(.7, 1.2); f = np.full(X.shape, -9, f32)
        for k in range(q.integers(2, 4)):
            b = an + q.normal(0, .09); ox, oy = x0 * .7 + q.normal(0, .07), y0 * .7 + q.normal(0, .07); l = L * q.uniform(.55, 1)
            f = np.maximum(f, poly(X, Y, [(ox - np.cos(b) * l / 2, oy - np.sin(b) * l / 2), (ox + .03 * np.sin(b), oy), (ox + np.cos(b) * l / 2, oy + np.sin(b) * l / 2)], .021, .013))
        f = f + .004 * dn(X, Y, 20, oct=2); al = f > -.02; m = cover(f, .008)
        pale = base.mean() < .22; C = mix(C, hexc("f0dcb4") if pale else hexc("2e1a0c"), .85 * m); H = H - .02 * sm(f, -.004, .015)
    if d == "hole":
        f = blob(dn, X, Y, x0, y0, q.uniform(.1, .17), 1.25, a, .22, .06) + .03 * dn(U, V, 1.5, 24); al = f > -.05; m = cover(f, .008)
        C = mix(C, hexc("e2c18c") * np.exp(.2 * dn(U, V, 2, 40))[..., None], .8 * sm(f, -.04, -.015)); C = mix(C, hexc("0d0906"), .97 * sm(f, -.004, .02)); H = H - .05 * sm(f, -.02, .03); gloss = gloss * (1 - m)
    if d == "burn":
        f = blob(dn, X, Y, x0, y0, q.uniform(.19, .3), 1.1, q.uniform(0, 3), .2, .06); al = f > -.12; fl = f + .02 * dn(U, V, 2, 16)
        C = mix(C, C * hexc("7a5230"), .85 * sm(fl, -.10, .02)); C = mix(C, hexc("0c0a09") * np.exp(.3 * dn(U, V, 4, 30))[..., None], .96 * sm(fl, .0, .08)); gloss = gloss * (1 - sm(f, -.05, .05))
    if d == "liquid":
        f = blob(dn, X, Y, x0, y0, q.uniform(.2, .32), 1.15, q.uniform(0, 3), .3, .04)
        for k in range(3): f = np.maximum(f, blob(dn, X, Y, x0 + q.normal(0, .3), y0 + q.normal(0, .3), q.uniform(.04, .07), 1, 0, .2, .0))
        al = f > -.03; m = cover(f, .012)
        milk = q.random() < .5; lc = hexc("ece8de") if milk else jit(q, hexc(["5e0f1a", "1d2f5c", "1f120a"][q.integers(3)]))
        C = mix(C, lc, (.93 if milk else .86) * m); H = H * (1 - .8 * m) + .035 * sm(f, 0, .05); gloss = gloss + .5 * m
    return lt.shade(np.clip(C, 0, 1), H, gloss, 30) * lt.field[..., None], al

CATS = {
    "apple": (apple, ["bite", "bruise", "cut", "mold"]),
    "leaf": (leaf, ["brown_spot", "fold", "hole", "tear"]),
    "plate": (plate, ["chip", "crack", "stain", "worn_print"]),
    "bottle": (bottle, ["crack", "crooked_label", "dirt", "torn_label"]),
    "fork": (fork, ["bent_tine", "broken_tine", "residue", "rust"]),
    "brick_wall": (brick_wall, ["crack", "hole", "moss", "paint"]),
    "fabric": (fabric, ["cut", "fold", "hole", "stain"]),
    "wooden_floor": (wooden_floor, ["burn", "hole", "liquid", "scratch"]),
}
MINA = {"bent_tine": 110, "broken_tine": 110}

def rng_of(*k): return np.random.default_rng([SEED] + [zlib.crc32(x.encode()) if isinstance(x, str) else int(x) for x in k])
def noisy(im, cam):
    r = np.random.default_rng(cam["nseed"]); n = r.normal(0, 1, im.shape) + .6 * r.normal(0, 1, im.shape[:2] + (1,))
    return (np.clip(im + cam["noise"] * n, 0, 1) * 255 + .5).astype(np.uint8)

def make(cat, split, kind, i):
    fn, _ = CATS[cat]; key = (cat, split, kind, i)
    cam = camera(rng_of(*key, "cam"))
    clean = finish(fn(rng_of(*key, "scene"), None, rng_of(*key, "d", 0))[0], cam)
    if kind == "good": return noisy(clean, cam), None, {}
    best = None
    for t in range(8):              # retry a defect that came out too small or too faint
        im, al = fn(rng_of(*key, "scene"), kind, rng_of(*key, "d", t)); im = finish(im, cam)
        al = np.asarray(al, f32).reshape(P, S, P, S).mean((1, 3)); sure = al > 1.5; al = al > .3; al = ndi.binary_dilation(al, iterations=1)
        df = np.abs(im - clean).max(-1); m = ((ndi.gaussian_filter(df, .5) > .055) & al) | sure
        m = ndi.binary_closing(np.pad(m, 4), iterations=1 if cat == "fork" else 2)[4:-4, 4:-4]
        m = ndi.binary_fill_holes(m) & (al | m)
        lab, n = ndi.label(m, np.ones((3, 3)))
        if n: sz = ndi.sum(m, lab, np.arange(1, n + 1)); m = np.isin(lab, 1 + np.flatnonzero(sz >= max(8, .03 * sz.max())))
        ar = int(m.sum()); con = float(df[m].mean()) if ar else 0
        sc = min(ar / MINA.get(kind, 260), 1) * min(con / .15, 1)
        if best is None or sc > best[0]: best = (sc, im, m, dict(area=ar, con=round(con, 3), tries=t + 1))
        if sc >= 1: break
    return noisy(best[1], cam), best[2], best[3]

def main():
    ap = argparse.ArgumentParser(); ap.add_argument("--out", default="data"); ap.add_argument("--sheets", default="sheets")
    ap.add_argument("--only"); ap.add_argument("--quick", action="store_true"); o = ap.parse_args()
    os.makedirs(o.sheets, exist_ok=True)
    for cat in (o.only.split(",") if o.only else CATS):
        defs = CATS[cat][1]; root = os.path.join(o.out, cat); shutil.rmtree(root, ignore_errors=True)
        plan = [("train", "good", 4), ("test", "good", 16)] + [("test", k, 4) for k in defs]
        if o.quick: plan = [("test", "good", 4)] + [("test", k, 4) for k in defs]
        rows = []
        for split, k, n in plan:
            dd = os.path.join(root, split, k); os.makedirs(dd); row = []
            gd = os.path.join(root, "ground_truth", k)
            if k != "good": os.makedirs(gd)
            for i in range(n):
                im, m, info = make(cat, split, k, i); Image.fromarray(im).save(f"{dd}/{i:03d}.png"); row.append(im)
                if m is not None:
                    Image.fromarray(m.astype(np.uint8) * 255).save(f"{gd}/{i:03d}_mask.png")
                    e = ndi.binary_dilation(m, iterations=2) & ~ndi.binary_dilation(m, iterations=1)
                    v = im.copy(); v[e] = (255, 0, 255); row.append(v)
                    print(cat, k, i, info, flush=True)
            for j in range(0, len(row), 8): rows.append(row[j:j + 8])
        sheet = Image.new("RGB", (8 * 242, len(rows) * 242), "white")
        for r, row in enumerate(rows):
            for c, im in enumerate(row): sheet.paste(Image.fromarray(im), (c * 242, r * 242))
        sheet.save(f"{o.sheets}/{cat}.png")

if __name__ == "__main__": main()
