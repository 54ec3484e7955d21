TITLE fast sodium current, m3h

COMMENT
Source: the cat motoneuron of Mousa & Elbasiouny 2020 (J Neurophysiol 124:1285), soma and hillock.

    i   = gbar m^3 h (v - e)
    m'  = am L(vam - v) (1 - m) - bm L(v - vbm) m         L(x) = x / (exp(x/k) - 1)
    h'  = (hinf - h) / tauh
    hinf = 1 / (1 + exp((v - vh)/kh))
    tauh = th / (exp((v - vth)/kth1) + exp(-(v - vth)/kth2))

mV, ms, mA/cm2, S/cm2. The rates hold at 36 degC; no temperature factor is applied.
The current is nonspecific because the source gives it its own reversal and no sodium is accumulated.
The defaults are the soma's; the hillock differs in gbar, vam and vbm only, hence RANGE, one mechanism.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX naf
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, am, vam, kam, bm, vbm, kbm
    RANGE vh, kh, th, vth, kth1, kth2
    RANGE minf, taum, hinf, tauh
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S)  = (siemens)
}

PARAMETER {
    gbar = 0.05 (S/cm2)
    e    = 50   (mV)
    am   = 0.4  (/ms/mV)
    vam  = -48  (mV)
    kam  = 5    (mV)
    bm   = 0.4  (/ms/mV)
    vbm  = -24  (mV)
    kbm  = 5    (mV)
    vh   = -57  (mV)
    kh   = 7    (mV)
    th   = 40   (ms)
    vth  = -60  (mV)
    kth1 = 15   (mV)
    kth2 = 16   (mV)
}

ASSIGNED {
    v    (mV)
    i    (mA/cm2)
    minf
    taum (ms)
    hinf
    tauh (ms)
}

STATE { m h }

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gbar * m*m*m * h * (v - e)
}

INITIAL {
    rates(v)
    m = minf
    h = hinf
}

DERIVATIVE states {
    rates(v)
    m' = (minf - m) / taum
    h' = (hinf - h) / tauh
}

PROCEDURE rates(v (mV)) {
    LOCAL a, b
    a = am * linoid(vam - v, kam)
    b = bm * linoid(v - vbm, kbm)
    taum = 1 / (a + b)
    minf = a * taum
    hinf = 1 / (1 + exp((v - vh) / kh))
    tauh = th / (exp((v - vth) / kth1) + exp(-(v - vth) / kth2))
}

FUNCTION linoid(x (mV), k (mV)) (mV) {
    : x/(exp(x/k) - 1); near 0 its second-order series, whose error at the switch is below 1e-14 k
    if (fabs(x / k) < 1e-4) {
        linoid = k * (1 - x / k / 2 + x * x / k / k / 12)
    } else {
        linoid = x / (exp(x / k) - 1)
    }
}
