"""Synthetic visual anomaly benchmark, MVTec AD layout.  Usage: python render.py [seed]
Every picture is drawn at 480 x 480 by formulas and averaged down to 240 x 240.  A damaged picture is
drawn twice from the same numbers, once without and once with its defect; the mask is where they differ."""
import os, sys, shutil, zlib
import numpy as np
from scipy import ndimage as ndi
from PIL import Image, ImageDraw

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 20240611
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
S, OUT = 480, 240
N_TRAIN, N_GOOD, N_BAD = 5, 12, 5
PX = 2.0 / S
ax = (np.arange(S) + .5) * PX - 1
GX, GY = np.meshgrid(ax, ax)
TAU = 2 * np.pi

# ------------------------------------------------------------------ tools
def ss(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)

def cov(sd, soft=PX):                      # signed distance -> coverage
    return np.clip(.5 - sd / (2 * soft), 0, 1)

def C(*c):
    return np.array(c, float)

def over(img, col, a):
    a = np.asarray(a)[..., None]
    return img * (1 - a) + np.asarray(col) * a

def full(col):
    return np.ones((S, S, 3)) * np.asarray(col)

def mul(img, f):
    return img * np.asarray(f)[..., None]

def vnoise(rng, x, y, f, n=64):            # smooth lattice noise, about 0..1
    L = rng.random((n, n))
    x, y = x * f + 1000.37, y * f + 1000.71
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    i0, i1, j0, j1 = i % n, (i + 1) % n, j % n, (j + 1) % n
    return (L[j0, i0] * (1 - u) + L[j0, i1] * u) * (1 - v) + (L[j1, i0] * (1 - u) + L[j1, i1] * u) * v

def fbm(rng, x, y, f, octs=4):
    s, a, t = 0, 1., 0
    for k in range(octs):
        s = s + a * vnoise(rng, x, y, f * 2 ** k); t += a; a *= .55
    return s / t

def pose(cx, cy, ang, sc):
    c, s = np.cos(ang), np.sin(ang)
    x, y = (GX - cx) / sc, (GY - cy) / sc
    return c * x + s * y, -s * x + c * y

def jit(rng, col, d):
    return np.clip(np.asarray(col) * (1 + rng.uniform(-d, d)) + rng.uniform(-d, d, 3) * .35, 0, 1)

def rbox(x, y, hx, hy, r):
    qx, qy = np.abs(x) - hx + r, np.abs(y) - hy + r
    return np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - r

def poly(x, y, pts):                       # distance to a polyline, position along it 0..1, side
    best = np.full(x.shape, 9.); tt = np.zeros(x.shape); sd = np.zeros(x.shape)
    n = len(pts) - 1
    for k in range(n):
        a, b = pts[k], pts[k + 1]
        d = b - a; l2 = max(d @ d, 1e-9)
        t = np.clip(((x - a[0]) * d[0] + (y - a[1]) * d[1]) / l2, 0, 1)
        ex, ey = x - a[0] - t * d[0], y - a[1] - t * d[1]
        e = np.hypot(ex, ey); m = e < best
        best[m] = e[m]; tt[m] = (k + t[m]) / n; sd[m] = np.sign(d[0] * ey - d[1] * ex)[m]
    return best, tt, sd

def walk(rng, p, ang, length, n=14, jag=.5, drift=.12):
    pts = [np.array(p, float)]; a = ang
    for _ in range(n):
        a += rng.normal(0, drift)
        b = a + rng.normal(0, jag)
        pts.append(pts[-1] + length / n * np.array([np.cos(b), np.sin(b)]))
    return np.array(pts)

def arc(rng, c, ang, length, bend, n=14):
    t = np.linspace(-.5, .5, n)
    a = ang + bend * t
    st = length / n * np.stack([np.cos(a), np.sin(a)], 1)
    p = np.cumsum(st, 0)
    return p - p.mean(0) + np.array(c)

def crack(img, rng, x, y, p, ang, length, w, col, dark=.9, light=None, branch=True, jag=.5, clip=1., n=14):
    """dark jagged line, tapering, with a light lip on one side"""
    pts = walk(rng, p, ang, length, n, jag)
    lines = [(pts, w)]
    if branch:
        k = rng.integers(4, n - 4)
        lines.append((walk(rng, pts[k], ang + rng.choice([-1, 1]) * rng.uniform(.5, 1.), length * rng.uniform(.25, .5), 7, jag), w * .7))
    for q, ww in lines:
        d, t, s = poly(x, y, q)
        wd = ww * (1 - .7 * t)
        if light is not None:
            img = over(img, light, cov(d - 2.4 * wd) * (s > 0) * .5 * clip)
        img = over(img, col, cov(d - wd) * dark * clip)
    return img

def blob(rng, x, y, c, r, rough=.35, f=2.2, stretch=1., ang=0.):
    """signed field of an irregular patch, negative inside"""
    dx, dy = x - c[0], y - c[1]
    u, v = np.cos(ang) * dx + np.sin(ang) * dy, -np.sin(ang) * dx + np.cos(ang) * dy
    n = fbm(rng, x, y, f / r * .6, 3) - .5
    return np.hypot(u / stretch, v * stretch) - r * (1 + 2 * rough * n)

