TITLE hyperpolarisation-activated mixed-cation current

COMMENT
Source: the cat motoneuron of Mousa & Elbasiouny 2020 (J Neurophysiol 124:1285), all sections.

    i    = gbar q (v - e)
    qinf = 1 / (1 + exp((v - vq)/kq)),  q' = (qinf - q)/tauq

mV, ms, mA/cm2, S/cm2. The defaults are the soma's; the dendrites have twice its gbar.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX h
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, vq, kq, tauq
    RANGE qinf
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S)  = (siemens)
}

PARAMETER {
    gbar = 1.428571428571e-4 (S/cm2)  : 0.001/7
    e    = -44  (mV)
    vq   = -95  (mV)
    kq   = 13.5 (mV)
    tauq = 100  (ms)
}

ASSIGNED {
    v    (mV)
    i    (mA/cm2)
    qinf
}

STATE { q }

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gbar * q * (v - e)
}

INITIAL {
    rates(v)
    q = qinf
}

DERIVATIVE states {
    rates(v)
    q' = (qinf - q) / tauq
}

PROCEDURE rates(v (mV)) {
    qinf = 1 / (1 + exp((v - vq) / kq))
}
