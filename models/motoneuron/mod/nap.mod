TITLE persistent sodium current, p3

COMMENT
Source: the cat motoneuron of Mousa & Elbasiouny 2020 (J Neurophysiol 124:1285), hillock.

    i  = gbar p^3 (v - e)
    p' = tadj (a (1 - p) - b p)
    a  = ap L(vap - v),  b = bp L(v - vbp)         L(x) = x / (exp(x/k) - 1)

mV, ms, mA/cm2, S/cm2. tadj is 2.2^1.6, a Q10 of 2.2 taken from 20 to 36 degC: a constant, so that the
gate does not slow down silently when celsius is left at NEURON's default of 6.3.
The current is nonspecific because the source gives it its own reversal.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX nap
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, ap, vap, kap, bp, vbp, kbp, tadj
    RANGE pinf, taup
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S)  = (siemens)
}

PARAMETER {
    gbar = 3.2971e-5 (S/cm2)
    e    = 50      (mV)
    ap   = 0.01    (/ms/mV)
    vap  = -20.4   (mV)
    kap  = 5       (mV)
    bp   = 0.00025 (/ms/mV)
    vbp  = -24.7   (mV)
    kbp  = 5       (mV)
    tadj = 3.5309258  : 2.2^1.6
}

ASSIGNED {
    v    (mV)
    i    (mA/cm2)
    pinf
    taup (ms)
}

STATE { p }

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gbar * p*p*p * (v - e)
}

INITIAL {
    rates(v)
    p = pinf
}

DERIVATIVE states {
    rates(v)
    p' = (pinf - p) / taup
}

PROCEDURE rates(v (mV)) {
    LOCAL a, b
    a = ap * linoid(vap - v, kap)
    b = bp * linoid(v - vbp, kbp)
    pinf = a / (a + b)
    taup = 1 / (a + b) / tadj
}

FUNCTION linoid(x (mV), k (mV)) (mV) {
    : x/(exp(x/k) - 1); near 0 its second-order series, whose error at the switch is below 1e-14 k
    if (fabs(x / k) < 1e-4) {
        linoid = k * (1 - x / k / 2 + x * x / k / k / 12)
    } else {
        linoid = x / (exp(x / k) - 1)
    }
}