def relief(h, la, k=1., amb=.0, spec=.0, z=.9, sh=30):
    """lambert shading factor around 1 for a flat face, and a highlight; h in picture units"""
    gy, gx = np.gradient(h, PX)
    nx, ny = -gx * k, -gy * k
    n = np.sqrt(nx * nx + ny * ny + 1)
    L = np.array([np.cos(la), np.sin(la), z]); L /= np.linalg.norm(L)
    lam = np.clip((nx * L[0] + ny * L[1] + L[2]) / n, 0, None) / L[2]
    H = L + np.array([0, 0, 1]); H /= np.linalg.norm(H)
    sp = np.clip((nx * H[0] + ny * H[1] + H[2]) / n, 0, 1) ** sh
    return amb + (1 - amb) * lam, spec * (sp - H[2] ** sh)

def bevel(alpha, w):
    d = ndi.distance_transform_edt(alpha > .5) * PX
    t = np.clip(d / w, 0, 1)
    return ndi.gaussian_filter(np.sqrt(1 - (1 - t) ** 2) * w, 1.5)

def shadow(img, alpha, la, dist=.04, blur=8, k=.5):
    dx, dy = -np.cos(la) * dist / PX, -np.sin(la) * dist / PX
    s = ndi.gaussian_filter(ndi.shift(alpha, (dy, dx), order=1), blur)
    return mul(img, 1 - k * s)

def pol(rng, a, b):
    t = rng.uniform(0, TAU); r = rng.uniform(a, b)
    return np.array([r * np.cos(t), r * np.sin(t)]), t

def scratch(img, rng, x, y, c, ang, length, w, light, darkc, st, clip=1.):
    pts = arc(rng, c, ang, length, rng.uniform(-.7, .7))
    d, t, s = poly(x, y, pts)
    wd = w * (.35 + .65 * np.sin(np.pi * np.clip(t, .02, .98)))
    img = over(img, darkc, cov(d - 2.1 * wd) * (s > 0) * .75 * st * clip)
    return over(img, light, cov(d - wd) * st * clip)

# ------------------------------------------------------------------ categories
# each: f(rng, kind, q): rng draws the good picture, q (own generator) draws the defect `kind`

def gear(rng, kind, q):
    la = rng.uniform(-2.6, -.6)
    x, y = pose(*rng.uniform(-.07, .07, 2), rng.uniform(0, TAU), rng.uniform(.98, 1.14))
    bg = jit(rng, C(.30, .36, .40), .12)
    img = mul(full(bg), .88 + .24 * fbm(rng, GX, GY, 6, 4))
    n = 14
    r, th = np.hypot(x, y), np.arctan2(y, x)
    t = np.clip(.5 + 1.25 * np.cos(n * th), 0, 1)
    if kind == "missing_tooth":
        k0, cnt = q.integers(0, n), q.integers(1, 4)
        for k in range(k0, k0 + cnt):
            dth = (th - k * TAU / n + np.pi) % TAU - np.pi
            t = np.where(np.abs(dth) < np.pi / n, t * np.clip(q.uniform(0, .25) + .25 * (vnoise(q, x, y, 14) - .5), 0, 1), t)
    sd = (r - (.60 + .17 * t)) * .8
    hole = r - .15
    key = rbox(x - .15, y, .06, .045, .01)
    sd = np.maximum(sd, -np.minimum(hole, key))
    for k in range(5):
        a = TAU * k / 5 + .3
        sd = np.maximum(sd, -(np.hypot(x - .385 * np.cos(a), y - .385 * np.sin(a)) - .095))
    al = cov(sd)
    h = bevel(al, .045) + .03 * ss(.27, .245, r) - .022 * ss(.50, .53, r)
    base = jit(rng, C(.66, .67, .69), .09)
    brush = .93 + .14 * vnoise(rng, r, th * .08, 70)
    ani = 1 + .10 * np.cos(2 * (th + la))
    col = mul(full(base), brush * ani)
    on = cov(sd + .03)
    if kind == "rust":
        for _ in range(q.integers(1, 4)):
            c, _a = pol(q, .25, .62)
            b = blob(q, x, y, c, q.uniform(.08, .20), .55)
            tex = fbm(q, x, y, 22, 3)
            rc = full(C(.50, .24, .09)) * (.55 + .9 * tex)[..., None]
            col = over(col, rc, ss(.02, -.03, b) * q.uniform(.5, .95))
    lam, sp = relief(h, la, 1.0, .15, .35)
    col = mul(col, lam) + sp[..., None]
    if kind == "scratch":
        for _ in range(q.integers(1, 3)):
            c, a = pol(q, .25, .5)
            col = scratch(col, q, x, y, c, q.uniform(0, TAU), q.uniform(.4, .9), q.uniform(.013, .021), C(1, 1, 1), C(.10, .10, .12), q.uniform(.75, 1), on)
    if kind == "crack":
        c, a = pol(q, .15, .16)
        if q.random() < .5:
            p = c; d = a + q.uniform(-.2, .2)
        else:
            p = c / np.hypot(*c) * .62; d = a + np.pi + q.uniform(-.35, .35)
        col = crack(col, q, x, y, p, d, q.uniform(.3, .5), q.uniform(.012, .022), C(.05, .05, .06), .95, C(.9, .9, .9))
    img = shadow(img, al, la, .05, 9, .6)
    return over(img, col, al)

