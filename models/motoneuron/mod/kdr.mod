TITLE delayed-rectifier potassium current, n4

COMMENT
Source: the cat motoneuron of Mousa & Elbasiouny 2020 (J Neurophysiol 124:1285), soma and hillock.

    i    = gbar n^4 (v - e)
    n'   = (ninf - n) / taun
    ninf = 1 / (1 + exp(-(v - vn)/kn))
    taun = tn / (exp((v - vtn)/ktn1) + exp(-(v - vtn)/ktn2))

mV, ms, mA/cm2, S/cm2. The rates hold at 36 degC; no temperature factor is applied.
The current is nonspecific because the source gives it its own reversal.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX kdr
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, vn, kn, tn, vtn, ktn1, ktn2
    RANGE ninf, taun
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S)  = (siemens)
}

PARAMETER {
    gbar = 0.5 (S/cm2)
    e    = -80 (mV)
    vn   = -30 (mV)
    kn   = 15  (mV)
    tn   = 5   (ms)
    vtn  = -50 (mV)
    ktn1 = 40  (mV)
    ktn2 = 50  (mV)
}

ASSIGNED {
    v    (mV)
    i    (mA/cm2)
    ninf
    taun (ms)
}

STATE { n }

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gbar * n*n*n*n * (v - e)
}

INITIAL {
    rates(v)
    n = ninf
}

DERIVATIVE states {
    rates(v)
    n' = (ninf - n) / taun
}

PROCEDURE rates(v (mV)) {
    ninf = 1 / (1 + exp(-(v - vn) / kn))
    taun = tn / (exp((v - vtn) / ktn1) + exp(-(v - vtn) / ktn2))
}