def shirt_button(rng, kind, q):
    la = rng.uniform(-2.6, -.6)
    ga = rng.uniform(-.2, .2)
    gx, gy = pose(0, 0, ga, 1)
    wv = np.sin(gx * 95) * np.sin(gy * 95)
    img = mul(full(jit(rng, C(.83, .79, .71), .06)), .94 + .06 * wv + .10 * (fbm(rng, gx * .3, gy * 2.5, 6, 3) - .5) + .10 * (fbm(rng, gx * 2.5, gy * .3, 6, 3) - .5))
    x, y = pose(*rng.uniform(-.08, .08, 2), rng.uniform(0, TAU), rng.uniform(.92, 1.12))
    r, th = np.hypot(x, y), np.arctan2(y, x)
    sd = r - .76
    if kind == "chipped_rim":
        for _ in range(q.integers(1, 3)):
            a = q.uniform(0, TAU); cr = q.uniform(.12, .25); rr = .80 + q.uniform(0, .04)
            sd = np.maximum(sd, -blob(q, x, y, (rr * np.cos(a), rr * np.sin(a)), cr, .3, 3))
    skip = -1
    if kind == "blocked_hole":
        skip = q.integers(0, 4)
    part = q.random() < .5 if kind else False
    holes = np.full((S, S), 9.)
    for k in range(4):
        a = TAU / 8 + k * TAU / 4
        dd = np.hypot(x - .215 * np.cos(a), y - .215 * np.sin(a)) - .085
        if k == skip:
            pa = q.uniform(0, TAU) if part else 0
            dd = np.maximum(dd, (x - .215 * np.cos(a)) * np.cos(pa) + (y - .215 * np.sin(a)) * np.sin(pa) + q.uniform(-.01, .04)) if part else dd * 0 + 9
        holes = np.minimum(holes, dd)
    sd2 = np.maximum(sd, -holes)
    al = cov(sd2)
    h = bevel(al, .05) + .06 * np.exp(-((r - .60) / .085) ** 2) - .05 * ss(.50, .40, r) + .02 * ss(.40, .3, r)
    base = jit(rng, C(.10, .42, .50), .13)
    m = fbm(rng, x + .6 * fbm(rng, x, y, 2, 2), y, 3.0, 3)
    col = mul(full(base), .80 + .42 * m)
    if kind == "faded_patch":
        c, _ = pol(q, .1, .6)
        b = blob(q, x, y, c, q.uniform(.16, .34), .4, 2, q.uniform(1, 1.3), q.uniform(0, 3))
        col = over(col, C(.80, .80, .70) if q.random() < .6 else C(.62, .42, .20), ss(.05, -.05, b) * q.uniform(.35, .85))
    lam, sp = relief(h, la, 1.1, .25, .55, .9, 40)
    col = mul(col, lam) + sp[..., None]
    if kind == "crack":
        c, a = pol(q, .74, .76)
        col = crack(col, q, x, y, c, a + np.pi + q.uniform(-.6, .6), q.uniform(.5, 1.1), q.uniform(.012, .022), C(.02, .06, .08), .92, C(.75, .88, .9))
    img = shadow(img, al, la, .05, 8, .55)
    img = mul(img, 1 - .5 * cov(holes) * cov(sd))
    return over(img, col, al)

def pencil(rng, kind, q):
    la = rng.uniform(-2.2, -.9)
    bg = jit(rng, C(.55, .66, .62), .09)
    img = mul(full(bg), .93 + .14 * fbm(rng, GX, GY, 14, 4))
    ang = rng.uniform(-.75, .75) + (np.pi if rng.random() < .5 else 0)
    x, y = pose(*rng.uniform(-.05, .05, 2), ang, rng.uniform(.93, 1.03))
    W = .155
    up = np.sin(la - ang)                                   # light side in object frame
    sgn = 1 if up > 0 else -1
    v = y / W * sgn                                         # +1 = lit edge
    hw = np.where(x > .47, W * (.90 - x) / .43, W)
    hw = np.where(x < -.52, W * .95, hw)
    sd = np.maximum(np.abs(y) - hw, x - .885)
    sd = np.where(x > .47, sd * .94, sd)
    end = -.90
    if kind == "missing_eraser":
        end = -.735 + q.uniform(-.02, .02) - (q.random() < .4) * q.uniform(.0, .07)
        ed = end + .025 * (vnoise(q, x, y, 18) - .5)
        sd = np.maximum(sd, ed - x)
    else:
        sd = np.where(x < -.72, rbox(x + .6, y, .30, W * .95, .07), sd)
    if kind == "broken_tip":
        cut = q.uniform(.62, .80)
        ed = cut + q.uniform(-1, 1) * y * .8 + .06 * (fbm(q, x, y, 16, 2) - .5)
        sd = np.maximum(sd, x - ed)
    al = cov(sd)
    # materials
    sc = .50 + .05 * np.abs(np.cos(np.pi * 1.5 * y / W))
    body = full(jit(rng, C(.93, .70, .12), .07))
    fac = np.where(v > .38, 1.10, np.where(v > -.42, .98, .70))
    fac = ndi.gaussian_filter(fac, 2)
    body = mul(body, fac)
    for a in (-.46, -.40):
        body = over(body, C(.16, .20, .18) * 1.0, cov(np.abs(x - a) - .016))
    # foil stamp: a row of bars
    for k, wd in enumerate((.03, .012, .022, .03, .012)):
        xx = -.22 + .075 * k
        body = over(body, C(.20, .24, .20), cov(rbox(x - xx, y + .01, wd, .032, .006)) * .9)
    wood = mul(full(jit(rng, C(.86, .68, .46), .05)), (.86 + .2 * vnoise(rng, x * .15, y, 60)) * (1.02 + .22 * np.clip(y / np.maximum(hw, .01) * sgn, -1, 1)))
    lead = mul(full(C(.18, .18, .20)), 1 + .5 * np.clip(y / np.maximum(hw, .01) * sgn, -1, 1))
    cyl = .78 + .30 * np.cos((v - .35) * 1.6)
    fer = mul(full(jit(rng, C(.70, .72, .70), .05)), cyl * (.92 + .16 * np.sign(np.sin(x * 130)) * (np.abs(x + .62) < .06)))
    era = mul(full(jit(rng, C(.88, .46, .47), .06)), .80 + .26 * np.cos((v - .3) * 1.4))
    if kind == "tooth_dents":
        cx, n = q.uniform(-.28, .30), q.integers(2, 6)
        h = np.zeros((S, S))
        for k in range(n):
            px, py = cx + q.uniform(-.18, .18), q.uniform(-.8, .8) * W
            e = np.hypot((x - px) / q.uniform(.03, .05), (y - py) / q.uniform(.035, .06))
            h -= q.uniform(.020, .032) * np.exp(-e ** 3)
        lam, sp = relief(h, la, q.uniform(.7, 1.1), .2, .45)
        body = mul(body, np.clip(lam, .35, 1.6) * (1 + 2 * h)) + sp[..., None]
    if kind == "chipped_paint":
        for k in range(q.integers(1, 4)):
            b = blob(q, x, y, (q.uniform(-.3, .42), q.uniform(-.9, .9) * W), q.uniform(.05, .11), .5, 2.5, q.uniform(1, 1.5), 0)
            body = over(body, C(.35, .25, .08), cov(b - .008) * .45)
            body = over(body, mul(full(C(.80, .62, .43)), fac * (.8 + .3 * vnoise(q, x * .15, y, 70))), cov(b))
    col = np.where((x < sc)[..., None], body, wood)
    col = over(col, lead, ss(.755, .765, x + .012 * np.cos(y * 60)))
    col = over(col, fer, ss(-.515, -.521, x))
    col = over(col, era, ss(-.715, -.721, x))
    if kind == "missing_eraser":
        col = over(col, C(.16, .15, .14), ss(.05, .015, x - end) * cov(np.abs(y) - W * .8))
    if kind == "broken_tip":
        col = over(col, C(.62, .45, .28), ss(.05, 0, ed - x) * .55)
    img = shadow(img, al, la, .07, 9, .5)
    return over(img, col, al)

def dinner_plate(rng, kind, q):
    la = rng.uniform(-2.6, -.6)
    ga = rng.uniform(-.3, .3)
    gx, gy = pose(0, 0, ga, 1)
    g = fbm(rng, gx * .25, gy * 2.2, 5, 4)
    img = mul(full(jit(rng, C(.42, .27, .17), .12)), .70 + .6 * g - .25 * (np.abs(((gy + .21) % .62) - .31) > .302))
    x, y = pose(*rng.uniform(-.05, .05, 2), rng.uniform(0, TAU), rng.uniform(.98, 1.10))
    r, th = np.hypot(x, y), np.arctan2(y, x)
    sd = r - .85
    cut = None
    if kind == "chipped_rim":
        cut = np.full((S, S), 9.)
        for _ in range(q.integers(1, 3)):
            a = q.uniform(0, TAU); rr = .86 + q.uniform(0, .03)
            cut = np.minimum(cut, blob(q, x, y, (rr * np.cos(a), rr * np.sin(a)), q.uniform(.09, .19), .35, 3))
        sd = np.maximum(sd, -cut)
    al = cov(sd)
    h = .10 * ss(.46, .60, r) + .03 * ss(.6, .85, r) + .02 * np.exp(-((r - .835) / .02) ** 2)
    col = full(jit(rng, C(.88, .87, .84), .03))
    blue = jit(rng, C(.16, .28, .62), .10)
    pr = np.maximum(cov(np.abs(r - .795) - .012), cov(np.abs(r - .60) - .008))
    n = 12
    gone = set()
    if kind == "missing_print":
        k0 = q.integers(0, n); gone = {(k0 + k) % n for k in range(q.integers(1, 4))}
    for k in range(n):
        if k in gone: continue
        a = TAU * k / n
        dx, dy = x - .70 * np.cos(a), y - .70 * np.sin(a)
        u, v = dx * np.cos(a) + dy * np.sin(a), -dx * np.sin(a) + dy * np.cos(a)
        rho, phi = np.hypot(u, v), np.arctan2(v, u)
        f = np.maximum(cov(rho - .062 * (.70 + .30 * np.cos(5 * phi))) * (rho > .016), 0)
        a2 = a + TAU / n / 2
        dx, dy = x - .70 * np.cos(a2), y - .70 * np.sin(a2)
        f = np.maximum(f, cov(np.hypot(dx, dy) - .016))
        pr = np.maximum(pr, f)
    col = over(col, blue, pr * .92)
    if kind == "food_stain":
        sc = [C(.62, .22, .08), C(.45, .28, .10), C(.42, .45, .12)][q.integers(0, 3)]
        c, _ = pol(q, 0, .6)
        b = blob(q, x, y, c, q.uniform(.09, .22), .5, 2, q.uniform(1, 1.3), q.uniform(0, 3))
        st = q.uniform(.40, .92)
        f = np.maximum(cov(b, .012) * .8, np.exp(-(b / .018) ** 2)) * st
        for _ in range(q.integers(1, 6)):
            o, _ = pol(q, .2, .33)
            f = np.maximum(f, cov(np.hypot(x - c[0] - o[0], y - c[1] - o[1]) - q.uniform(.012, .03), .01) * st)
        col = over(col, sc, f)
    lam, sp = relief(h, la, 1.0, .45, .30, 1.1, 18)
    col = mul(col, lam) + np.clip(sp, -.1, 1)[..., None]
    if cut is not None:
        col = over(col, C(.60, .52, .44), ss(.03, .008, cut))
    if kind == "crack":
        c, a = pol(q, .82, .85)
        col = crack(col, q, x, y, c, a + np.pi + q.uniform(-.5, .5), q.uniform(.5, 1.3), q.uniform(.010, .018), C(.20, .16, .12), q.uniform(.8, .95), None, q.random() < .7, .4)
    img = shadow(img, al, la, .05, 10, .6)
    return over(img, col, al)

def door_key(rng, kind, q):
    la = rng.uniform(-2.4, -.7)
    img = mul(full(jit(rng, C(.16, .33, .24), .12)), .78 + .44 * fbm(rng, GX, GY, 40, 3))
    ang = rng.uniform(-.8, .8)
    x, y = pose(*rng.uniform(-.07, .07, 2), ang, rng.uniform(1.0, 1.12))
    x0, y0 = x, y
    if kind == "bent_blade":
        p0 = q.uniform(-.05, .25); kk = q.uniform(.45, .8) * q.choice([-1, 1])
        y = y + kk * np.clip(x - p0, 0, None) ** 1.6
    bow = np.hypot((x + .48) / 1.0, y / 1.12) - .31
    bow = np.maximum(bow, -(np.hypot(x + .66, y) - .065))
    sh = rbox(x + .15, y, .07, .19, .03)
    prof = np.full((S, S), .125)
    for xc, d in zip((.04, .16, .28, .40, .52, .64), (.07, .13, .05, .15, .09, .12)):
        prof = np.minimum(prof, .125 - d + np.clip(np.abs(x - xc) - .022, 0, None) * 1.6)
    tip = .82 - np.abs(y + .02) * .9
    bl = np.maximum(np.maximum(-y - .125, (y - prof) * .8), np.maximum(-.2 - x, x - tip))
    if kind == "broken_blade":
        ed = q.uniform(.22, .58) + q.uniform(-.6, .6) * y + .07 * (fbm(q, x, y, 14, 2) - .5)
        bl = np.maximum(bl, x - ed)
    sd = np.minimum(np.minimum(bow, sh), bl)
    al = cov(sd)
    gr = cov(np.abs(y + .075) - .020) * ss(-.10, -.06, x)
    h = bevel(al, .035) - .02 * ndi.gaussian_filter(gr, 2) - .018 * np.exp(-((np.hypot(x + .48, y / 1.12) - .24) / .018) ** 2)
    base = jit(rng, C(.78, .62, .30), .09)
    col = mul(full(base), .90 + .2 * fbm(rng, x0, y0 * 4, 8, 3))
    col = mul(col, 1 - .25 * gr)
    on = cov(sd + .02)
    if kind == "corrosion":
        for _ in range(q.integers(1, 4)):
            c = (q.uniform(-.7, -.25), q.uniform(-.22, .22)) if q.random() < .55 else (q.uniform(-.1, .7), q.uniform(-.1, .02))
            b = blob(q, x, y, c, q.uniform(.08, .17), .55)
            t = fbm(q, x, y, 20, 3)
            cc = (full(C(.20, .52, .46)) if q.random() < .5 else full(C(.24, .15, .10))) * (.6 + .8 * t)[..., None]
            col = over(col, cc, ss(.02, -.03, b) * q.uniform(.7, .95))
    lam, sp = relief(h, la, 1.1, .2, .5)
    col = mul(col, lam) + sp[..., None] * C(1, .93, .7)
    if kind == "scratch":
        for _ in range(q.integers(1, 4)):
            c = (q.uniform(-.65, -.3), q.uniform(-.18, .18)) if q.random() < .6 else (q.uniform(0, .6), -.04)
            a = q.uniform(0, TAU) if c[0] < -.2 else q.uniform(-.2, .2)
            col = scratch(col, q, x, y, c, a, q.uniform(.25, .5), q.uniform(.010, .016), C(1, .97, .86), C(.25, .17, .06), q.uniform(.8, 1), on)
    img = shadow(img, al, la, .05, 8, .6)
    return over(img, col, al)

def brick_wall(rng, kind, q):
    la = rng.uniform(-2.4, -.7)
    x, y = pose(*rng.uniform(-.4, .4, 2), rng.uniform(-.07, .07), rng.uniform(.9, 1.15))
    BW, BH = .56, .235
    row = np.floor(y / BH).astype(int)
    xo = x + (row % 2) * BW / 2
    cl = np.floor(xo / BW).astype(int)
    u, v = xo - (cl + .5) * BW, y - (row + .5) * BH
    wob = .018 * (fbm(rng, x, y, 14, 3) - .5)
    sd = rbox(u, v, BW / 2 - .020, BH / 2 - .020, .022) + wob
    tab = rng.normal(0, 1, (64, 64, 3))
    t = tab[row % 64, cl % 64]
    base = jit(rng, C(.58, .29, .21), .10)
    tone = 1 + .10 * t[..., :1]
    n = fbm(rng, x, y, 16, 4)
    col = base * tone * (1 + .03 * t) * (.78 + .44 * n)[..., None]
    mort = mul(full(jit(rng, C(.68, .65, .60), .07)), .82 + .32 * fbm(rng, x, y, 34, 3))
    a = cov(sd)
    h = .030 * ss(.012, -.025, sd) + .010 * n
    # place of the defect, in picture coordinates
    if kind == "missing_brick":
        for _ in range(q.integers(1, 3)):
            gy_, gx_ = q.integers(90, 390, 2)
            r0, c0 = row[gy_, gx_], cl[gy_, gx_]
            frac = q.uniform(-.25, .25) * BW if q.random() < .4 else 9
            side = q.choice([-1, 1])
            m = ((row == r0) & (cl == c0) & (side * u + .06 * (vnoise(q, x, y, 16) - .5) < frac)).astype(float)
            m = np.minimum(ndi.gaussian_filter(m, 1), cov(sd - .006))
            deep = mul(full(C(.15, .12, .10)), .7 + .6 * fbm(q, x, y, 18, 3))
            d = ndi.gaussian_filter(ndi.shift(1 - m, (-np.sin(la) * 10, -np.cos(la) * 10), order=1, cval=1), 3)
            deep = mul(deep, 1.5 - d)
            col = over(col, deep, m)
            h = h * (1 - m) - .03 * m
    lam, sp = relief(h, la, 1.2, .3, 0)
    img = mul(over(mort, col, a), lam)
    if kind == "white_salt":
        c = q.uniform(-.7, .7, 2)
        b = blob(q, GX, GY, c, q.uniform(.2, .42), .4, 2, q.uniform(1, 1.4), 0)
        f = ss(.08, -.12, b) * np.clip(.35 + 1.5 * (fbm(q, GX, GY, 9, 4) - .32), 0, 1)
        img = over(img, C(.90, .89, .87), f * q.uniform(.65, .95))
    if kind == "paint_splash":
        c = q.uniform(-.65, .5, 2); R = q.uniform(.12, .25)
        pc = [C(.12, .22, .60), C(.10, .45, .25), C(.92, .85, .20), C(.06, .06, .07)][q.integers(0, 4)]
        b = blob(q, GX, GY, c, R, .45, 2.2)
        for _ in range(q.integers(2, 5)):
            dx = q.uniform(-.7, .7) * R; L = q.uniform(.15, .45); w = q.uniform(.016, .03)
            b = np.minimum(b, np.maximum(np.abs(GX - c[0] - dx) - w, np.maximum(c[1] - GY, GY - c[1] - L)))
        for _ in range(q.integers(2, 7)):
            o, _ = pol(q, R * 1.2, R * 1.9)
            b = np.minimum(b, np.hypot(GX - c[0] - o[0], GY - c[1] - o[1]) - q.uniform(.012, .03))
        img = over(img, mul(full(pc), .75 + .35 * lam), cov(b, .006) * q.uniform(.8, .97))
    if kind == "crack":
        img = crack(img, q, GX, GY, q.uniform(-.8, .8, 2) * C(1, .5), q.uniform(0, TAU), q.uniform(.9, 1.7), q.uniform(.018, .032), C(.08, .06, .05), q.uniform(.65, .95), None, True, .65, 1., 20)
    return img

def denim_fabric(rng, kind, q):
    ga = rng.uniform(-.25, .25)
    x, y = pose(0, 0, ga, rng.uniform(.92, 1.12))
    wx = x + .006 * (fbm(rng, x, y, 6, 2) - .5); wy = y + .006 * (fbm(rng, x, y, 6, 2) - .5)
    F = 22.
    i, j = np.floor(wx * F).astype(int), np.floor(wy * F).astype(int)
    u, v = wx * F - i - .5, wy * F - j - .5
    weft = ((i + j) % 3 == 0).astype(float)
    thr = rng.normal(0, 1, (128,)); thr2 = rng.normal(0, 1, 128)
    base = jit(rng, C(.20, .29, .47), .10)
    fade = fbm(rng, x, y, 2, 3)
    ind = base * (1 + .12 * thr[i % 128] + .5 * (fade - .5))[..., None]
    wh = C(.62, .67, .74) * (1 + .06 * thr2[j % 128])[..., None]
    col = over(ind, wh, weft * .62)
    fade2 = .85 + .3 * fbm(rng, x, y, 25, 3)
    sh = (1 - .55 * np.where(weft > 0, v ** 2, u ** 2) * 1.6) * (1 - .25 * (np.where(weft > 0, np.abs(u), np.abs(v)) > .42))
    col = mul(col, sh * fade2)
    col = ndi.gaussian_filter(col, (1, 1, 0))
    # seam: fold and two rows of orange stitches
    y0 = rng.uniform(-.45, .45)
    s = y - y0
    col = mul(col, 1 - .35 * np.exp(-((s + .16) / .02) ** 2) + .12 * np.exp(-((s + .12) / .03) ** 2))
    p = .135; ph = rng.uniform(0, p)
    k = np.floor((x + ph) / p).astype(int); e = (x + ph) - (k + .5) * p
    oc = jit(rng, C(.85, .52, .16), .08)
    miss = np.zeros((S, S), bool), np.zeros((S, S), bool)
    if kind == "missing_stitches":
        n = q.integers(2, 6); kc = q.integers(int(-.75 / p), int(.75 / p) - n + 1)
        m = (k >= kc) & (k < kc + n)
        w = q.integers(0, 3)
        miss = (m & (w != 1), m & (w != 0))
    for rw in range(2):
        sd = rbox(e, s + (.05 - rw * .13), .054, .021, .02)
        sd = np.where(miss[rw], 9, sd)
        vv = (s + (.05 - rw * .13)) / .021
        col = mul(col, 1 - .5 * cov(sd - .012, .01))
        col = over(col, mul(full(oc), (1.1 - .35 * vv ** 2) * (.94 + .10 * np.sin((e * 1.2 + vv * .01) * 300))), cov(sd))
    def place():
        while True:
            c = q.uniform(-.7, .7, 2)
            yy = -np.sin(ga) * c[0] + np.cos(ga) * c[1]
            if kind != "hole" or abs(yy - y0) > .3: return c
    if kind == "hole":
        c = place(); R = q.uniform(.09, .22)
        b = blob(q, GX, GY, c, R, .4, 2.2, q.uniform(1, 1.4), ga)
        fr = fbm(q, x, y * .6, 26, 2)
        col = over(col, C(.72, .76, .82), ss(.055, .0, b) * (.25 + .9 * fr))
        inside = cov(b, .006)
        col = over(col, C(.07, .06, .07), inside)
        gap = q.uniform(.35, .65)
        thread = (np.abs(v + .2 * np.sin(x * 23 + j)) < .30) & (np.random.default_rng(q.integers(1 << 30)).random(128)[j % 128] > gap)
        col = over(col, C(.80, .80, .80), inside * ndi.gaussian_filter(thread.astype(float), 1) * .85)
    if kind == "bleach_spot":
        f = np.zeros((S, S))
        c = place(); R = q.uniform(.10, .28)
        b = blob(q, GX, GY, c, R, .45, 2, q.uniform(1, 1.4), q.uniform(0, 3))
        f = ss(.05, -.06, b)
        for _ in range(q.integers(0, 5)):
            o, _ = pol(q, R * 1.3, R * 2)
            f = np.maximum(f, ss(.02, -.02, np.hypot(GX - c[0] - o[0], GY - c[1] - o[1]) - q.uniform(.02, .05)))
        lum = col.mean(2, keepdims=True)
        col = over(col, C(.62, .60, .58) + .75 * (lum - .3), f * q.uniform(.45, .95))
    if kind == "oil_stain":
        c = place()
        b = blob(q, GX, GY, c, q.uniform(.13, .32), .4, 2, q.uniform(1, 1.4), q.uniform(0, 3))
        f = np.clip(cov(b, .02) * .85 + .25 * np.exp(-(b / .03) ** 2), 0, 1) * q.uniform(.5, .9)
        col = over(col, col * C(.30, .24, .15) + C(.03, .02, .0), f)
    return col

def marble_slab(rng, kind, q):
    a = rng.uniform(0, TAU)
    x, y = pose(*rng.uniform(-3, 3, 2), a, rng.uniform(.85, 1.15))
    w1, w2 = fbm(rng, x, y, 1.6, 4) - .5, fbm(rng, x, y, 1.6, 4) - .5
    X, Y = x + .8 * w1, y + .8 * w2
    base = jit(rng, C(.85, .85, .84), .035)
    cloud = fbm(rng, X, Y * 1.8, 1.4, 4)
    img = mul(full(base), .86 + .26 * cloud)
    n1 = np.abs(fbm(rng, X, Y * 2.2, 1.1, 4) - .5); n2 = np.abs(fbm(rng, X + 5, Y * 1.6, 2.3, 4) - .5)
    vc = jit(rng, C(.47, .48, .51), .06)
    img = over(img, vc, np.exp(-n1 / .035) * .55)
    img = over(img, vc, np.exp(-n2 / .02) * .28)
    img = mul(img, .985 + .03 * fbm(rng, GX, GY, 60, 2))
    if kind == "crack":
        c = q.uniform(-.6, .6, 2); an = q.uniform(0, TAU)
        img = crack(img, q, GX, GY, c - .5 * C(np.cos(an), np.sin(an)), an, q.uniform(.8, 1.5), q.uniform(.013, .024), C(.10, .09, .09), q.uniform(.6, .95), C(1, 1, 1), True, .45, 1., 18)
    if kind == "pit":
        c = q.uniform(-.7, .7, 2)
        for k in range(q.integers(1, 5)):
            cc = c + (0 if k == 0 else q.uniform(-.35, .35, 2))
            b = blob(q, GX, GY, cc, q.uniform(.05, .13) * (1 if k == 0 else .55), .5, 2.5)
            h = -.09 * ss(.01, -.06, b)
            lam, _ = relief(h, -1.2, 1.3, .1)
            img = over(img, mul(full(C(.50, .47, .44)), lam * (.8 + .4 * fbm(q, GX, GY, 26, 3))), cov(b, .006))
    if kind == "scratch":
        c = q.uniform(-.6, .6, 2); an = q.uniform(0, TAU)
        for _ in range(q.integers(1, 5)):
            img = scratch(img, q, GX, GY, c + q.uniform(-.14, .14, 2), an + q.uniform(-.15, .15), q.uniform(.5, 1.2), q.uniform(.010, .017), C(1, 1, 1), C(.26, .25, .25), q.uniform(.7, 1))
    if kind == "coffee_stain":
        c = q.uniform(-.6, .6, 2); cc = C(.45, .27, .12); st = q.uniform(.35, .85)
        if q.random() < .5:                                  # ring of a cup
            R = q.uniform(.22, .36); r = np.hypot(GX - c[0], GY - c[1]); t = np.arctan2(GY - c[1], GX - c[0])
            wd = .022 + .022 * vnoise(q, np.cos(t), np.sin(t), 2.5)
            f = ss(wd + .012, wd - .012, np.abs(r - R)) * np.clip(.25 + 1.3 * vnoise(q, np.cos(t), np.sin(t), 1.5), 0, 1)
        else:
            b = blob(q, GX, GY, c, q.uniform(.12, .28), .4, 2, q.uniform(1, 1.3), q.uniform(0, 3))
            f = np.clip(.6 * cov(b, .012) + .5 * np.exp(-(b / .02) ** 2), 0, 1)
        img = over(img, img * cc * 1.35, f * st)
    return img

CATS = {
    "gear": (gear, ["missing_tooth", "crack", "rust", "scratch"]),
    "shirt_button": (shirt_button, ["chipped_rim", "crack", "blocked_hole", "faded_patch"]),
    "pencil": (pencil, ["broken_tip", "missing_eraser", "tooth_dents", "chipped_paint"]),
    "dinner_plate": (dinner_plate, ["crack", "chipped_rim", "food_stain", "missing_print"]),
    "door_key": (door_key, ["broken_blade", "bent_blade", "corrosion", "scratch"]),
    "brick_wall": (brick_wall, ["missing_brick", "crack", "paint_splash", "white_salt"]),
    "denim_fabric": (denim_fabric, ["hole", "bleach_spot", "oil_stain", "missing_stitches"]),
    "marble_slab": (marble_slab, ["crack", "pit", "scratch", "coffee_stain"]),
}

# ------------------------------------------------------------------ camera, masks, files
def camera(img, rng):
    """light and downscale; returns the clean picture (0..1)"""
    a, g = rng.uniform(0, TAU), rng.uniform(.02, .10)
    img = mul(img, 1 + g * (GX * np.cos(a) + GY * np.sin(a))) * rng.uniform(.90, 1.08)
    img = img * (1 + rng.uniform(-.025, .025) * C(1, 0, -1))
    img = np.clip(img, 0, 1).reshape(OUT, 2, OUT, 2, 3).mean((1, 3))
    return ndi.gaussian_filter(img, (s := rng.uniform(.3, .65), s, 0))

def grain(img, rng):
    n = rng.normal(0, 1, img.shape[:2] + (1,)) * .7 + rng.normal(0, 1, img.shape) * .5
    return np.clip(img + n * rng.uniform(.006, .016), 0, 1)

def draw(fn, seed, kind=None, dseed=None):
    q = np.random.default_rng(dseed) if kind else None
    return camera(fn(np.random.default_rng(seed), kind, q), np.random.default_rng(seed + [1]))

def mask_of(good, bad):
    d = np.abs(good - bad).max(2)
    m = d > .04
    lab, n = ndi.label(m, np.ones((3, 3)))
    if n:
        sz = ndi.sum(m, lab, np.arange(n + 1)); m = m & (sz[lab] >= 8)
    m = ndi.binary_closing(np.pad(m, 3), iterations=1)[3:-3, 3:-3] | m
    return m, (d[m].mean() if m.any() else 0.)

def save(a, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(a).save(path)

def u8(im):
    return (im * 255 + .5).astype(np.uint8)

def main():
    shutil.rmtree(ROOT, ignore_errors=True)
    for cat, (fn, kinds) in CATS.items():
        cid = zlib.crc32(cat.encode())
        for part, cnt in (("train", N_TRAIN), ("test", N_GOOD)):
            for i in range(cnt):
                sd = [SEED, cid, zlib.crc32(part.encode()), i]
                save(u8(grain(draw(fn, sd), np.random.default_rng(sd + [2]))), f"{ROOT}/{cat}/{part}/good/{i:03d}.png")
        for kind in kinds:
            log = []
            for i in range(N_BAD):
                sd = [SEED, cid, zlib.crc32(kind.encode()), i]
                good = draw(fn, sd)
                for t in range(30):                          # redraw a defect that fell off the thing or is too faint
                    bad = draw(fn, sd, kind, sd + [3, t])
                    m, st = mask_of(good, bad)
                    if 150 <= m.sum() <= .25 * m.size and st >= .10: break
                else:
                    print("WARNING no fit", cat, kind, i)
                save(u8(grain(bad, np.random.default_rng(sd + [2]))), f"{ROOT}/{cat}/test/{kind}/{i:03d}.png")
                save((m * 255).astype(np.uint8), f"{ROOT}/{cat}/ground_truth/{kind}/{i:03d}_mask.png")
                log.append(f"{100 * m.mean():.1f}%/{st:.2f}" + (f"(t{t})" if t else ""))
            print(cat, kind, *log, flush=True)

if __name__ == "__main__":
    main()
